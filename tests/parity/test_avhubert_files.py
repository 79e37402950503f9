"""AV-HuBERT files of fairseq, converted and loaded, against features of the official code."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avsr.cli import run
from avsr_frontends.avhubert import AvHubertEncoder
from avsr_frontends.mouth import normalise_mouth
from tests.shared import GOLDEN

FOLDER = GOLDEN / "avhubert-video-prenorm"

pytestmark = pytest.mark.shared


@torch.no_grad()
@pytest.mark.parametrize("name", ["avhubert.pt", "avhubert_fairseq_pickles.pt"])
def test_converted_file(name: str, tmp_path: Path) -> None:
    """One of the files holds pickled objects of fairseq, which is not installed."""
    folder = tmp_path / "encoder"
    assert run(["convert", str(FOLDER / name), "-o", str(folder)]) == 0
    encoder = AvHubertEncoder.from_pretrained(folder)
    with np.load(FOLDER / "inputs.npz") as inputs:
        video = torch.from_numpy(np.stack([normalise_mouth(c) for c in inputs["mouth_u8"]]))
        audio = torch.from_numpy(inputs["audio_logfbank_B_104_T"]).transpose(1, 2)
    expected = np.load(FOLDER / "expected.npz")
    outputs = {
        "video_only": encoder(video),
        "audio_only": encoder(audio_features=audio),
        "audio_and_video": encoder(video, audio),
    }
    for streams, features in outputs.items():
        torch.testing.assert_close(features, torch.from_numpy(expected[streams]), atol=1e-5, rtol=0)
