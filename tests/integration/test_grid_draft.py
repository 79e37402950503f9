"""CTC drafts on real speech: greedy search's tokens on every test clip, in every reading."""

from typing import Any

import pytest
import torch

from avsr.benchmark.stages import all_readings
from avsr.clips.clip import Clip
from avsr.clips.mouth_tracker import MouthTracker
from avsr.clips.read import read_utterance
from avsr.manifest import read_manifest
from avsr.pretrained import load_model
from avsr.recognition.hypotheses import encode_audio, encode_video, fit_to_lips, generate
from tests.shared import GRID

BATCH = 20


@pytest.mark.shared
def test_drafts_change_no_token_of_any_clip() -> None:
    loaded = load_model("grid-tiny", device="cpu")
    config = loaded.model.config
    readings = all_readings(loaded, None, config.audio_rates, config.video_rates)
    tracker = MouthTracker()
    with tracker:
        clips = [
            read_utterance(item, tracker=tracker) for item in read_manifest(GRID / "s1_test.jsonl")
        ]
    n_texts = n_drafted = n_accepted = 0
    for start in range(0, len(clips), BATCH):
        waveforms, mouths = _streams(clips[start : start + BATCH])
        audio, video = encode_audio(loaded, waveforms), encode_video(loaded, mouths)
        for reading in readings:
            plain, drafted = (
                generate(
                    loaded,
                    reading.modality,
                    audio=audio,
                    video=video,
                    audio_rate=reading.audio_rate,
                    video_rate=reading.video_rate,
                    num_beams=1,
                    ctc_weight=0.0,
                    draft=draft,
                )
                for draft in (None, "ctc")
            )
            assert torch.equal(drafted.lengths, plain.lengths), str(reading)
            assert torch.equal(drafted.sequences, plain.sequences), str(reading)
            n_texts += len(plain.sequences)
            assert drafted.n_drafted is not None
            assert drafted.n_accepted is not None
            n_drafted += int(drafted.n_drafted.sum())
            n_accepted += int(drafted.n_accepted.sum())
    assert n_texts == 8 * len(clips) == 800
    assert n_accepted > n_drafted / 2 > 0


def _streams(clips: list[Clip]) -> tuple[list, list]:
    """Sound that fits the lips, and lips."""
    pairs: list[tuple[Any, Any]] = [(clip.audio, clip.mouth) for clip in clips]
    assert all(audio is not None and mouth is not None for audio, mouth in pairs)
    return [fit_to_lips(audio, mouth) for audio, mouth in pairs], [mouth for _, mouth in pairs]
