"""A tiny prepared corpus for the training tests: each word has its own tone and brightness."""

import json
from pathlib import Path

import numpy as np

from avsr.clips.clip import Clip, save_clip
from tests.signals import tone

WORDS = ("bin", "lay", "place", "set")


def write_corpus(folder: Path, n_clips: int = 8, *, n_speakers: int = 2, prefix: str = "") -> Path:
    """Write prepared clips and their manifest; returns the manifest."""
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(n_clips):
        word = number % len(WORDS)
        name = f"{prefix}clip{number}"
        n_frames = 14 + 2 * (number % 3)
        ramp = np.linspace(0, 60, n_frames, dtype=np.uint8)[:, None, None]
        mouth = np.full((n_frames, 96, 96), 40 * word, dtype=np.uint8) + ramp
        mouth[:, :, 48:] //= 1 + word
        sound = tone(n_frames / 25, 200.0 + 300.0 * word)
        save_clip(clips / f"{name}.npz", Clip(audio=sound, mouth=mouth), [name])
        lines.append(
            {
                "id": name,
                "path": f"clips/{name}.npz",
                "text": f"{WORDS[word]} blue",
                "speaker": f"{prefix}s{number % n_speakers}",
            }
        )
    manifest = folder / f"{prefix or 'train'}.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest
