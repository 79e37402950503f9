"""CTC drafts on real speech: greedy search's tokens on every test clip, in every reading."""

from typing import Any

import pytest
import torch

from avsr.benchmark.stages import all_readings
from avsr.clips.mouth_tracker import MouthTracker
from avsr.clips.read import read_utterance
from avsr.decoding.options import SearchOptions
from avsr.manifest import read_manifest
from avsr.pretrained import load_model
from avsr.recognition.hypotheses import encode, generate
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
        chosen: list[Any] = clips[start : start + BATCH]
        streams = encode(
            loaded,
            waveforms=[clip.audio for clip in chosen],
            mouths=[clip.mouth for clip in chosen],
        )
        for reading in readings:
            plain, drafted = (
                generate(loaded, streams, reading, SearchOptions(num_beams=1, draft=draft))
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
