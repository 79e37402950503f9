"""Random training batches of one stream, made from prepared corpora."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from audio_augmentation import (
    NoiseSource,
    add_echo,
    change_speed,
    cut_sound,
    distort_mel,
    log_mel,
    mix,
    place,
)
from corpus import IGNORED, WORDS, Corpus, interval_labels
from splicing import Plan, choose_window, place_words, spliced_clip, whole_clip
from torch import Tensor
from video_augmentation import augment_pictures, cut_pictures, place_pictures

LENGTHS_S = (1.8, 2.0, 2.2, 2.4, 3.2)  # one is drawn per batch; words fill about 1.6 s


@dataclass(frozen=True)
class Batch:
    """Encoder input and the label of every output frame."""

    inputs: Tensor  # audio [B, 80, F] log-mel, video [B, T, 1, 64, 64]
    words: Tensor  # [B, T] int64
    phones: Tensor  # [B, T] int64, IGNORED where unknown


class StreamSampler:
    """Draws batches of one stream, "audio" or "video", from several corpora.

    Args:
        stream: which encoder the batches are for.
        corpora: prepared corpora.
        phones: phone numbering; what has no phone times or no number gets no labels.
        noise: where training noise comes from (audio only).
        seed: fixes everything drawn.
    """

    def __init__(
        self,
        stream: str,
        corpora: Sequence[Corpus],
        phones: dict[str, int],
        noise: NoiseSource | None,
        seed: int,
    ) -> None:
        self.stream = stream
        self.corpora = list(corpora)
        self.phones = phones
        self.noise = noise
        self.seed = seed
        self.frames_per_second = 50 if stream == "audio" else 25

    def draw(self, step: int, size: int, shares: Sequence[float], strength: float) -> Batch:
        """The batch of a training step; the same arguments give the same batch.

        Args:
            step: training step, part of the seed.
            size: clips.
            shares: probability of each corpus.
            strength: of the augmentation, 0 to 1.
        """
        generator = np.random.default_rng((self.seed, step))
        length_s = float(generator.choice(LENGTHS_S))
        rows = [self._draw_clip(generator, shares, strength, length_s) for _ in range(size)]
        words = torch.from_numpy(np.stack([row[1] for row in rows]))
        phones = torch.from_numpy(np.stack([row[2] for row in rows]))
        if self.stream == "audio":
            mels = log_mel(torch.from_numpy(np.stack([row[0] for row in rows])))
            inputs = torch.stack(
                [
                    distort_mel(mel, strength, generator) if generator.random() < 0.9 else mel
                    for mel in mels
                ]
            )
        else:
            inputs = augment_pictures(np.stack([row[0] for row in rows]), strength, generator)
        return Batch(inputs, words, phones)

    def clean_inputs(self, indices: Sequence[int]) -> Tensor:
        """Encoder inputs of whole clips of the first corpus, undistorted."""
        if self.stream == "audio":
            samples = self.corpora[0].audio[list(indices)].astype(np.float32) / 32768
            return log_mel(torch.from_numpy(samples))
        pictures = np.stack([self.corpora[0].pictures(index) for index in indices])
        return augment_pictures(pictures, 0.0, np.random.default_rng(0))

    def _draw_clip(
        self,
        generator: np.random.Generator,
        shares: Sequence[float],
        strength: float,
        length_s: float,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        which = int(generator.choice(len(self.corpora), p=np.asarray(shares)))
        corpus = self.corpora[which]
        plan, speed, offset_s = draw_plan(corpus, strength, length_s, generator)
        if self.stream == "audio":
            content = render_sound(
                corpus, plan, speed, offset_s, strength, length_s, self.noise, generator
            )
        else:
            content = place_pictures(
                cut_pictures(corpus, plan),
                offset_s,
                speed,
                round(length_s * 25),
                generator,
                strength,
            )
        words = self._labels(place_words(plan.words, offset_s, speed), length_s, WORDS.index)
        phones = np.full_like(words, IGNORED)
        timed = corpus.lines[plan.pieces[0].index].get("phones")
        if timed is not None and len(plan.pieces) == 1:
            timed = [(phone, start, end) for phone, start, end in timed]
            phones = self._labels(
                place_words(timed, offset_s, speed),
                length_s,
                lambda phone: self.phones.get(phone, IGNORED),
            )
        return content, words, phones

    def _labels(
        self,
        intervals: list[tuple[str, float, float]],
        length_s: float,
        number: Callable[[str], int],
    ) -> np.ndarray:
        timed = [(number(name), start, end) for name, start, end in intervals]
        return interval_labels(timed, self.frames_per_second, length_s)


def draw_plan(
    corpus: Corpus, strength: float, length_s: float, generator: np.random.Generator
) -> tuple[Plan, float, float]:
    """Choose a clip or a splice of two, its speed and where it begins (s)."""
    index = int(generator.integers(len(corpus)))
    plan = whole_clip(corpus, index)
    if generator.random() < 0.5 * strength:
        plan = spliced_clip(corpus, index, int(generator.integers(len(corpus))), generator)
    speed = 1.0
    if generator.random() < strength:
        speed = float(np.exp(generator.uniform(-0.19, 0.19)))
    return plan, speed, choose_window(plan.words, speed, length_s, generator)


def render_sound(
    corpus: Corpus,
    plan: Plan,
    speed: float,
    offset_s: float,
    strength: float,
    length_s: float,
    noise: NoiseSource | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """The samples [N] of a plan, with echo and noise at the rate that ``strength`` asks for."""
    n_samples = round(length_s * 16_000)
    samples = cut_sound(corpus, plan)
    if speed != 1.0:
        samples = change_speed(samples, speed)
    samples = place(samples, offset_s, n_samples)
    if generator.random() < 0.2 * strength:
        samples = add_echo(samples, generator)
    if noise is not None and generator.random() < 0.75 * strength:
        samples = mix(samples, noise.draw(n_samples, generator), generator.uniform(-5, 20))
    return samples.astype(np.float32)
