"""Clips with sound and picture cut, sped up and placed alike, as encoder inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from audio_augmentation import NoiseSource, distort_mel, log_mel
from corpus import Corpus
from splicing import place_words
from streams import draw_plan, render_sound
from torch import Tensor
from video_augmentation import augment_pictures, cut_pictures, place_pictures

LENGTHS_S = (2.6, 2.8, 3.0, 3.2)  # one is drawn per batch; the words must fit


@dataclass(frozen=True)
class PairBatch:
    """Encoder inputs of both streams and what is said in them."""

    mels: Tensor  # [B, 80, F]
    pictures: Tensor  # [B, T, 1, 64, 64]
    texts: list[str]
    timings: list[list[tuple[str, float, float]]]  # each clip's words with start and end (s)


class PairSampler:
    """Draws audio-visual batches from corpora that have pictures.

    Args:
        corpora: prepared corpora.
        noise: where noise comes from.
        seed: fixes everything drawn.
    """

    def __init__(self, corpora: Sequence[Corpus], noise: NoiseSource | None, seed: int) -> None:
        self.corpora = list(corpora)
        self.noise = noise
        self.seed = seed

    def draw(
        self,
        step: int,
        size: int,
        shares: Sequence[float],
        strength: float,
        length_seed: int | None = None,
    ) -> PairBatch:
        """The batch of a step; the same arguments give the same batch.

        Batches of one ``length_seed`` are of one length.
        """
        generator = np.random.default_rng((self.seed, step))
        chooser = generator if length_seed is None else np.random.default_rng(length_seed)
        length_s = float(chooser.choice(LENGTHS_S))
        sounds, clips, texts, timings = [], [], [], []
        for _ in range(size):
            which = int(generator.choice(len(self.corpora), p=np.asarray(shares)))
            corpus = self.corpora[which]
            plan, speed, offset_s = draw_plan(corpus, strength, length_s, generator)
            sounds.append(
                render_sound(
                    corpus, plan, speed, offset_s, strength, length_s, self.noise, generator
                )
            )
            frames = cut_pictures(corpus, plan)
            n_frames = round(length_s * 25)
            clips.append(place_pictures(frames, offset_s, speed, n_frames, generator, strength))
            texts.append(plan.text)
            timings.append(place_words(plan.words, offset_s, speed))
        mels = torch.stack(
            [
                distort_mel(mel, strength, generator) if generator.random() < 0.9 else mel
                for mel in log_mel(torch.from_numpy(np.stack(sounds)))
            ]
        )
        pictures = augment_pictures(np.stack(clips), strength, generator)
        return PairBatch(mels, pictures, texts, timings)

    def clean(self, indices: Sequence[int]) -> PairBatch:
        """Whole clips of the first corpus, undistorted."""
        corpus = self.corpora[0]
        samples = torch.from_numpy(corpus.audio[list(indices)].astype(np.float32) / 32768)
        clips = np.stack([corpus.pictures(index) for index in indices])
        pictures = augment_pictures(clips, 0.0, np.random.default_rng(0))
        lines = [corpus.lines[index] for index in indices]
        return PairBatch(
            log_mel(samples),
            pictures,
            [line["text"] for line in lines],
            [line["words"] for line in lines],
        )
