"""AV-HuBERT files of fairseq, converted and loaded, against features of the official code."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avsr.cli import run
from avsr_frontends.avhubert import AvHubertEncoder
from avsr_frontends.mouth import normalise_mouth

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
FILES = sorted(GOLDEN.glob("avhubert-*/avhubert*.pt"))

pytestmark = pytest.mark.skipif(not FILES, reason="golden tensors are not beside the checkout")


@torch.no_grad()
@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_converted_file(file: Path, tmp_path: Path) -> None:
    """One of the files holds pickled objects of fairseq, which is not installed."""
    folder = tmp_path / "encoder"
    assert run(["convert", str(file), "-o", str(folder)]) == 0
    encoder = AvHubertEncoder.from_pretrained(folder)
    with np.load(file.parent / "inputs.npz") as inputs:
        video = torch.from_numpy(np.stack([normalise_mouth(c) for c in inputs["mouth_u8"]]))
        audio = torch.from_numpy(inputs["audio_logfbank_B_104_T"]).transpose(1, 2)
    expected = np.load(file.parent / "expected.npz")
    outputs = {
        "video_only": encoder(video),
        "audio_only": encoder(audio_features=audio),
        "audio_and_video": encoder(video, audio),
    }
    for name, features in outputs.items():
        torch.testing.assert_close(features, torch.from_numpy(expected[name]), atol=1e-5, rtol=0)
