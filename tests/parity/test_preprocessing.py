"""Our preprocessing against tensors of the published code.

The tensors lie beside the checkout, in ``shared/golden``.
"""

import numpy as np
import pytest

from avsr.noise import mix_at_snr
from avsr_frontends.audio import audio_frame_count, log_mel, normalise_waveform
from avsr_frontends.landmarks import fill_gaps
from avsr_frontends.mouth import (
    MEAN_FACE_4,
    MEAN_FACE_68,
    MouthGeometry,
    crop_mouth,
    normalise_mouth,
)
from tests.shared import GOLDEN

Arrays = dict[str, np.ndarray]

pytestmark = pytest.mark.shared


def load(case: str) -> tuple[Arrays, Arrays]:
    folder = GOLDEN / case
    return dict(np.load(folder / "inputs.npz")), dict(np.load(folder / "expected.npz"))


@pytest.mark.parametrize(
    ("case", "geometry"),
    [("mouth-crop-68pt", MEAN_FACE_68), ("mouth-crop-mediapipe-4pt", MEAN_FACE_4)],
)
def test_mouth_crops(case: str, geometry: MouthGeometry) -> None:
    inputs, expected = load(case)
    points = fill_gaps(inputs["landmarks"], inputs["present"])
    np.testing.assert_allclose(points, expected["landmarks_interpolated"], atol=1e-9)
    crops = crop_mouth(inputs["frames_rgb_u8"], points, geometry)
    difference = np.abs(crops.astype(int) - expected["crops_rgb_u8"])
    assert difference.max() <= 1  # rounding inside the image library's warp
    assert difference.mean() < 0.01


def test_stable_targets_are_those_of_the_mean_face() -> None:
    inputs, _ = load("mouth-crop-68pt")
    mean_face = inputs["mean_face_68x2"]
    np.testing.assert_allclose(
        MEAN_FACE_68.stable_targets, mean_face[list(MEAN_FACE_68.stable_points)], atol=1e-3
    )
    groups = [slice(36, 42), slice(42, 48), slice(31, 36), slice(48, 68)]
    means = [mean_face[group].mean(axis=0) for group in groups]
    np.testing.assert_allclose(MEAN_FACE_4.stable_targets, means, atol=1e-3)


def test_video_transform() -> None:
    inputs, expected = load("preprocess-video")
    ours = normalise_mouth(inputs["rgb_u8_T_H_W_C"])
    np.testing.assert_allclose(ours, expected["video_T_1_88_88"], atol=1e-5)


def test_waveform_normalisation_and_padding() -> None:
    inputs, expected = load("preprocess-audio")
    audio = inputs["audio"]
    np.testing.assert_allclose(normalise_waveform(audio), expected["normalised"], atol=1e-6)
    longer = np.pad(audio, (0, 50 * 640 - len(audio)))
    np.testing.assert_allclose(
        normalise_waveform(longer),
        expected["cut_or_pad_pad_50frames_then_normalised"],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        normalise_waveform(audio[: 40 * 640]),
        expected["cut_or_pad_cut_40frames_then_normalised"],
        atol=1e-6,
    )


# Asked for 0 dB, the published code takes it for "not given" and draws a level: here -5 dB.
@pytest.mark.parametrize(("case_db", "snr_db"), [(-5, -5), (0, -5), (5, 5), (999999, 999999)])
def test_noise_mixing(case_db: int, snr_db: int) -> None:
    inputs, expected = load("preprocess-audio")
    audio, start = inputs["audio"], int(inputs[f"noise_start_snr{case_db}"])
    mixed = mix_at_snr(audio, inputs["noise"][start : start + len(audio)], snr_db)
    np.testing.assert_allclose(mixed, expected[f"noisy_snr{case_db}"], atol=1e-6)
    normalised = expected[f"noisy_normalised_snr{case_db}"]
    np.testing.assert_allclose(normalise_waveform(mixed), normalised, atol=5e-6)


def test_log_mel() -> None:
    inputs, expected = load("preprocess-audio")
    features = log_mel(normalise_waveform(inputs["audio"]), padded=True).numpy()
    assert (1, *features.shape) == tuple(expected["mel_shape"])
    difference = np.abs(features[:, :200] - expected["mel_float32_first200"])
    assert difference.max() < 1e-4  # where a filter holds little, two processors' FFTs differ
    assert np.mean(difference > 1e-5) < 1e-3
    np.testing.assert_allclose(features[:, -1], expected["mel_float32_last"], atol=1e-5)


def test_log_mel_with_official_numerics() -> None:
    inputs, expected = load("preprocess-audio")
    clip = normalise_waveform(inputs["audio"])
    features = log_mel(clip, padded=True, official_numerics=True).numpy()
    difference = np.abs(features[:, :200] - expected["mel_lightning_bf16_first200"])
    assert np.mean(difference > 0) < 1e-3  # bfloat16 steps: a rounding tie may fall either way
    assert difference.max() < 0.01


@pytest.mark.parametrize("official", [False, True])
def test_encoder_frames_kept(official: bool) -> None:
    _, expected = load("preprocess-audio")
    counts = [
        audio_frame_count(int(n), padded=True, official_numerics=official)
        for n in expected["lengths_samples"]
    ]
    name = "bf16" if official else "float32"
    np.testing.assert_array_equal(counts, expected[f"frames_kept_{name}_default"])
