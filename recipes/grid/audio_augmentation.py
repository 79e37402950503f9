"""Sound for training: join, re-pitch, place, echo, add noise, then log-mel masks.

Everything takes a numpy generator, so that a seed fixes the whole training set.
"""

import itertools

import numpy as np
import torch
from corpus import Corpus
from splicing import Plan
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

SAMPLE_RATE = 16_000
MEL_FILTERS = torch.from_numpy(
    mel_filter_bank(201, 80, 0.0, 8000.0, SAMPLE_RATE, norm="slaney", mel_scale="slaney")
).float()
HANN = torch.hann_window(400)


def cut_sound(corpus: Corpus, plan: Plan) -> np.ndarray:
    """The samples of a plan, float32 in [-1, 1], faded for 5 ms at each joint."""
    parts = []
    for piece in plan.pieces:
        begin, end = round(piece.start * SAMPLE_RATE), round(piece.end * SAMPLE_RATE)
        parts.append(corpus.audio[piece.index, begin:end].astype(np.float32) / 32768)
    fade = np.linspace(0, 1, 80, dtype=np.float32)
    for before, after in itertools.pairwise(parts):
        if len(before) > 80 and len(after) > 80:
            before[-80:] *= fade[::-1]
            after[:80] *= fade
    return np.concatenate(parts)


def change_speed(samples: np.ndarray, speed: float) -> np.ndarray:
    """Play faster (> 1) or slower: pitch, formants and tempo all move."""
    positions = np.arange(0, len(samples) - 1, speed)
    index = np.minimum(positions.astype(np.int64), len(samples) - 2)
    fraction = (positions - index).astype(np.float32)
    return samples[index] * (1 - fraction) + samples[index + 1] * fraction


def place(samples: np.ndarray, offset_s: float, n_samples: int) -> np.ndarray:
    """Write the clip into ``n_samples`` of silence, beginning ``offset_s`` after their start."""
    canvas = np.zeros(n_samples, dtype=np.float32)
    begin = round(offset_s * SAMPLE_RATE)
    source = samples[max(0, -begin) :]
    target = max(0, begin)
    length = min(len(source), n_samples - target)
    if length > 0:
        canvas[target : target + length] = source[:length]
    return canvas


def add_echo(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Convolve with a synthetic room: exponentially decaying noise after the direct sound."""
    decay_s = generator.uniform(0.05, 0.35)
    length = int(decay_s * SAMPLE_RATE)
    times = np.arange(length) / SAMPLE_RATE
    room = generator.standard_normal(length) * np.exp(-6.9 * times / decay_s)
    room *= generator.uniform(0.05, 0.4) / np.sqrt((room**2).sum())
    room[0] = 1.0
    size = 1 << (len(samples) + length).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(room, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


class NoiseSource:
    """Babble summed from a corpus's voices, recorded noise, and coloured noise."""

    def __init__(self, babble: list[Corpus], recordings: list[np.ndarray]) -> None:
        self.babble = babble
        self.recordings = recordings

    def draw(self, n_samples: int, generator: np.random.Generator) -> np.ndarray:
        kind = generator.random()
        if kind < 0.6:
            return self.draw_babble(n_samples, generator)
        if kind < 0.85 and self.recordings:
            recording = self.recordings[generator.integers(len(self.recordings))]
            start = generator.integers(max(1, len(recording) - n_samples))
            return np.resize(recording[start:], n_samples)
        slope = generator.uniform(0, 1.2)  # white to brown
        spectrum = np.fft.rfft(generator.standard_normal(n_samples))
        spectrum /= np.maximum(np.arange(len(spectrum)), 1.0) ** slope
        return np.fft.irfft(spectrum, n_samples).astype(np.float32)

    def draw_babble(self, n_samples: int, generator: np.random.Generator) -> np.ndarray:
        """Two to eight voices, each at its own level, beginning anywhere."""
        total = np.zeros(n_samples, dtype=np.float32)
        for _ in range(generator.integers(2, 9)):
            corpus = self.babble[generator.integers(len(self.babble))]
            voice = corpus.audio[generator.integers(len(corpus))].astype(np.float32)
            voice = np.roll(voice, generator.integers(len(voice)))
            level = generator.uniform(0.5, 1.0) / (np.sqrt((voice**2).mean()) + 1.0)
            total += np.resize(voice, n_samples) * level
        return total


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise at a signal-to-noise ratio over the whole clip."""
    ratio = np.sqrt((speech**2).sum() / ((noise**2).sum() + 1e-10)) * 10 ** (-snr_db / 20)
    return speech + noise * ratio


def log_mel(samples: Tensor) -> Tensor:
    """Whisper's log-mel spectrogram of normalised waveforms, [B, N] to [B, 80, N // 160]."""
    samples = samples - samples.mean(dim=-1, keepdim=True)
    samples = samples / (samples.var(dim=-1, keepdim=True, unbiased=False) + 1e-8).sqrt()
    spectrum = torch.stft(samples, 400, 160, window=HANN, return_complex=True)[..., :-1]
    mel = MEL_FILTERS.T @ torch.view_as_real(spectrum).square().sum(dim=-1)
    log = mel.clamp(min=1e-10).log10()
    log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8)
    return (log + 4) / 4


def distort_mel(mel: Tensor, strength: float, generator: np.random.Generator) -> Tensor:
    """Another vocal tract, another microphone, and masks in time and frequency.

    Args:
        mel: [80, F].
        strength: 0 (nothing) to 1.
        generator: the source of randomness.
    """
    n_mels, n_frames = mel.shape
    if generator.random() < 0.8 * strength:  # vocal tract length perturbation
        alpha = generator.uniform(0.86, 1.16)
        position = (torch.arange(n_mels) * alpha).clamp(max=n_mels - 1.001)
        low = position.long()
        fraction = (position - low)[:, None]
        mel = mel[low] * (1 - fraction) + mel[low + 1] * fraction
    if generator.random() < 0.8 * strength:  # equaliser, about +-10 dB
        knots = torch.from_numpy(generator.normal(0, 0.12, 6)).float()
        curve = torch.nn.functional.interpolate(
            knots[None, None], n_mels, mode="linear", align_corners=True
        )[0, 0]
        mel = mel + curve[:, None]
        mel = torch.maximum(mel, mel.max() - 2)
    if generator.random() < strength:
        mel = mel.clone()
        fill = mel.mean()
        for _ in range(2):
            width, start = generator.integers(0, 12), generator.integers(n_mels)
            mel[start : start + width] = fill
            width, start = generator.integers(0, 20), generator.integers(n_frames)
            mel[:, start : start + width] = fill
    return mel
