"""Voice activity and lip motion."""

import numpy as np
import pytest
import torch

from avsr_frontends.activity import lip_motion, mouth_opening, voice_probabilities
from avsr_frontends.media import read_audio
from tests.shared import GRID
from tests.signals import tone


def talking_face(openings: np.ndarray, eye_width: float = 100.0) -> np.ndarray:
    """[T, 68, 2] with the lips ``openings`` eye widths apart."""
    points = np.zeros((len(openings), 68, 2))
    points[:, 45, 0] = eye_width
    for x, (upper, lower) in enumerate([(61, 67), (62, 66), (63, 65)]):
        points[:, [upper, lower], 0] = 0.4 * eye_width + x
        points[:, lower, 1] = eye_width * openings
    return points


def test_opening_ignores_size_and_tilt() -> None:
    openings = np.array([0.0, 0.1, 0.3])
    np.testing.assert_allclose(mouth_opening(talking_face(openings)), openings, atol=1e-6)
    turned = 3 * talking_face(openings) @ np.array([[0.8, 0.6], [-0.6, 0.8]]) + 50
    np.testing.assert_allclose(mouth_opening(turned), openings, atol=1e-6)


def test_motion_tells_speech_from_stillness() -> None:
    time = np.arange(75) / 25
    openings = np.where((time > 1) & (time < 2), 0.05 + 0.05 * np.sin(2 * np.pi * 4 * time), 0.05)
    motion = lip_motion(talking_face(openings))
    assert motion.shape == (75,)
    assert motion.dtype == np.float32
    assert motion[30:45].min() > 0.2
    assert motion[:20].max() < 0.01
    assert motion[60:].max() < 0.01


@pytest.mark.parametrize("n_frames", [0, 1, 2, 5])
def test_motion_of_short_clips(n_frames: int) -> None:
    motion = lip_motion(talking_face(np.linspace(0, 0.04 * max(0, n_frames - 1), n_frames)))
    np.testing.assert_allclose(motion, 1.0 if n_frames > 1 else 0.0, rtol=1e-5)


def test_no_voice_in_silence_or_tones() -> None:
    n_threads = torch.get_num_threads()
    assert voice_probabilities(np.zeros(16_000)).max() < 0.5
    assert voice_probabilities(np.zeros(0)).shape == (0,)
    assert voice_probabilities(tone(1.0, 1_000.0)).max() < 0.5
    assert torch.get_num_threads() == n_threads


@pytest.mark.shared
def test_voice_is_found_where_it_is() -> None:
    waveform = read_audio(GRID / "s1" / "bbaf3s.mp4")
    voiced = np.flatnonzero(voice_probabilities(waveform) > 0.5) / 25
    assert voiced[0] == pytest.approx(0.74, abs=0.1)
    assert voiced[-1] == pytest.approx(1.92, abs=0.15)
    assert voice_probabilities(waveform * 20).max() > 0.5  # too loud for [-1, 1]: scaled down
