"""``avsr models``: what it lists, what it fetches, and what it says where it cannot."""

import dataclasses
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError

from avsr.cli import run
from avsr.model_files.published import PUBLISHED
from tests.published import Published, Recipe


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, and a hub that has nothing."""

    def nothing(*_arguments: object, **_options: object) -> str:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setenv("AVSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", nothing)
    return tmp_path / "cache"


def test_list_names_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert set(PUBLISHED) <= {line.split()[0] for line in lines}
    assert run(["models"]) == 0
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_model_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show", name]) == 0
    shown = capsys.readouterr().out
    model = PUBLISHED[name]
    for label in ("kind", "summary", "licence", "source", "size"):
        assert f"\n{label} " in f"\n{shown}"
    assert set(model.base_models) <= set(PUBLISHED)
    if model.kind == "checkpoint":
        assert shown.count("\nWER ") >= 1
        assert "\ncited " in shown
        assert "\nconvert   avsr convert" in shown


def test_show_gives_the_published_error_rates(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show", "omni-avsr-st"]) == 0
    shown = capsys.readouterr().out
    assert "WER       LRS3 VSR 5: 27.1 %" in shown
    assert "WER       LRS3 AVSR 4,2: 1.0 %" in shown
    assert "cited     arXiv 2511.07253" in shown


def test_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("show", "download", "path"):
        assert run(["models", command, "nope"]) == 2
        assert "avsr models list shows them" in capsys.readouterr().err


def test_fetched_by_hand(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "download", "llama-avsr-asr-8b"]) == 3
    message = capsys.readouterr().err
    model = PUBLISHED["llama-avsr-asr-8b"]
    place = cache / "models" / model.name / model.file
    assert message.count("\n") == 1
    assert f"open {model.page} in a browser and save {model.file} as {place}" in message
    assert run(["models", "path", "llama-avsr-asr-8b"]) == 3
    assert "run avsr models download llama-avsr-asr-8b" in capsys.readouterr().err
    place.parent.mkdir(parents=True)
    place.touch()
    for command in ("path", "download"):
        assert run(["models", command, "llama-avsr-asr-8b"]) == 0
        assert capsys.readouterr().out == f"{place}\n"


def test_download_then_convert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = Published(tmp_path, Recipe(streams=("video",)))
    handler = partial(QuietHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/checkpoint.pth"
    model = dataclasses.replace(PUBLISHED["llama-avsr-vsr-3b"], url=url, file="Vdown2.pth")
    monkeypatch.setitem(PUBLISHED, model.name, model)
    assert run(["models", "download", model.name, "--offline"]) == 3
    assert "repeat without --offline" in capsys.readouterr().err
    assert run(["models", "download", model.name]) == 0
    captured = capsys.readouterr()
    server.shutdown()
    server.server_close()
    assert "no checksum is published" in captured.err
    assert "next: avsr convert" in captured.err
    assert run(["models", "download", model.name, "--offline"]) == 0  # it is here by now
    stored = Path(captured.out.strip())
    assert stored.read_bytes() == published.file.read_bytes()
    arguments = ["convert", str(stored), "--language-model", str(tmp_path / "llm")]
    arguments += ["--video-encoder", str(tmp_path / "avhubert.pt"), "-o", str(tmp_path / "model")]
    assert run(arguments) == 0
    assert "video rates 2;" in capsys.readouterr().err


def test_gated(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> str:
        if _options["local_files_only"]:
            raise LocalEntryNotFoundError("not here")
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    assert run(["models", "download", "llama-3.2-1b"]) == 3
    assert capsys.readouterr().err == (
        "avsr: llama-3.2-1b: is gated; ask for access on the page of meta-llama/Llama-3.2-1B on "
        "the Hugging Face hub, then run hf auth login and repeat\n"
    )


def test_hub_model(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["models", "download", "whisper-medium.en"]) == 3
    assert (
        "whisper-medium.en: cannot be fetched from the hub: no connection"
        in capsys.readouterr().err
    )
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: "/hub/whisper")
    assert run(["models", "path", "whisper-medium.en"]) == 0
    assert capsys.readouterr().out == "/hub/whisper\n"


def test_bundled_model(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avsr.model_files.bundled.BUNDLED_FOLDER", tiny_folder.parent)
    assert run(["models", "list"]) == 0
    assert capsys.readouterr().out.startswith("tiny ")
    assert run(["models", "show", "tiny"]) == 0
    assert (
        "summary   audio, video, av; audio rates 4,16, video rates 2,5" in capsys.readouterr().out
    )
    for command in ("path", "download"):
        assert run(["models", command, "tiny"]) == 0
        assert capsys.readouterr().out == f"{tiny_folder}\n"
