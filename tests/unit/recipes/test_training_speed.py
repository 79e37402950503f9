"""The recipe that measures how quickly models train."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from tests.training_data import write_corpus

BENCHMARK = Path(__file__).parents[3] / "recipes" / "benchmark"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARK))
    return importlib.import_module("training")


def test_what_warms_up_is_not_counted(recipe):
    speeds = [1.0, 2.0, 50.0, 70.0, 60.0]
    lines = [
        {"clip_s_per_s": v, "tokens_per_s": 10 * v, "peak_memory_gb": 1 + v / 100} for v in speeds
    ]
    found = recipe.summary(lines)
    assert found == {"clip_s_per_s": 60.0, "tokens_per_s": 600.0, "peak_memory_gb": 1.7}
    with pytest.raises(RuntimeError, match="--steps 6"):
        recipe.summary(lines[:2])


def test_the_bundled_model_is_measured(recipe, tmp_path, monkeypatch, capsys):
    manifest, output = write_corpus(tmp_path), tmp_path / "speed.json"
    words = ["--manifest", str(manifest), "--steps", "6", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["training.py", *words, "batch.max_frames=60"])
    recipe.main()
    (row,) = json.loads(output.read_text())
    assert row["model"] == "grid-tiny"
    assert row["tokens_per_s"] > row["clip_s_per_s"] > 0
    assert f"| grid-tiny | 1 | {row['clip_s_per_s']:.1f} |" in capsys.readouterr().out
