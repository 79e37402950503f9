"""Shrink a golden case of the official code for this repository.

    python tests/golden/shrink.py CASE_FOLDER tests/golden

What is left out is rebuilt by ``tests/golden_cases.py`` or is read by no test: Whisper's table of
positions (a formula), the second copy of tied embeddings, base models' weights (all that count are
in the checkpoint), and tensors on the way to the official training loss.
"""

import json
import lzma
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from avsr.conversion.avhubert import convert_avhubert
from tests.golden_cases import EMBEDDINGS, HEAD, POSITIONS, SMALL_CHECKPOINT

UNREAD = re.compile(r"train_tokens|train_.*labels_(?!in).*|train_.*inputs_embeds.*")
FACTS = ("options", "lora", "keys", "shapes", "texts")


def shrink(case: Path, folder: Path) -> None:
    """Write the small form of a case into ``folder``."""
    folder.mkdir(parents=True)
    tensors = torch.load(case / "checkpoint.pth", weights_only=True)
    left_out = {POSITIONS} | ({HEAD} if torch.equal(tensors[HEAD], tensors[EMBEDDINGS]) else set())
    kept = {name: value for name, value in tensors.items() if name not in left_out}
    (folder / SMALL_CHECKPOINT).write_bytes(lzma.compress(save(kept), preset=9))
    with np.load(case / "expected.npz") as expected:
        read = {name: expected[name] for name in expected if not UNREAD.fullmatch(name)}
    np.savez_compressed(folder / "expected.npz", **read)
    shutil.copyfile(case / "inputs.npz", folder / "inputs.npz")
    meta = json.loads((case / "meta.json").read_text())
    facts = {name: meta[name] for name in FACTS}
    facts["keys"] = sorted({name.partition(".")[0] for name in facts["keys"]})
    (folder / "meta.json").write_text(json.dumps(facts, indent=1) + "\n")
    for part in ("llm", "whisper"):
        (folder / part).mkdir()
        for file in (case / part).glob("*.json"):
            shutil.copyfile(file, folder / part / file.name)
    (folder / "avhubert").mkdir()
    convert_avhubert(case / "avhubert.pt", folder / "avhubert")
    (folder / "avhubert" / "model.safetensors").unlink()


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    shrink(source, target / source.name)
