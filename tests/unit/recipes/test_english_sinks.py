"""The experiment on the English model: reductions, tables, and a cell that gives the same twice."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from avsr import Route
from avsr.manifest import Utterance
from avsr.noise import measured_snr_db
from avsr.sinks.experiment import load_experiment
from avsr_adapters import tapped_attention
from tests.english import write_tiny_english
from tests.tiny import tiny_model

RECIPE_FOLDERS = ("english", "english/sinks")
RECIPE = Path(__file__).parents[3] / "recipes" / "english" / "sinks"
DEFINITION = RECIPE / "experiment.yaml"


def test_the_definition_asks_for_sound_alone() -> None:
    cells = {cell.name: cell for cell in load_experiment(DEFINITION, "small").cells}
    both, coarse = cells["matryoshka-w100-norm-s0"], cells["fixed-a16-w100-norm-s0"]
    assert both.rate_pairs == ((4, None), (16, None))
    assert coarse.rate_pairs == ((16, None),)
    assert cells["matryoshka-w100-norm-released-s0"].layers == "released"
    assert {cell.weight for cell in cells.values()} == {0, 1, 10, 100, 10000}
    for cell in cells.values():
        assert cell.layers == "paper" or cell.seed == 0  # once only
    for weight in (0, 1, 10, 100):
        for training in ("matryoshka", "fixed"):
            seeds = [c.seed for c in cells.values() if (c.training, c.weight) == (training, weight)]
            assert {0, 1, 2} <= set(seeds)


def test_cells_with_lips_train_and_measure_what_they_read(recipe, tmp_path) -> None:
    train = recipe("train_cells")
    tiny_model().save_pretrained(tmp_path)
    start = train.Start(tmp_path)
    rng = np.random.default_rng(0)
    sound, lips = ([rng.normal(size=(n, 16)) for n in (f * 32, f * 32 + 8)] for f in (2, 1))
    clips = recipe("cell_clips").CellClips(sound, ["a", "b"], [[8, 9, 2], [9, 2]], lips)
    settings = argparse.Namespace(steps=8, batch_size=2, learning_rate=1e-2)
    drawn: dict[str, set[str]] = {}
    cells = load_experiment(RECIPE / "lips.yaml", "small").cells
    assert {(cell.weight, cell.seed) for cell in cells} >= {(100, 2), (10, 1), (0, 0)}
    for cell in (cell for cell in cells if cell.seed == 0):
        model = start.begin(cell.seed)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        log = train.train_cell(model, cell, clips, settings)
        drawn[cell.name] = {line["rates"] for line in log}
        changed = {
            name.partition(".")[0]
            for name, value in model.state_dict().items()
            if not torch.equal(value, before[name])
        }
        streams = {stream for stream in ("audio", "video") if cell.rates(stream)}
        assert changed == {"language_model", *(f"{stream}_projector" for stream in streams)}
        route = train.routes_of(model, cell)[-1]
        row = recipe("cell_measures").measure(model.eval(), None, clips, route)
        assert len(row["nll"]) == 2
        assert ("audio_rate" in row, row["video_rate"]) == (True, 5)
    assert drawn["fixed-v5-w0-norm-s0"] == {"V5"}
    assert drawn["fixed-a16v5-w100-norm-s0"] == {"A16 V5"}
    every = {"A4 V2", "A4 V5", "A16 V2", "A16 V5"}
    assert drawn["matryoshka-w0-norm-s0"] == drawn["matryoshka-w100-norm-s0"] <= every
    assert len(drawn["matryoshka-w0-norm-s0"]) > 2


def test_babble_is_mixed_at_its_ratio_and_fits(recipe) -> None:
    recordings = recipe("recordings")
    rng = np.random.default_rng(0)
    clips = [0.9 * np.sign(rng.normal(size=800)).astype(np.float32) for _ in range(3)]
    spoken = [Utterance(id=str(n), path=Path(f"{n}.ogg"), text="a") for n in range(3)]
    noisy = recordings.in_babble(spoken, clips, 0.0)
    for clip, mixed in zip(clips, noisy, strict=True):
        assert np.abs(mixed).max() == pytest.approx(1)
        scale = np.dot(mixed, clip) / np.dot(clip, clip)  # noise is nearly at right angles
        assert measured_snr_db(scale * clip, mixed) == pytest.approx(0, abs=1)


def test_films_in_babble_have_other_sound_and_their_own_lips(recipe) -> None:
    lips, rng = recipe("lips"), np.random.default_rng(0)
    film = lips.Film(0.9 * np.sign(rng.normal(size=800)), np.zeros((1, 96, 96), np.uint8), "a")
    voices = [rng.normal(size=900).astype(np.float32) for _ in range(4)]
    mixed = lips.changes("babble", voices, [])(film, rng)
    assert mixed.mouth is film.mouth
    assert np.abs(mixed.sound).max() == pytest.approx(1)
    scale = np.dot(mixed.sound, film.sound) / np.dot(film.sound, film.sound)
    assert measured_snr_db(scale * film.sound, mixed.sound) == pytest.approx(0, abs=1)


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


def test_late_layers_do_without_the_keys_that_the_prompt_asks_least(recipe) -> None:
    streamed = torch.tensor([False, False, True, True, False, False])  # then two of the text
    tap = recipe("late_keys").LateKeys(streamed, 3, 0.5)
    weights = torch.full((1, 2, 8, 8), 1 / 8)
    weights[:, :, 6:, 2] = 0.5  # the text asks 2: that must not count
    weights[:, :, 4:6, 3] = 0.5
    assert tap(1, 0, weights) is weights
    left = tap(2, 0, weights)
    assert tap.dropped.tolist() == [False, False, True, False, False, False]
    torch.testing.assert_close(left.sum(dim=-1), torch.ones(1, 2, 8))
    assert not left[..., 2].any()
    assert left[0, 0, 4].tolist() == pytest.approx([0.1] * 2 + [0, 0.4] + [0.1] * 4)
    one = tap(5, 8, weights[:, :, :1, :])  # a later step of a search
    assert not one[..., 2].any()
    every = recipe("late_keys").LateKeys(streamed, 2, 1.0)
    every(0, 0, weights)
    assert every.dropped.tolist() == streamed.tolist()
    blocks = recipe("late_keys").LateKeys(streamed, 3, 0.5)
    for first in range(8):  # attention may come in blocks of queries
        blocks(1, first, weights[:, :, first : first + 1])
    assert blocks.dropped.tolist() == tap.dropped.tolist()


def test_late_keys_change_what_a_model_reads_from_their_layer_on(recipe) -> None:
    late, model = recipe("late_keys"), tiny_model(seed=3).eval()
    embeds = torch.randn(1, 9, model.language_model.config.hidden_size)
    streamed = torch.zeros(9, dtype=torch.bool)
    streamed[2:6] = True

    def logits(tap) -> torch.Tensor:
        with torch.no_grad(), tapped_attention(model.language_model, tap):
            return model.language_model(inputs_embeds=embeds, use_cache=False).logits[0, 6:]

    plain = logits(lambda layer, first, weights: weights)
    n_layers = model.language_model.config.num_hidden_layers
    torch.testing.assert_close(logits(late.LateKeys(streamed, n_layers + 1, 1.0)), plain)
    changed = logits(late.LateKeys(streamed, 2, 1.0))
    assert not torch.allclose(changed, plain)


def test_a_budget_goes_where_a_head_is_sure(recipe) -> None:
    budget = recipe("token_budget")
    sure = torch.tensor([[0.98, 0.01, 0.01]]).log()
    unsure = torch.tensor([[0.4, 0.35, 0.25], [0.0, 0.0, 1.0]]).clamp(min=1e-9).log()
    assert 0.85 < budget.sureness(sure) <= 1
    assert budget.sureness(unsure) == pytest.approx(1 / 2.946, abs=1e-3)  # the blank not counted
    assert budget.sureness(unsure[1:]) == pytest.approx(1 / 3)
    assert budget.split_budget(30, 20, 25, 0.5) == (12, 13)
    assert budget.split_budget(30, 20, 25, 1.0) == (24, 1)
    assert budget.split_budget(10, 20, 25, 1.0) == (10, 15)
    assert budget.split_budget(30, 20, 25, 0.0) == (5, 20)


@torch.no_grad()
def test_sound_and_lips_are_read_without_training(recipe) -> None:
    model = tiny_model(audio_ctc=True, video_ctc=True)
    rng = np.random.default_rng(0)
    sound, lips = [rng.normal(size=(64, 16))], [rng.normal(size=(32, 16))]
    clips = recipe("cell_clips").CellClips(sound, ["a"], [[9, 2]], lips)
    prefix = recipe("clip_prefix").prefix_of(model, clips, 0, Route.parse("A4 V2"))
    assert prefix.spans == {"audio": slice(2, 18), "video": slice(20, 36)}
    table = model.get_input_embeddings()
    markers = [prefix.embeds[0, at] for at in (1, 18, 19, 36)]
    torch.testing.assert_close(torch.stack(markers), table(torch.tensor([28, 29, 30, 31])))
    assert 0 < prefix.sound_share < 1
    free = recipe("training_free")
    found = free.variants(model, prefix, (2,))
    shorter = {
        name: prefix.embeds.shape[1] - embeds.shape[1] for name, (embeds, _) in found.items()
    }
    for name in ("diverse-2", "split-sound", "split-lips", "split-measured"):
        assert shorter[name] == 16  # half of 32
    assert shorter["late-10-0.5"] == 0
    kept, _ = found["split-lips"]  # BOS, <audio>, one of sound, </audio>, <video>, 15 of lips
    expected = prefix.embeds[0, [0, 1, 2, 18, 19, 20]]
    torch.testing.assert_close(kept[0, :6], expected, atol=0.0, rtol=0.0)
    torch.testing.assert_close(kept[0, 20:], prefix.embeds[0, 36:], atol=0.0, rtol=0.0)


def test_variants_are_compared_with_others_as_long(recipe) -> None:
    equally_long = recipe("free_tables").equally_long
    assert equally_long("A4 merged-4") == "A16 plain"
    assert equally_long("A4 diverse-8") == "A16 diverse-2"
    assert equally_long("A4 V2 split-measured") == "A4 V2 diverse-2"
    assert not any(
        map(equally_long, ("A4 plain", "A4 V2 diverse-2", "A4 late-20-1", "A16 merged-2"))
    )


def test_layers_are_shown_as_runs(recipe) -> None:
    layers_of = recipe("free_tables").layers_of
    assert layers_of([0, 0.5, 1, 1, 0.4, 1]) == "2-4, 6"
    assert layers_of([0.1, 0.2]) == ""


def fake_cell(folder: Path, training: str, weight: float, seed: int, nats: list[float]) -> None:
    folder.mkdir(exist_ok=True)
    names = ("first_attention", "first_is_sink", "sinks_marker", "sinks_audio", "sinks_video",
             "sinks_prompt", "peak", "peak_others", "cosine", "cosine_released")  # fmt: skip
    described = dict.fromkeys(names, 1.0)
    rates = (4, 16) if training == "matryoshka" else (16,)
    rows = [
        {"modality": "audio", "audio_rate": rate, "video_rate": None, "nll": nats,
         "n_tokens": [2] * len(nats), **described}
        for rate in rates
    ]  # fmt: skip
    cell = {"training": training, "weight": weight, "layers": "paper", "seed": seed}
    log = [{"step": 1, "rates": "A16", "text": 1.0, "decorrelation": 0.2}]
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
            fake_cell(cells, training, 1, seed, [3.9, 6.0])  # worse than 10; 0 is not chosen
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
    assert "test clips" not in text
    assert (tmp_path / "weights.png").read_bytes().startswith(b"\x89PNG")


def test_cells_with_lips_have_a_document_of_their_own(recipe, tmp_path, monkeypatch):
    fake_cell(tmp_path / "lips_cells", "fixed", 0, 0, [4.0, 6.0])
    fake_cell(tmp_path / "lips_tests", "fixed", 0, 0, [5.0, 6.0])
    monkeypatch.setattr("sys.argv", ["cell_tables", "--work", str(tmp_path)])
    recipe("cell_tables").main()
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {"lips_results.md", "lips_weights.png"}
    text = (tmp_path / "lips_results.md").read_text()
    assert "## Sound and lips, development clips" in text
    assert "## Sound and lips, test clips" in text


def tiny_clips(recipe, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny English model in the bundled one's place, and four clips for it."""
    tiny = write_tiny_english(folder)
    tiny.install(monkeypatch, reachable=True)
    monkeypatch.setenv("AVSR_CACHE", str(folder / "cache"))
    rng = np.random.default_rng(0)
    width = tiny.model.config.audio_config.d_model
    values = [rng.normal(size=(n, width)).astype(np.float16) for n in (32, 40, 48, 64)]
    texts = ["good morning", "thank you"] * 2
    recipe("shards").write_shard(folder / "clips" / "a.npz", values, texts)


def test_what_needs_no_training_is_measured_and_shown(recipe, tmp_path, monkeypatch):
    tiny_clips(recipe, tmp_path, monkeypatch)
    clips = str(tmp_path / "clips")
    for script, name in (("training_free", "free_dev"), ("before_after", "before_after")):
        words = [script, "--features", clips, "--out", str(tmp_path / f"{name}.json")]
        words += ["--words"] * (script == "training_free")
        monkeypatch.setattr("sys.argv", words)
        recipe(script).main()
    found = json.loads((tmp_path / "free_dev.json").read_text())
    assert found["seconds"] == [0.64, 0.8, 0.96, 1.28]
    variants = found["variants"]
    assert variants["A4 plain"]["n_streamed"] == [8, 10, 12, 16]
    assert variants["A4 merged-4"]["n_streamed"] == [2, 2, 3, 4]
    assert variants["A4 diverse-2"]["n_streamed"] == [4, 5, 6, 8]
    assert variants["A16 plain"]["n_streamed"] == [2, 2, 3, 4]
    assert (
        variants["A16 merged-2"]["n_streamed"]
        == variants["A4 merged-8"]["n_streamed"]
        == [1, 1, 1, 2]
    )
    assert "A16 merged-4" not in variants
    for name, variant in variants.items():
        assert len(variant["nll"]) == len(variant["errors"]) == 4
        # the tiny model has no sinks but BOS, if any: only these variants must differ
        if name.startswith("A4") and name.endswith(("register", "merged-4", "diverse-4")):
            assert variant["nll"] != variants["A4 plain"]["nll"]
    tables = recipe("free_tables")
    shown = tables.free_table(tmp_path / "free_dev.json")
    plain = next(line for line in shown.splitlines() if line.startswith("| A4 | plain |"))
    nats = sum(variants["A4 plain"]["nll"]) / sum(found["n_tokens"])
    assert f"| {nats:.3f} (" in plain
    nats = [np.array(variants[name]["nll"]) for name in ("A4 merged-8", "A16 merged-2")]
    change = (nats[0] - nats[1]).sum() / sum(found["n_tokens"])
    eighth = next(line for line in shown.splitlines() if line.startswith("| A4 | merged-8 |"))
    assert f"| {change:+.3f} (" in eighth
    compared = tables.before_after_table(tmp_path / "before_after.json")
    assert "| A4 | mean cos², layers 2 to L-1 |" in compared
    assert "| A16 | `<audio>` |" in compared
    figure = recipe("cell_figures").draw_tokens({"clean": found})
    assert figure.axes[0].get_xlabel() == "tokens of sound a second"


def test_a_cell_run_twice_gives_the_same_bytes(recipe, tmp_path, monkeypatch):
    tiny_clips(recipe, tmp_path, monkeypatch)
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
    assert [line["rates"] for line in plain["log"]] == [line["rates"] for line in weighted["log"]]
    assert plain["log"][0]["text"] == weighted["log"][0]["text"]  # they begin alike
    assert plain["rows"][0]["nll"] != weighted["rows"][0]["nll"]
    assert 0 < weighted["log"][-1]["share"] < 1
    words = ["test_cells", "--cells", str(tmp_path / "one" / "cells"), "--test", clips, "--words"]
    monkeypatch.setattr("sys.argv", [*words, "--out", str(tmp_path / "tests")])
    recipe("test_cells").main()
    measured = json.loads((tmp_path / "tests" / "matryoshka-w0-norm-s0.json").read_text())
    assert measured["rows"][0]["nll"] == plain["rows"][0]["nll"]  # what was trained was kept
    assert len(measured["rows"][0]["errors"]) == 4
