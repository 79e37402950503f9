"""Settings: strict, all errors at once; every recipe in the repository loads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from avsr.errors import UsageError
from avsr.training.settings import TrainConfig
from avsr.training.settings_file import (
    SettingsError,
    changed_settings,
    dump_settings,
    load_settings,
)

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "recipes"
SYSTEMS = sorted((RECIPES / "lrs" / "systems").glob("*.yaml"))
CORPORA = sorted((RECIPES / "lrs" / "data").glob("*.yaml"))
LARGER = RECIPES / "lrs" / "llama-3.2-3b.yaml"
ALONE = (
    "grid/adapt",
    "grid/adapters",
    "grid/distrust",
    "lrs/sinks/llama-3.2-1b",
    "lrs/sinks/llama-3.2-3b",
)
SMALLEST = {
    "output": "run",
    "init": {"model": "grid-tiny"},
    "data": {"train": "train.jsonl"},
}


def written(folder: Path, **changes: object) -> Path:
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump({**SMALLEST, **changes}))
    return path


@pytest.mark.parametrize("data", CORPORA, ids=lambda path: path.stem)
@pytest.mark.parametrize("system", SYSTEMS, ids=lambda path: path.stem)
def test_every_system_learns_from_every_corpus(system: Path, data: Path) -> None:
    config = load_settings([system, data], ["output=runs/try"])
    assert config.has_dev
    assert config.optimizer.bf16
    assert config.init.language_model == "meta-llama/Llama-3.2-1B"
    assert all(name.startswith(f"data/{data.stem}/") for name in config.data.train)
    larger = load_settings([system, LARGER, data], ["output=runs/try"])
    assert larger.init.language_model == "meta-llama/Llama-3.2-3B"
    assert (config.model.lora_rank, larger.model.lora_rank) == (64, 96)
    assert changed_settings(config, larger) == ["init.language_model", "model.lora_rank"]


@pytest.mark.parametrize("name", ALONE)
def test_recipes_of_one_file_load(name: str) -> None:
    config = load_settings(RECIPES / f"{name}.yaml")
    assert config.output.startswith("runs/")
    assert config.has_dev
    assert config.optimizer.bf16 == (not name.startswith("grid"))  # the miniature runs on a CPU


def test_no_recipe_is_forgotten() -> None:
    assert (len(SYSTEMS), [path.stem for path in CORPORA]) == (9, ["lrs2", "lrs3"])
    settings = {path for path in RECIPES.rglob("*.yaml") if "optimizer:" in path.read_text()}
    assert settings == {*SYSTEMS, *(RECIPES / f"{name}.yaml" for name in ALONE)}


def test_the_launchers_settings_load() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    loaded: Any = load_config_from_file(str(RECIPES / "lrs" / "fsdp.yaml"))
    assert loaded.fsdp_config["fsdp_version"] == 2


def test_later_files_win_section_by_section(tmp_path: Path) -> None:
    first = written(tmp_path, optimizer={"epochs": 3, "warmup_steps": 5}, batch={"max_clips": 4})
    second, third = tmp_path / "second.yaml", tmp_path / "third.yaml"
    second.write_text("data: {train: [a.jsonl, b.jsonl]}\noptimizer: {epochs: 2}\nbatch:\n")
    third.write_text("seed: 3\noptimizer: {epochs: 1, schedule: wavy}\n")
    config = load_settings([first, second], ["optimizer.epochs=6"])
    assert config.data.train == ("a.jsonl", "b.jsonl")
    assert (config.optimizer.epochs, config.optimizer.warmup_steps) == (6.0, 5)
    assert config.batch.max_clips == 4
    with pytest.raises(SettingsError, match=r"settings.yaml, .*third.yaml: one setting is wrong"):
        load_settings([first, third])
    with pytest.raises(UsageError, match=r"gone.yaml: no such settings file"):
        load_settings([first, tmp_path / "gone.yaml"])


def test_values_are_converted_by_field(tmp_path: Path) -> None:
    path = written(tmp_path, optimizer={"learning_rate": "5e-4", "max_steps": "1e3"})
    config = load_settings(path, ["batch.max_frames=600", "augmentation.noise=[babble, a.wav]"])
    assert config.optimizer.learning_rate == 5e-4
    assert config.optimizer.max_steps == 1000
    assert config.data.train == ("train.jsonl",)
    assert config.batch.max_frames == 600
    assert config.augmentation.noise == ("babble", "a.wav")


def test_all_errors_come_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        optimiser={"learning_rat": 1},
        batch={"max_frame": 3, "accumulation": 1.5},
        optimizer={"bf16": 1, "schedule": "cosin"},
        data={"train": ["a"], "seed": 1},
    )
    with pytest.raises(SettingsError) as caught:
        load_settings(path, ["data.max_duration_s=long", "nonsense"])
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 9, text
    assert "optimiser is unknown; did you mean optimizer?" in text
    assert "optimizer.learning_rat is unknown; did you mean optimizer.learning_rate?" in text
    assert "did you mean batch.max_frames?" in text
    assert "batch.accumulation must be a whole number, got 1.5" in text
    assert "optimizer.bf16 must be true or false, got 1" in text
    assert "optimizer.schedule must be one of cosine, linear, constant" in text
    assert "data.seed is unknown; did you mean seed?" in text
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"data": {"train": "a", "dev": "lists/TEST.jsonl"}}, "looks like a test set"),
        ({"data": {"train": "a", "dev": "b", "dev_speakers": 2}}, "exclude each other"),
        ({"checkpoint": {"patience": 2}}, "patience needs data.dev"),
        ({"checkpoint": {"every": 30, "log_every": 20}}, "multiple of checkpoint.log_every"),
        ({"checkpoint": {"average": 5}}, "raise checkpoint.keep"),
        ({"model": {"lora_rank": 8}}, "architecture of init.model is fixed"),
        ({"init": {"model": "a", "language_model": "b"}}, "remove init.language_model"),
        ({"init": {}}, "init needs model"),
        ({"init": {"language_model": "b", "video_encoder": "v"}, "model": {"modalities": ["av"]}},
         '"av" needs init.audio_encoder'),
        ({"model": {"audio_ctc": "tide"}}, "audio_ctc must be true or false or one of tied"),
        ({"init": {"language_model": "b", "audio_encoder": "a"}, "model": {"audio_ctc": "tied"}},
         "tied CTC needs model.ctc_pieces"),
        ({"optimizer": {"learning_rate": -1}}, "at least 0, got -1"),
        ({"optimizer": {"max_steps": -1}}, "at least 1, got -1"),
        ({"checkpoint": {"every": 4, "log_every": 0}}, "at least 1, got 0"),
        ({"augmentation": {"noise": ["babble"], "snr_db": []}}, "at least one augmentation.snr_db"),
        ({"augmentation": {"bad_lips": 1.5}}, "bad_lips is a probability, got 1.5"),
        ({"augmentation": {"bad_sound": 0.5, "bad_sound_kinds": []}}, "one of bad_sound_kinds"),
        ({"augmentation": {"bad_lips_kinds": ["blury"]}}, "item one of blurred, misplaced"),
        ({"objective": {"modality_dropout": {"audio_only": 0.6, "video_only": 0.6}}}, "than 1"),
    ],
)  # fmt: skip
def test_settings_that_cannot_stand_together(
    tmp_path: Path, change: dict[str, object], part: str
) -> None:
    with pytest.raises(SettingsError, match=part):
        load_settings(written(tmp_path, **change))


def test_unknown_names_and_conflicts_come_together(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("outptu: runs\ndata: {tran: 3}\ncheckpoint: {every: 30, log_every: 20}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    # What a misspelt name was given counts: neither output nor data.train is called missing.
    assert caught.value.problems == (
        "outptu is unknown; did you mean output?",
        "data.tran is unknown; did you mean data.train?",
        "data.train must be a list, each item text, got 3.",
        "init needs model (to go on with) or language_model (to build around)",
        "checkpoint.every (30) must be a multiple of checkpoint.log_every (20), so that a resumed "
        "run logs the same losses",
    )


def test_missing_files_come_with_the_rest(tmp_path: Path) -> None:
    there = tmp_path / "there.jsonl"
    there.touch()
    names = {"train": [str(there), "gone.jsonl"], "dev": "away.jsonl"}
    path = written(
        tmp_path, data=names, augmentation={"noise": ["babble", "hum.wav"]},
        init={"language_model": "b", "audio_encoder": "a"},
        model={"audio_ctc": "tied", "ctc_pieces": "list.json"},
    )  # fmt: skip
    assert load_settings(path).model.audio_ctc == "tied"
    assert load_settings(path).data.train == (str(there), "gone.jsonl")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, ["batch.max_frames=0"], files=True)
    assert caught.value.problems == (
        "batch.max_frames must be at least 1, got 0",
        "data.train: there is no file gone.jsonl",
        "data.dev: there is no file away.jsonl",
        "model.ctc_pieces: there is no file list.json",
        "augmentation.noise: there is no file hum.wav",
    )


@pytest.mark.parametrize(
    ("every", "max_steps", "log_every", "expected"),
    [(None, None, None, 10), (500, None, None, 10), (1, None, None, 1), (8, None, None, 8),
     (25, None, None, 5), (None, 4, None, 4), (40, None, 20, 20)],
)  # fmt: skip
def test_every_checkpoint_gets_a_line_of_the_log(
    tmp_path: Path, every: int | None, max_steps: int | None, log_every: int | None, expected: int
) -> None:
    checkpoint = {"every": every, "log_every": log_every}
    path = written(tmp_path, checkpoint=checkpoint, optimizer={"max_steps": max_steps})
    assert load_settings(path).log_steps == expected


def test_a_missing_file_and_no_settings(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such settings file"):
        load_settings(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UsageError, match="expected settings"):
        load_settings(tmp_path / "list.yaml")


def test_dumped_settings_read_back(tmp_path: Path) -> None:
    config = load_settings(written(tmp_path, optimizer={"learning_rate": 3e-7}))
    (tmp_path / "dumped.yaml").write_text(dump_settings(config))
    again = load_settings(tmp_path / "dumped.yaml")
    assert again == config
    assert changed_settings(config, TrainConfig(optimizer=config.optimizer)) == [
        "output",
        "init.model",
        "data.train",
    ]
