"""Noise for evaluation: chosen by the utterance's id, mixed at an exact signal-to-noise ratio.

Nothing here depends on the order of utterances or on global random state: the same utterance id,
seed and noise give the same samples. N counts audio samples at 16 kHz.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from avsr.errors import UsageError
from avsr.manifest import Utterance

__all__ = [
    "BABBLE_VOICES",
    "Babble",
    "NoiseSource",
    "Recording",
    "cut_noise",
    "generator_for",
    "measured_snr_db",
    "mix_at_snr",
    "rank_voices",
]

BABBLE_VOICES = 8  # voices in a babble: enough that no single one can be followed


def generator_for(utterance_id: str, seed: int) -> np.random.Generator:
    """A random generator that depends on the utterance's id and the seed alone."""
    digest = hashlib.sha256(f"{seed}:{utterance_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def mix_at_snr(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise to speech so that their power ratio over the whole clip is ``snr_db``.

    Args:
        speech: [N] float.
        noise: [N] float; its level does not matter.
        snr_db: wanted ratio of speech power to noise power; 0 means equal power.

    Returns:
        [N] float32, the unchanged speech plus scaled noise.

    Raises:
        ValueError: if the lengths differ, or speech or noise is silent, so that no ratio exists.
    """
    if speech.shape != noise.shape:
        raise ValueError(
            f"speech and noise must be equally long, got {speech.shape}, {noise.shape}"
        )
    speech = np.asarray(speech, dtype=np.float64)
    noise = np.asarray(noise, dtype=np.float64)
    speech_power, noise_power = np.mean(speech**2), np.mean(noise**2)
    if not speech_power > 0 or not noise_power > 0:
        silent = "speech" if not speech_power > 0 else "noise"
        raise ValueError(f"the {silent} is silent: no signal-to-noise ratio exists")
    # A minus before the ratio: large ones underflow to no noise, rather than overflow.
    scaled = noise * np.sqrt(speech_power / noise_power) * 10.0 ** (-snr_db / 20)
    return (speech + scaled).astype(np.float32)


def measured_snr_db(speech: np.ndarray, mixture: np.ndarray) -> float:
    """The ratio in dB of speech power to the power of what was added to it.

    Raises:
        ValueError: if nothing was added.
    """
    speech = np.asarray(speech, dtype=np.float64)
    added = np.asarray(mixture, dtype=np.float64) - speech
    if not added.any():
        raise ValueError("nothing was added to the speech: no signal-to-noise ratio exists")
    return float(10 * np.log10(np.mean(speech**2) / np.mean(added**2)))


def cut_noise(noise: np.ndarray, n_samples: int, generator: np.random.Generator) -> np.ndarray:
    """Take ``n_samples`` of a recording from a random position, wrapping around at its end.

    Raises:
        ValueError: if the recording is empty.
    """
    if len(noise) == 0:
        raise ValueError("the noise recording is empty")
    start = int(generator.integers(len(noise)))
    return np.take(noise, np.arange(start, start + n_samples), mode="wrap")


def rank_voices(
    utterance: Utterance, others: Sequence[Utterance], generator: np.random.Generator
) -> list[Utterance]:
    """Put the utterances that may babble behind ``utterance`` in order, first choices first.

    Clips of other speakers come before other clips of the same speaker. The utterance itself (same
    id, or same stretch of the same file) is left out.
    """
    own_stretch = (utterance.path, utterance.start, utterance.end)
    candidates = [
        other
        for other in others
        if other.id != utterance.id and (other.path, other.start, other.end) != own_stretch
    ]
    order = [candidates[index] for index in generator.permutation(len(candidates))]
    return sorted(
        order,  # sorting keeps the drawn order among equals
        key=lambda other: utterance.speaker is not None and other.speaker == utterance.speaker,
    )


class NoiseSource(Protocol):
    """Gives each utterance its noise."""

    def for_utterance(self, utterance: Utterance, n_samples: int) -> np.ndarray:
        """[n_samples] float32, the same for the same utterance id and seed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Noise cut from one recording.

    Attributes:
        audio: [M] float at 16 kHz, not empty.
        seed: changes all positions.
    """

    audio: np.ndarray
    seed: int

    def for_utterance(self, utterance: Utterance, n_samples: int) -> np.ndarray:
        """Take a random stretch, wrapping around at the recording's end.

        Raises:
            UsageError: if that stretch is silent.
        """
        cut = cut_noise(self.audio, n_samples, generator_for(utterance.id, self.seed))
        if not cut.any():
            raise UsageError("the noise recording is silent for the length of a clip; give another")
        return cut


@dataclass(frozen=True, kw_only=True)
class Babble:
    """The sum of other utterances' voices, each at the same power and from a random position.

    Attributes:
        others: where voices are taken from; may hold the utterance itself, which is never chosen.
        read: gives the audio of an utterance, [M] float at 16 kHz; None if it has none.
        seed: changes all choices.
        n_voices: voices in the sum; fewer where there are not as many.
    """

    others: Sequence[Utterance]
    read: Callable[[Utterance], np.ndarray | None]
    seed: int
    n_voices: int = BABBLE_VOICES

    def for_utterance(self, utterance: Utterance, n_samples: int) -> np.ndarray:
        """Sum the first voices that can be heard.

        Raises:
            UsageError: if there are fewer than two.
        """
        generator = generator_for(utterance.id, self.seed)
        total = np.zeros(n_samples, dtype=np.float64)
        n_voices = 0
        for voice in rank_voices(utterance, self.others, generator):
            audio = self.read(voice)
            if audio is None or not audio.any():
                continue
            loudness = np.sqrt(np.mean(audio.astype(np.float64) ** 2))
            total += cut_noise(audio / loudness, n_samples, generator)
            n_voices += 1
            if n_voices == self.n_voices:
                break
        if n_voices < 2:
            raise UsageError(
                f"babble needs at least two other clips with sound, got {n_voices}; name a "
                "manifest that has more",
                settings=("babble_from",),
            )
        return total.astype(np.float32)
