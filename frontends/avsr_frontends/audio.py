"""Audio features: waveform in, normalised log-mel spectrogram out, as the Whisper encoder takes it.

N counts audio samples at 16 kHz, M mel bands, F mel frames (100 per second).

``official_numerics`` reproduces what bfloat16 training did to this arithmetic in the published
audio-visual checkpoints: it changes features slightly and frame counts by up to nine.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

from avsr_frontends.rates import (
    AUDIO_ENCODER_FPS,
    MEL_HOP,
    SAMPLE_RATE,
    SAMPLES_PER_AUDIO_FRAME,
)

__all__ = [
    "MIN_ENCODER_FRAMES",
    "N_FFT",
    "PADDED_SAMPLES",
    "audio_frame_count",
    "log_mel",
    "normalise_waveform",
]

N_FFT = 400  # samples, 25 ms
MIN_ENCODER_FRAMES = 25  # half a second: the published models never see fewer
PADDED_SAMPLES = 30 * SAMPLE_RATE  # what Whisper itself was trained on
_VARIANCE_FLOOR = 1e-8  # keeps silence silent


def normalise_waveform(waveform: np.ndarray) -> np.ndarray:
    """Shift and scale a whole clip to zero mean and unit population variance.

    Args:
        waveform: [N], any float or integer scale.

    Returns:
        [N] float32; silence stays zero.
    """
    if len(waveform) == 0:
        return np.zeros(0, dtype=np.float32)
    values = torch.as_tensor(np.asarray(waveform, dtype=np.float32))
    return torch.nn.functional.layer_norm(values, values.shape, eps=_VARIANCE_FLOOR).numpy()


def audio_frame_count(n_samples: int, *, padded: bool, official_numerics: bool = False) -> int:
    """Count the Whisper encoder frames that belong to a clip.

    Args:
        n_samples: length of the clip.
        padded: the published rule, ``n / 16000 * 50`` rounded down, divided in single precision as
            the published code does; otherwise every started frame counts.
        official_numerics: with ``padded``, divide in bfloat16.

    Returns:
        Frames at 50 per second, at least 25.
    """
    if not padded:
        return max(MIN_ENCODER_FRAMES, math.ceil(n_samples / SAMPLES_PER_AUDIO_FRAME))
    dtype = torch.bfloat16 if official_numerics else torch.float32
    frames = torch.tensor(n_samples).to(dtype) / SAMPLE_RATE * AUDIO_ENCODER_FPS
    return max(MIN_ENCODER_FRAMES, int(frames))


def log_mel(
    waveform: np.ndarray, n_mels: int = 80, *, padded: bool = False, official_numerics: bool = False
) -> Tensor:
    """Compute Whisper's log-mel spectrogram.

    Args:
        waveform: [N] normalised, 16 kHz.
        n_mels: mel bands M of the encoder.
        padded: fill or cut to 30 s, as Whisper was trained; otherwise fill with zeros only to whole
            encoder frames (320 samples each), at least 25 of them.
        official_numerics: round the clip and the window to bfloat16; the features are rounded too.

    Returns:
        [M, F] float32; F is 3000 when padded, otherwise twice the encoder frames.
    """
    n_frames = audio_frame_count(len(waveform), padded=False)
    n_samples = PADDED_SAMPLES if padded else n_frames * SAMPLES_PER_AUDIO_FRAME
    filled = torch.zeros(n_samples)
    n_copied = min(len(waveform), n_samples)
    filled[:n_copied] = torch.as_tensor(np.asarray(waveform[:n_copied], dtype=np.float32))
    window = torch.hann_window(N_FFT)
    if official_numerics:
        filled = filled.bfloat16().float()
        window = torch.hann_window(N_FFT, dtype=torch.bfloat16).float()
    spectrum = torch.stft(filled, N_FFT, MEL_HOP, window=window, return_complex=True)
    power = (spectrum[:, :-1].abs() ** 2).contiguous()  # [201, F]
    log = (_mel_filters(n_mels).T @ power).clamp(min=1e-10).log10()
    features = (torch.maximum(log, log.max() - 8) + 4) / 4
    return features.bfloat16().float() if official_numerics else features


@functools.cache
def _mel_filters(n_mels: int) -> Tensor:
    """Whisper's filter bank, [201, M] float32."""
    filters = mel_filter_bank(
        num_frequency_bins=1 + N_FFT // 2,
        num_mel_filters=n_mels,
        min_frequency=0.0,
        max_frequency=SAMPLE_RATE / 2,
        sampling_rate=SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(filters).float()
