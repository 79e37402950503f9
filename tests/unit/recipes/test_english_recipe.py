"""The English recipe: shards, spelling with few pieces, disturbed sound, drafts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avsr.noise import mix_at_snr
from tests.byte_level import byte_tokenizer
from tests.english import stored_names, write_tiny_english

RECIPE_FOLDERS = ("english",)


def test_a_bundle_names_base_models_and_no_folder_of_this_machine(
    recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = write_tiny_english(tmp_path)
    tiny.install(monkeypatch, reachable=False)
    trained, out = tmp_path / "bundled" / "english", tmp_path / "out"
    config = json.loads((trained / "config.json").read_text())
    for base in config["base_models"].values():
        base["name"] = str(tmp_path / "bases" / base["name"])
    (trained / "config.json").write_text(json.dumps(config))
    bundle = recipe("bundle")
    bundle.write_bundle(trained, out)
    assert stored_names(out) == {"tiny-llama", "tiny-whisper"}
    written = [path for path in out.rglob("*") if path.is_file()]
    assert {path.relative_to(out) for path in written} == {
        path.relative_to(trained) for path in trained.rglob("*") if path.is_file()
    }
    assert not [path for path in written if str(tmp_path).encode() in path.read_bytes()]
    adapter = json.loads((out / "lora" / "shared" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "owner/tiny-llama"
    with pytest.raises(ValueError, match="elsewhere: is none of"):
        bundle.bundled_config({"base_models": {"text": {"name": "/models/elsewhere"}}})


def test_rare_words_are_spelt_with_the_pieces_of_common_ones(recipe) -> None:
    pieces = recipe("pieces")
    tokenizer = byte_tokenizer(["the", "then", "zebra"])
    texts = ["the then the"] * 5 + ["zebra"]
    chosen = pieces.choose_pieces(tokenizer, texts, 3)
    names = tokenizer.convert_ids_to_tokens(chosen)
    assert "Ġthe" in names
    assert "Ġthen" in names
    assert "Ġzebra" not in names
    speller = pieces.Speller(tokenizer, chosen)
    rows = speller.encode("the zebra then")
    assert [names[row] for row in rows] == ["Ġthe", "Ġz", "e", "b", "r", "a", "Ġthen"]
    assert speller.decode(rows) == "the zebra then"


def test_shards_give_back_what_was_written_and_leave_no_part(recipe, tmp_path: Path) -> None:
    shards = recipe("shards")
    clips = [np.arange(5, dtype=np.int16), np.arange(3, dtype=np.int16) - 7]
    file = tmp_path / "new" / "a.npz"
    shards.write_shard(file, clips, ["one", "two's"])
    shard = shards.read_shard(file)
    assert shard.texts == ["one", "two's"]
    for own, read in zip(clips, shard.values, strict=True):
        np.testing.assert_array_equal(own, read)
    assert [path.name for path in file.parent.iterdir()] == ["a.npz"]


def test_disturbed_sound_is_fixed_by_its_seed_and_stays_in_range(recipe) -> None:
    sound = recipe("sound")
    times = np.arange(16_000) / 16_000
    clip = np.sin(2 * np.pi * 200 * times).astype(np.float32)
    other = np.sign(np.sin(2 * np.pi * 90 * times)).astype(np.float32)

    def heard(seed: int) -> np.ndarray:
        return sound.disturb(clip, [other], [], np.random.default_rng(seed), 1.0)

    np.testing.assert_array_equal(heard(1), heard(1))
    assert not np.array_equal(heard(1), heard(2))
    assert max(np.abs(heard(seed)).max() for seed in range(8)) <= 1
    mixed = mix_at_snr(clip, other, 6.0)
    ratio = sound.level(clip) / sound.level(mixed - clip)
    assert 20 * np.log10(ratio) == pytest.approx(6.0, abs=0.01)


def test_drafts_are_own_foreign_or_none_and_read_as_words(recipe, tmp_path: Path) -> None:
    shards, data = recipe("shards"), recipe("reader_data")
    values = [np.full((20 + i, 4), i, np.float16) for i in range(40)]
    shards.write_shard(tmp_path / "s.npz", values, [f"text {i}" for i in range(40)])
    (tmp_path / "s.drafts.json").write_text(json.dumps([f"Draft {i}!" for i in range(40)]))
    source = data.Source(tmp_path)
    rng = np.random.default_rng(0)
    kinds = {"own": 0, "foreign": 0, "none": 0}
    for _ in range(60):
        batch = source.draw(rng, 8)
        assert batch.streams.audio.features.shape[0] == len(batch.texts) == len(batch.drafts)
        for row, (text, draft) in enumerate(zip(batch.texts, batch.drafts, strict=True)):
            number = int(text.split()[1])
            assert batch.streams.audio.features[row, 0, 0] == number
            own = data.spoken_form(f"Draft {number}!")
            kinds["none" if draft is None else "own" if draft == own else "foreign"] += 1
    assert kinds["own"] > kinds["none"] > kinds["foreign"] > 0
    first = source.first(10, 4, drafted=True)
    assert [len(batch.texts) for batch in first] == [4, 4, 2]
    assert first[0].drafts[:2] == ["draft zero", "draft one"]


def test_training_stops_at_its_time_and_resumes_where_it_was(recipe, tmp_path: Path) -> None:
    timed = recipe("timed_training")
    settings = {
        "hours": 1.0,
        "peak": 0.1,
        "warmup_steps": 1,
        "average_decay": 0.5,
        "max_grad_norm": 1.0,
        "save_every_s": 1e9,
    }
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    training = timed.TimedTraining(model, tmp_path, **settings)
    for _ in range(5):
        training.update(model(torch.ones(1, 3)).square().sum())
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with training.averaged():
        assert not torch.equal(model.weight, own["weight"])
        torch.testing.assert_close(model.weight.detach(), training.average["weight"])
    torch.testing.assert_close(model.weight.detach(), own["weight"])
    assert not training.is_due
    training.save({"wer": 0.5})
    assert not training.is_over
    other = torch.nn.Linear(3, 1)
    resumed = timed.TimedTraining(other, tmp_path, **settings)
    assert resumed.step == 5
    for name, value in other.state_dict().items():
        torch.testing.assert_close(value, own[name])
    resumed.hours = 1e-9
    assert resumed.is_due
    resumed.save({"wer": 0.4})
    assert resumed.is_over
    assert timed.TimedTraining(other, tmp_path, **{**settings, "hours": 1e-9}).is_over
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().split("\n") if line]
    assert [line["wer"] for line in lines] == [0.5, 0.4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "state.pt"]
