"""Transcribing files and arrays with a loaded model."""

import threading
from pathlib import Path

import numpy as np
from torch import Tensor

from avsr.clip import Clip, read_clip
from avsr.errors import InputError
from avsr.hypotheses import (
    DEFAULT_BEAMS,
    Encoded,
    Hypothesis,
    check_draft,
    decode,
    encode_audio,
    encode_video,
    fit_to_lips,
)
from avsr.modality import Modality, ModalityChoice, RequestedModality, choose_modality
from avsr.pretrained import DEFAULT_MODEL, LoadedModel, load_model
from avsr.segmentation import segment_spans
from avsr.timings import Timings
from avsr.transcription import Rates, Segment, TranscriptionResult
from avsr_frontends.media import MediaError
from avsr_frontends.rates import SAMPLE_RATE

MIN_CLIP_S = 0.1  # shorter than any syllable: nothing can be read from it


def load(name_or_folder: str | Path = DEFAULT_MODEL, device: str = "auto") -> "Recognizer":
    """Load a model for transcription.

    Args:
        name_or_folder: a bundled name such as ``"grid-tiny"``, a model folder, or a hub id.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises:
        ModelUnavailableError: if there is no such model or it cannot be loaded.
        UsageError: if the device does not exist.
    """
    return Recognizer(load_model(name_or_folder, device))


class Recognizer:
    """Turns files and arrays into text. May be shared by threads; they then take turns.

    Attributes:
        loaded: the model with its processor, name and device.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._lock = threading.Lock()

    def transcribe(
        self,
        source: str | Path | np.ndarray | Tensor | Clip,
        *,
        modality: RequestedModality = "auto",
        audio_rate: int | None = None,
        video_rate: int | None = None,
        num_beams: int = DEFAULT_BEAMS,
        draft: str | None = None,
    ) -> TranscriptionResult:
        """Transcribe one input.

        Args:
            source: a media file; a waveform, [N] float at 16 kHz; or a :class:`~avsr.clip.Clip`.
            modality: what to use; ``"auto"`` takes sound and lips where both are there.
            audio_rate: audio encoder frames per token; None is the finest trained.
            video_rate: video encoder frames per token; None is the finest trained.
            num_beams: beams of the search; 1 is greedy.
            draft: "ctc" to let the encoder's CTC head propose the text; greedy only, same text.

        Returns:
            The text, what it was read from and why. The text is empty where nothing was said.

        Raises:
            InputError: if the input cannot be read or lacks the modality asked for.
            UsageError: if the model was not trained for the modality or rate asked for.
        """
        timings = Timings()
        self.loaded.check_request(modality, audio_rate, video_rate)
        read_as = self.loaded.modalities if modality == "auto" else [modality]
        check_draft(self.loaded, draft, read_as, num_beams)
        path = Path(source) if isinstance(source, str | Path) else None
        try:
            clip = self._read(source, modality, timings)
            choice = choose_modality(clip, self._possible(modality))
            _check_length(clip)
        except MediaError as error:
            raise InputError(str(error)) from error
        except InputError as error:
            raise InputError(f"{path}: {error}" if path else str(error)) from error
        chosen = choice or ModalityChoice(modality="audio", reason="the sound is silent")
        rates = Rates(
            audio=None
            if chosen.modality == "video"
            else audio_rate or self.loaded.rates("audio")[0],
            video=None
            if chosen.modality == "audio"
            else video_rate or self.loaded.rates("video")[0],
        )
        spans = segment_spans(clip, self.loaded.max_segment_s) if choice is not None else []
        with self._lock:
            segments = tuple(
                self._transcribe_span(
                    clip, span, chosen.modality, rates, (num_beams, draft), timings
                )
                for span in spans
            )
        return TranscriptionResult(
            text=" ".join(segment.text for segment in segments if segment.text),
            segments=segments,
            modality=chosen.modality,
            reason=chosen.reason,
            rates=rates,
            duration_s=clip.duration_s,
            face=clip.face,
            warnings=(*clip.warnings, *_doubts(clip, chosen, len(segments))),
            timings=timings.seconds,
            model=self.loaded.name,
            path=path,
        )

    def _possible(self, modality: RequestedModality) -> RequestedModality:
        """What ``auto`` means for a model that knows only one modality."""
        trained = self.loaded.modalities
        return trained[0] if modality == "auto" and len(trained) == 1 else modality

    def _read(
        self,
        source: str | Path | np.ndarray | Tensor | Clip,
        modality: RequestedModality,
        timings: Timings,
    ) -> Clip:
        modality = self._possible(modality)
        if isinstance(source, Clip):
            return source
        if isinstance(source, str | Path):
            return read_clip(
                source, sound=modality != "video", picture=modality != "audio", timings=timings
            )
        return Clip(audio=_waveform(source))

    def _transcribe_span(
        self,
        clip: Clip,
        span: tuple[float, float],
        modality: Modality,
        rates: Rates,
        search: tuple[int, str | None],
        timings: Timings,
    ) -> Segment:
        part = clip.cut(*span)
        if modality == "av" and (part.audio is None or len(part.audio) == 0):
            modality = "video"  # the sound has ended here
        if modality == "av" and (part.mouth is None or len(part.mouth) == 0):
            modality = "audio"  # the picture has ended here
        audio: Encoded | None = None
        video: Encoded | None = None
        with timings.measure("encoders"):
            if modality != "audio" and part.mouth is not None:
                video = encode_video(self.loaded, [part.mouth])
            if modality != "video" and part.audio is not None:
                waveform = part.audio
                if modality == "av" and part.mouth is not None:
                    waveform = fit_to_lips(waveform, part.mouth)
                audio = encode_audio(self.loaded, [waveform])
        with timings.measure("language model"):
            hypothesis: Hypothesis = decode(
                self.loaded,
                modality,
                audio=audio,
                video=video,
                audio_rate=rates.audio,
                video_rate=rates.video,
                num_beams=search[0],
                draft=search[1],
            )[0]
        return Segment(
            start=span[0],
            end=span[1],
            text=hypothesis.text,
            avg_logprob=hypothesis.avg_logprob,
        )


def _check_length(clip: Clip) -> None:
    if clip.duration_s < MIN_CLIP_S:
        raise InputError(
            f"only {clip.duration_s:.2f} s long, need {MIN_CLIP_S} s; record a longer clip"
        )


def _waveform(samples: np.ndarray | Tensor) -> np.ndarray:
    """Check an array given as sound; returns [N] float32."""
    array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else np.asarray(samples)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"a waveform must be one-dimensional floats at {SAMPLE_RATE} Hz, got {array.dtype} "
            f"{list(array.shape)}"
        )
    if not np.isfinite(array).all():
        raise InputError("the waveform holds values that are not finite; mend it")
    return array.astype(np.float32)


def _doubts(clip: Clip, choice: ModalityChoice, n_segments: int) -> list[str]:
    """What may have harmed the text, beside damage in the file."""
    doubts: list[str] = []
    if choice.modality != "audio" and clip.face is not None and clip.face.coverage < 1:
        gaps = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in clip.face.gaps[:5])
        more = ", ..." if len(clip.face.gaps) > 5 else ""
        trust = "; do not trust this text" if choice.low_coverage else ""
        doubts.append(
            f"face found in only {clip.face.coverage:.0%} of the frames "
            f"(none at {gaps}{more}){trust}"
        )
    if n_segments > 1:
        doubts.append(f"long input: read in {n_segments} pieces, cut at quiet moments")
    return doubts
