"""The voice detector run over many chunks gives what its own loop gives."""

from typing import Any

import numpy as np
import pytest
import torch
from silero_vad import load_silero_vad

from avsr_frontends.media import read_audio
from avsr_frontends.voice_detector import VoiceDetector, voice_detector
from tests.demo_site import SAMPLES


@pytest.mark.parametrize("n_samples", [512, 513, 48_000])
@pytest.mark.parametrize("block", [3, 1024])
def test_the_same_as_its_own_loop(
    n_samples: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avsr_frontends.voice_detector._BLOCK", block)
    sound = torch.as_tensor(read_audio(SAMPLES / "babble_0db.mp4")[:n_samples])
    silero: Any = load_silero_vad()
    expected = silero.audio_forward(sound[None], 16_000)[0]
    found = voice_detector()(sound)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert n_samples < 48_000 or float(found.max()) > 0.5 > float(found.min())


def test_sound_shorter_than_a_chunk() -> None:
    assert voice_detector()(torch.zeros(1)).shape == (1,)


def test_loading_leaves_the_threads_alone() -> None:
    n_threads = torch.get_num_threads()
    detector = VoiceDetector()
    assert torch.get_num_threads() == n_threads
    silence = detector(torch.zeros(16_000)).numpy()
    assert np.all(silence < 0.5)
