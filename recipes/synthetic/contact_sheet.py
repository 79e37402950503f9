"""Make the picture in the README: python recipes/synthetic/contact_sheet.py --out sheet.png"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import cv2
import numpy as np
from clips import motion, say
from crops import render_crops
from looks import sample_look
from sentences import grid_spoken
from skin import draw_skin
from speech import Speech
from video import FPS
from voices import sample_voice

_SENTENCE = ("bin", "blue", "with", "f", "two", "soon")
_ROWS = 6
_TILE = 80  # pixels
_GREY_LEVELS = 32  # fewer levels, smaller file


def main() -> None:
    """One person a row, all saying the same sentence; a column is the middle of a phone."""
    parser = argparse.ArgumentParser(
        description="Draw mouths of several people saying one sentence."
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    sheet = np.vstack([_row(rng) for _ in range(_ROWS)])
    step = 256 // _GREY_LEVELS
    cv2.imwrite(str(options.out), sheet // step * step, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _row(rng: random.Random) -> np.ndarray:
    """Crops side by side, uint8 [tile, width]."""
    speech = say(_SENTENCE, sample_voice("train", rng), rng, spoken=grid_spoken(_SENTENCE))
    look = sample_look(rng, {"drawn": 1})
    crops = render_crops(draw_skin(look.skin, look.seed), look, motion(speech, look))
    tiles = [cv2.resize(crops[frame], (_TILE, _TILE)) for frame in _moments(speech)]
    return np.hstack(tiles)


def _moments(speech: Speech) -> list[int]:
    """Frames at the first and the longest sound of each word: twelve for six words."""
    frames = []
    for word in speech.words:
        inside = [p for p in speech.phones if word.start <= p.start and p.end <= word.end + 1e-6]
        longest = max(inside[1:] or inside, key=lambda phone: phone.end - phone.start)
        for phone, part in ((inside[0], 0.4), (longest, 0.5)):
            frames.append(round((phone.start + part * (phone.end - phone.start)) * FPS))
    return frames


if __name__ == "__main__":
    main()
