"""The joint experiment's recipes: the miniature (grid) and the full scale (lrs3)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from avsr.sinks.experiment import load_experiment
from avsr.training.settings_file import load_settings

RECIPES = Path(__file__).parents[3] / "recipes"
DEFINITION = RECIPES / "grid" / "sinks" / "experiment.yaml"
BUNDLED = Path(__file__).parents[3] / "avsr" / "bundled" / "grid-tiny"
BASES = sorted((RECIPES / "lrs" / "sinks").glob("*.yaml"))
RECIPE_FOLDERS = ("grid", "lrs/sinks", "grid/sinks")


def test_toy_language_copies_after_triggers(recipe):
    language = recipe("toy_language").ToyLanguage(3, 60, seed=1)
    batch = language.draw(5, 40, 50)
    assert torch.equal(batch, language.draw(5, 40, 50))
    assert not torch.equal(batch, language.draw(6, 40, 50))
    assert int(batch.min()) >= 3
    assert int(batch.max()) < 60
    triggers = torch.from_numpy(np.flatnonzero(language._is_trigger)) + 3
    after = torch.isin(batch[:, 1:-1], triggers)
    assert 0.08 < after.float().mean() < 0.25
    assert torch.equal(batch[:, 2:][after], batch[:, :-2][after])
    elsewhere = (batch[:, 2:] == batch[:, :-2])[~after]
    assert elsewhere.float().mean() < 0.2


def test_a_rotation_keeps_lengths(recipe):
    rotation = recipe("pretrain").rotation
    vectors = torch.randn(5, 128)
    for width in (128, 256):
        turned = vectors @ rotation(128, width)
        torch.testing.assert_close(turned @ turned.T, vectors @ vectors.T, atol=1e-3, rtol=1e-4)
    assert rotation(128, 64).shape == (128, 64)


def fake_cells(folder: Path, weights: tuple[float, ...] = (0.0, 100.0)) -> None:
    """Results of Matryoshka cells whose errors fall with the weight."""
    (folder / "cells").mkdir(parents=True)
    for cell in load_experiment(DEFINITION, "miniature").cells:
        if cell.training == "fixed" or cell.layer_norm or cell.weight not in weights:
            continue
        rows = [
            {
                "corpus": "dev", "modality": modality, "video_rate": video,
                "audio_rate": audio if modality == "av" else None, "variant": variant,
                "errors": [2 - (cell.weight > 0), 0, 0, 0], "n_words": [6, 6, 6, 6],
                "first_attention": 0.1, "first_is_sink": 0.5, "other_sinks": 0.25, "peak": 9.0,
                "peak_others": 8.0, "other_sink_tokens": 1.0, "cosine": 0.01, "cosine_abs": 0.05,
            }
            for modality in ("av", "video")
            for audio, video in cell.rate_pairs
            for variant in ("plain", "recycled-0.5")[: 2 - (cell.weight > 0)]
        ]  # fmt: skip
        named = {"training": cell.training, "weight": cell.weight, "layer_norm": cell.layer_norm,
                 "bos": cell.bos, "seed": cell.seed}  # fmt: skip
        values = {"cell": named, "settings": {"steps": 1}, "rows": rows}
        (folder / "cells" / f"{cell.name}.json").write_text(json.dumps(values))


def test_tables_of_results(recipe, tmp_path, monkeypatch, capsys):
    tables = recipe("tables")
    fake_cells(tmp_path / "one")
    log = tmp_path / "one" / "language_models" / "4x128" / "log.jsonl"
    log.parent.mkdir(parents=True)
    measured = {"loss": 2.0, "first_attention": 0.1, "first_is_sink": 0.0, "peak": 9.0,
                "other_sink_tokens": 0.0, "peak_others": 8.0}  # fmt: skip
    line = {f"{name}_text": value for name, value in measured.items()}
    log.write_text(json.dumps({"step": 0} | line) + "\n" + json.dumps({"step": 9} | line) + "\n")
    monkeypatch.setattr(
        "sys.argv", ["tables", "--work", str(tmp_path / "one"), "--out", str(tmp_path)]
    )
    tables.main()
    text = (tmp_path / "results.md").read_text()
    assert "| 0 | 8.3 (0.0-25.0; seeds 8.3-8.3) |" in text
    assert "| 100 | 4.2 (0.0-12.5; seeds 4.2-4.2) |" in text
    assert "recycled-0.5" in text
    assert "| 4x128 | text | 9 |" in text
    assert (tmp_path / "emergence.png").read_bytes().startswith(b"\x89PNG")
    fake_cells(tmp_path / "two")
    assert tables.compare(tmp_path / "one", tmp_path / "two") == 0
    changed = tmp_path / "two" / "cells" / "matryoshka-w0-s0.json"
    changed.write_text(changed.read_text().replace("0.25", "0.26"))
    assert tables.compare(tmp_path / "one", tmp_path / "two") == 1
    assert "matryoshka-w0-s0" in capsys.readouterr().out


@pytest.mark.parametrize("base", BASES, ids=lambda path: path.stem)
def test_every_full_scale_run_has_valid_settings(recipe, base):
    plan = recipe("plan")
    settings = load_settings(base)
    cells = load_experiment(DEFINITION, "lrs3").cells
    for cell in cells:
        loaded = load_settings(base, plan.overrides(cell, settings))
        assert loaded.objective.decorrelation.weight == cell.weight
        assert loaded.model.audio_projector_layer_norm is cell.layer_norm
        assert loaded.seed == cell.seed
        assert loaded.output.endswith(cell.name)
        assert {pair[0] for pair in cell.rate_pairs} == set(loaded.model.audio_rates or ())
        assert {pair[1] for pair in cell.rate_pairs} == set(loaded.model.video_rates or ())
    size = base.stem.rpartition("-")[2]
    hours = {cell.name: plan.gpu_hours(cell, size, 8.0) for cell in cells}
    assert hours["fixed-a32v10-w0-s0"] < hours["fixed-a4v2-w0-s0"] < 100


def test_full_scale_results_become_rows_of_the_same_tables(recipe):
    wer = {
        "rows": [{"modality": "video", "audio_rate": None, "video_rate": 5}],
        "utterances": [{"reference": "a b", "hypotheses": ["a c"]}],
    }
    item = {
        "n_layers": 4,
        "tokens": [{"kind": kind} for kind in ("bos", "marker", "video", "prompt", "text")],
        "sinks": [{"index": 0, "layers": [2, 3]}, {"index": 1, "layers": [1, 4]}],
        "received_attention": [[0.3] * 5] * 4,
        "peak_over_median": [[1, 1, 1, 1, 1]] + [[50, 9, 2, 2, 99]] * 4,
        "cosine_to_first": [[1, 0, 0, 0, 0]] * 2 + [[1, 0.5, 0.5, 0.5, 0]] * 3,
    }
    row = recipe("plan").collect(wer, {"inputs": [item]}, "video")
    assert (row["errors"], row["n_words"], row["video_rate"]) == ([1], [2], 5)
    assert row["first_is_sink"] == pytest.approx(2 / 3, abs=1e-4)
    assert row["other_sinks"] == pytest.approx(1 / 3, abs=1e-4)
    assert (row["other_sink_tokens"], row["peak"], row["peak_others"]) == (1, 50, 9)
    assert row["cosine"] == 0.25


@pytest.mark.slow
def test_same_seeds_give_the_same_results(recipe, tmp_path, monkeypatch):
    """Pre-training, training and measuring, twice, byte for byte."""
    definition = yaml.safe_load(DEFINITION.read_text())
    definition |= {"rate_pairs": [[4, 2], [32, 10]], "seeds": [0]}
    definition["blocks"] = [
        {"name": "a", "scales": ["miniature"], "training": ["matryoshka"], "weight": [0, 10],
         "layer_norm": [False], "bos": [True, False]}
    ]  # fmt: skip
    small = tmp_path / "small.yaml"
    small.write_text(yaml.safe_dump(definition))
    generator = np.random.default_rng(0)
    arrays = {
        "audio": generator.normal(size=(12, 140, 144)).astype(np.float16),
        "video": generator.normal(size=(12, 70, 144)).astype(np.float16),
    }
    labels = np.tile([10, 20, 30, 40, 50, 60, 2], (12, 1))
    for folder, more in (("features", {"labels": labels}), ("dev", {"texts": ["bin blue"] * 12})):
        (tmp_path / folder).mkdir()
        with open(tmp_path / folder / "chunk_000.npz", "wb") as file:
            np.savez(file, **arrays, **{name: np.array(value) for name, value in more.items()})
    results = []
    for run in ("one", "two"):
        for name, option in (("bos", []), ("none", ["--no-bos"])):
            out = str(tmp_path / run / name)
            words = ["--model", str(BUNDLED), "--out", out, "--steps", "2", "--batch-size", "2"]
            monkeypatch.setattr("sys.argv", ["pretrain", *words, *option])
            recipe("pretrain").main()
        words = {
            "definition": small, "model": BUNDLED, "features": tmp_path / "features",
            "dev-features": tmp_path / "dev", "language-model": tmp_path / run / "bos",
            "no-bos-language-model": tmp_path / run / "none", "out": tmp_path / run / "cells",
            "steps": 3, "batch-size": 4,
        }  # fmt: skip
        options = [str(word) for name, value in words.items() for word in (f"--{name}", value)]
        monkeypatch.setattr("sys.argv", ["run_cells", *options])
        recipe("run_cells").main()
        results.append(sorted((tmp_path / run / "cells").glob("*.json")))
    monkeypatch.setattr("sys.argv", ["run_cells", *options, "--steps", "4"])
    with pytest.raises(SystemExit, match="trained with other settings"):
        recipe("run_cells").main()
    assert len(results[0]) == 4
    for first, second in zip(*results, strict=True):
        assert first.read_bytes() == second.read_bytes()
        values = json.loads(first.read_text())
        without_loss, without_bos = values["cell"]["weight"] == 0, not values["cell"]["bos"]
        assert len(values["rows"]) == 2 * 2 * (1 + without_loss + without_bos)
