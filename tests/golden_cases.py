"""Golden cases of the official code: two small ones in ``tests/golden``, whole ones in ``shared``.

A whole case holds a checkpoint as the official code writes it, with its base models. A small one
(``tests/golden/shrink.py``) lacks what is rebuilt here.
"""

import lzma
from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from transformers import WhisperConfig, WhisperModel

from tests.shared import GOLDEN

SMALL = Path(__file__).parent / "golden"
SMALL_CHECKPOINT = "checkpoint.safetensors.xz"
POSITIONS = "audio_encoder.embed_positions.weight"
EMBEDDINGS, HEAD = "llm.model.embed_tokens.weight", "llm.lm_head.weight"

CASES = [
    SMALL / "llama-avsr-av-avgpool-sink",
    SMALL / "omni-avsr-ST",
    *(
        pytest.param(GOLDEN / name, marks=pytest.mark.shared)
        for name in ("llama-avsr-av-avgpool-sink", "llama-mtsk-audiovisual", "omni-avsr-ST")
    ),
]


def official_checkpoint(case: Path, folder: Path) -> Path:
    """The checkpoint of a case as the official code writes it; written to ``folder`` if needed."""
    small = case / SMALL_CHECKPOINT
    if not small.is_file():
        return case / "checkpoint.pth"
    tensors = load(lzma.decompress(small.read_bytes()))
    whisper = WhisperModel(WhisperConfig.from_pretrained(case / "whisper"))
    tensors[POSITIONS] = whisper.encoder.embed_positions.weight.detach()
    tensors.setdefault(HEAD, tensors[EMBEDDINGS])
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pth"
    torch.save(tensors, checkpoint)
    return checkpoint


def base_video_encoder(case: Path) -> Path:
    """The AV-HuBERT that a case is built on: a fairseq file, or a folder with its configuration."""
    folder = case / "avhubert"
    return folder if folder.is_dir() else case / "avhubert.pt"
