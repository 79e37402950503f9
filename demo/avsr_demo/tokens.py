"""How many positions of the language model a reading took."""

from avsr import TranscriptionResult
from avsr.clips.clip import Clip
from avsr.pretrained import LoadedModel
from avsr_frontends.audio import audio_frame_count
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME


def count_tokens(loaded: LoadedModel, clip: Clip, result: TranscriptionResult) -> int:
    """Count the compressed tokens of sound and lips over all segments of a reading.

    Markers, prompt and text are not counted: they do not depend on the rates.
    """
    total = 0
    for segment in result.segments:
        part = clip.cut(segment.start, segment.end)
        modality = segment.modality or result.modality
        n_frames = 0 if part.mouth is None else len(part.mouth)
        n_samples = 0 if part.audio is None else len(part.audio)
        if modality == "av":
            n_samples = n_frames * SAMPLES_PER_VIDEO_FRAME  # sound is fitted to the lips
        if modality != "video" and result.route.audio_rate:
            total += _tokens(_audio_frames(loaded, n_samples), result.route.audio_rate)
        if modality != "audio" and result.route.video_rate:
            total += _tokens(n_frames, result.route.video_rate)
    return total


def _audio_frames(loaded: LoadedModel, n_samples: int) -> int:
    config = loaded.model.config
    return audio_frame_count(
        n_samples,
        padded=config.audio_context == "padded",
        official_numerics=config.official_numerics,
    )


def _tokens(n_frames: int, rate: int) -> int:
    return max(1, n_frames // rate)
