"""The experiment on the English model: reductions, tables, and a cell that gives the same twice."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from avsr.sinks.experiment import load_experiment
from tests.english import write_tiny_english

RECIPE_FOLDERS = ("english", "english/sinks")
DEFINITION = Path(__file__).parents[3] / "recipes" / "english" / "sinks" / "experiment.yaml"


def test_the_definition_asks_for_sound_alone() -> None:
    cells = {cell.name: cell for cell in load_experiment(DEFINITION, "small").cells}
    both, coarse = cells["matryoshka-w100-norm-s0"], cells["fixed-a16-w100-norm-s0"]
    assert both.rate_pairs == ((4, None), (16, None))
    assert coarse.rate_pairs == ((16, None),)
    assert cells["matryoshka-w100-norm-released-s0"].layers == "released"
    assert {cell.weight for cell in cells.values()} == {0, 10, 100, 10000}
    for cell in cells.values():
        assert cell.layers == "paper" or cell.seed == 0  # once only
    for weight in (0, 10, 100):
        for training in ("matryoshka", "fixed"):
            seeds = [c.seed for c in cells.values() if (c.training, c.weight) == (training, weight)]
            assert {0, 1, 2} <= set(seeds)


def test_reductions_keep_time_and_what_differs(recipe) -> None:
    reduction = recipe("token_reduction")
    a, b, c = torch.eye(3)
    tokens = torch.stack([a, a * 2, b, b, b, c])
    merged = reduction.merge_similar(tokens, 3)
    torch.testing.assert_close(merged, torch.stack([a * 1.5, b, c]))
    two = reduction.merge_similar(torch.stack([a, a, a, a + 0.1 * b, c]), 2)
    torch.testing.assert_close(two, torch.stack([a + 0.025 * b, c]))  # weighted by frames
    kept = reduction.choose_diverse(tokens, 3)
    assert kept[:, 0].tolist() == [1, 0, 0]
    assert kept[-1].tolist() == c.tolist()
    assert kept[1].tolist() == b.tolist()
    pooled = reduction.mean_of_groups(tokens, 2)
    torch.testing.assert_close(pooled[0], (3 * a + b) / 3)
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(11, 5, generator=generator)
    for each in reduction.REDUCTIONS.values():
        assert [len(each(random, n)) for n in (1, 4, 11)] == [1, 4, 11]
        torch.testing.assert_close(each(random, 11), random)


def fake_cell(folder: Path, training: str, weight: float, seed: int, nats: list[float]) -> None:
    folder.mkdir(exist_ok=True)
    names = ("first_attention", "first_is_sink", "sinks_marker", "sinks_audio", "sinks_prompt",
             "peak", "peak_others", "cosine", "cosine_released")  # fmt: skip
    described = dict.fromkeys(names, 1.0)
    rates = (4, 16) if training == "matryoshka" else (16,)
    rows = [
        {"modality": "audio", "audio_rate": rate, "video_rate": None, "nll": nats,
         "n_tokens": [2] * len(nats), **described}
        for rate in rates
    ]  # fmt: skip
    cell = {"training": training, "weight": weight, "layers": "paper", "seed": seed}
    log = [{"step": 1, "rate": 16, "text": 1.0, "decorrelation": 0.2}]
    if weight:
        log[0] |= {"share": 0.25, "likeness": 0.5}
    values = {"cell": cell, "settings": {"steps": 1}, "log": log, "rows": rows}
    (folder / f"{training}-{weight:g}-{seed}.json").write_text(json.dumps(values))


def test_tables_pair_clips_and_seeds_and_choose_on_whole_sets(recipe, tmp_path, monkeypatch):
    cells = tmp_path / "cells"
    for training in ("matryoshka", "fixed"):
        for seed in (0, 1):
            fake_cell(cells, training, 0, seed, [4.0, 6.0])
            fake_cell(cells, training, 10, seed, [3.0 + seed, 5.0])
    fake_cell(cells, "fixed", 100, 0, [0.1, 0.1])  # best, but one seed only: not to be compared
    results = recipe("cell_results").Results(cells)
    assert results.chosen_weights() == {"matryoshka": 10, "fixed": 10}
    key = next(k for k in results.conditions if (k.training, k.weight, k.rate) == ("fixed", 10, 16))
    assert results.value(key, "nll")[0] == pytest.approx((8 + 9) / 2 / 4)
    change = results.change(key, key._replace(weight=0.0), "nll")
    assert change.seeds == pytest.approx((-0.5, -0.25))
    assert change.low == pytest.approx(-0.5, abs=0.13)
    assert change.mean == pytest.approx(-0.375)
    assert results.change(key, key._replace(weight=3.0), "nll") is None
    monkeypatch.setattr("sys.argv", ["cell_tables", "--work", str(tmp_path)])
    recipe("cell_tables").main()
    text = (tmp_path / "results.md").read_text()
    assert "| fixed | 10 | A16 | weight 0 | -0.375 (" in text
    assert "0.250 (A16)" in text
    assert "Test clips" not in text
    assert (tmp_path / "weights.png").read_bytes().startswith(b"\x89PNG")


def test_a_cell_run_twice_gives_the_same_bytes(recipe, tmp_path, monkeypatch):
    folder = write_tiny_english(tmp_path)
    folder.install(monkeypatch, reachable=True)
    monkeypatch.setenv("AVSR_CACHE", str(tmp_path / "cache"))
    write_shard = recipe("shards").write_shard
    rng = np.random.default_rng(0)
    width = folder.model.config.audio_config.d_model
    values = [rng.normal(size=(n, width)).astype(np.float16) for n in (32, 40, 48, 64)]
    write_shard(tmp_path / "clips" / "a.npz", values, ["good morning", "thank you"] * 2)
    definition = yaml.safe_load(DEFINITION.read_text()) | {"seeds": [0]}
    definition["blocks"] = [
        {"name": "a", "scales": ["small"], "training": ["matryoshka"], "weight": [0, 10],
         "layer_norm": [True]}
    ]  # fmt: skip
    small = tmp_path / "small.yaml"
    small.write_text(yaml.safe_dump(definition))
    clips = str(tmp_path / "clips")
    words = ["train_cells", "--definition", str(small), "--train", clips, "--dev", clips]
    words += ["--steps", "3", "--batch-size", "2"]
    for run in ("one", "two"):
        monkeypatch.setattr("sys.argv", [*words, "--out", str(tmp_path / run / "cells")])
        recipe("train_cells").main()
    files = sorted(path.name for path in (tmp_path / "one" / "cells").iterdir())
    assert len(files) == 4
    for name in files:
        first, second = ((tmp_path / run / "cells" / name).read_bytes() for run in ("one", "two"))
        assert first == second
    plain, weighted = (
        json.loads((tmp_path / "one" / "cells" / name).read_text())
        for name in files
        if name.endswith(".json")
    )
    assert [line["rate"] for line in plain["log"]] == [line["rate"] for line in weighted["log"]]
    assert plain["log"][0]["text"] == weighted["log"][0]["text"]  # they begin alike
    assert plain["rows"][0]["nll"] != weighted["rows"][0]["nll"]
    assert 0 < weighted["log"][-1]["share"] < 1
    monkeypatch.setattr("sys.argv", ["test_cells", "--cells", str(tmp_path / "one" / "cells"),
                                     "--test", clips])  # fmt: skip
    recipe("test_cells").main()
    measured = json.loads((tmp_path / "one" / "tests" / "matryoshka-w0-norm-s0.json").read_text())
    assert measured["rows"][0]["nll"] == plain["rows"][0]["nll"]  # what was trained was kept
    assert len(measured["rows"][0]["errors"]) == 4
