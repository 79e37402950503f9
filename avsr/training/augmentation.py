"""Random changes of training clips: crop, flip, time masks, noise.

All randomness comes from the generator that is given. Shapes: N audio samples at 16 kHz, T video
frames at 25 fps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from avsr.errors import UsageError
from avsr.manifest import Utterance
from avsr.noise import cut_noise, mix_at_snr
from avsr.training.settings import AugmentationSettings
from avsr_frontends.rates import MOUTH_SIZE, SAMPLE_RATE, VIDEO_CROP_SIZE, VIDEO_FPS

# Masks of the published recipe (Auto-AVSR): one for each second, up to 0.4 s long.
VIDEO_MASK_FRAMES = 10
AUDIO_MASK_SAMPLES = 6400
BABBLE_S = 60  # length of the babble that is made from the training clips


@dataclass(frozen=True, kw_only=True)
class TrainingNoise:
    """Recordings to mix in, and how loud.

    Attributes:
        recordings: [M] float at 16 kHz each, none silent.
        snr_db: equally likely ratios.
        clean: no noise is one more choice.
    """

    recordings: tuple[np.ndarray, ...]
    snr_db: tuple[float, ...]
    clean: bool

    def add_to(self, audio: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Mix a random stretch of a random recording at a random ratio into [N] audio."""
        choice = int(generator.integers(len(self.snr_db) + self.clean))
        recording = self.recordings[int(generator.integers(len(self.recordings)))]
        noise = cut_noise(recording, len(audio), generator)
        if choice == len(self.snr_db) or not audio.any() or not noise.any():
            return audio
        return mix_at_snr(audio, noise, self.snr_db[choice])


def build_babble(
    utterances: Sequence[Utterance],
    read_audio: Callable[[Utterance], np.ndarray | None],
    *,
    n_voices: int,
    seed: int,
    duration_s: float = BABBLE_S,
) -> np.ndarray:
    """Make a recording in which ``n_voices`` speak at once, each a chain of random clips.

    Returns:
        [M] float32 at 16 kHz, the same for the same seed.

    Raises:
        UsageError: fewer than two clips have sound.
    """
    generator = np.random.default_rng((seed, n_voices))
    n_samples = round(duration_s * SAMPLE_RATE)
    total = np.zeros(n_samples)
    order = _endless(generator, len(utterances))
    heard: set[str] = set()
    for _ in range(n_voices):
        voice: list[np.ndarray] = []
        missing, failures = n_samples, 0
        while missing > 0:
            utterance = utterances[next(order)]
            audio = read_audio(utterance)
            if audio is None or not audio.any():
                failures += 1
                if failures > len(utterances):
                    raise UsageError("babble needs training clips with sound: there are none")
                continue
            heard.add(utterance.id)
            audio = np.asarray(audio, dtype=np.float64)
            voice.append(audio / np.sqrt(np.mean(audio**2)))
            missing -= len(audio)
        total += np.roll(np.concatenate(voice)[:n_samples], int(generator.integers(n_samples)))
    if len(heard) < 2:
        raise UsageError("babble needs at least two training clips with sound")
    return (total / np.abs(total).max()).astype(np.float32)


def _endless(generator: np.random.Generator, size: int) -> Iterator[int]:
    while True:
        yield from (int(index) for index in generator.permutation(size))


def augment_audio(
    audio: np.ndarray,
    settings: AugmentationSettings,
    noise: TrainingNoise | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """Mask [N] audio, then add noise; the input is not changed."""
    if settings.audio_mask:
        audio = mask_time(audio, AUDIO_MASK_SAMPLES, SAMPLE_RATE, generator)
    return audio if noise is None else noise.add_to(audio, generator)


def augment_video(
    mouth: np.ndarray, settings: AugmentationSettings, generator: np.random.Generator
) -> np.ndarray:
    """Crop, mirror and mask mouth crops [T, 96, 96] or [T, 96, 96, 3]; the input is not changed."""
    if settings.random_crop:
        mouth = place_crop(mouth, generator)
    if settings.flip and generator.random() < settings.flip:
        mouth = mouth[:, :, ::-1]
    if settings.video_mask:
        mouth = mask_time(mouth, VIDEO_MASK_FRAMES, VIDEO_FPS, generator)
    return np.ascontiguousarray(mouth)


def place_crop(mouth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Move a random 88 x 88 part of the pictures to the centre, which is what models are given."""
    room = MOUTH_SIZE - VIDEO_CROP_SIZE
    top, left = (int(n) for n in generator.integers(room + 1, size=2))
    placed = np.zeros_like(mouth)
    centre = slice(room // 2, room // 2 + VIDEO_CROP_SIZE)
    placed[:, centre, centre] = mouth[:, top : top + VIDEO_CROP_SIZE, left : left + VIDEO_CROP_SIZE]
    return placed


def mask_time(
    stream: np.ndarray, window: int, stride: int, generator: np.random.Generator
) -> np.ndarray:
    """Set random runs along the first axis to zero.

    One run for each ``stride`` steps begun, each shorter than ``window`` and possibly empty.
    """
    masked = stream.copy()
    for _ in range(-(-len(stream) // stride)):
        margin, length = (int(n) for n in generator.integers(window, size=2))
        start = int(generator.integers(max(1, len(stream) - margin)))
        masked[start : start + length] = 0
    return masked
