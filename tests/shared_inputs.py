"""Files from outside the repository that tests read where they lie beside the checkout."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_input(name: str) -> Path:
    """A file of the folder of real inputs; the test is skipped where it is not there."""
    return _found(SHARED / "inputs" / name)


def grid_clip(name: str) -> Path:
    """A clip of the GRID corpus such as ``s1/bbie8n.mp4``, likewise."""
    return _found(SHARED / "data" / "grid" / name)


def _found(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} does not lie beside this checkout")
    return path
