"""The sample clips, and what a recording is."""

import shutil
from pathlib import Path

from avsr_demo.samples import sample_in, samples


def test_each_sample_names_its_model_and_its_babble() -> None:
    found = {sample.id: (sample.model, sample.snr_db) for sample in samples()}

    assert found == {
        "clean": ("grid-tiny", None),
        "babble_0db": ("grid-tiny", 0.0),
        "silent": ("grid-tiny", None),
        "english": ("english", None),
    }


def test_a_copy_is_known_by_its_content(tmp_path: Path) -> None:
    babble = next(sample for sample in samples() if sample.id == "babble_0db")
    copy, other = tmp_path / "mine.mp4", tmp_path / "babble_0db.mp4"
    shutil.copy(babble.path, copy)
    other.write_bytes(babble.path.read_bytes() + b"0")

    assert sample_in(copy) == babble
    assert sample_in(other) is None
