import json
import re
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.route import Route
from avsr.sinks import (
    PieceAnalysis,
    SinkSettings,
    analyse_prefix,
    analyse_sinks,
    gate_units,
    rotation_test,
)
from avsr.sinks.figures import save_figures
from avsr.sinks.page import report_page
from avsr.sinks.results import to_dict
from tests.english import write_tiny_english
from tests.planted import marked_embeddings, planted_model


def planted_piece(maps: bool, planted: tuple[int, ...] = (0, 7)) -> PieceAnalysis:
    model = planted_model((5, 11), 2, (3, 4) if planted else ())
    embeds = marked_embeddings(40, planted)
    settings = SinkSettings(maps=maps)

    def run():
        model(inputs_embeds=embeds, use_cache=False)

    analysis = analyse_sinks(model, run, settings=settings)
    turned = rotation_test(
        analysis, lambda edit: analyse_prefix(model, embeds, settings=settings, edit=edit)
    )
    return PieceAnalysis(
        path=Path("<b>clip</b>.mp4"), start_s=0.0, end_s=3.0,
        route=Route(modality="audio", audio_rate=4), text="a < b", analysis=analysis,
        gates=gate_units(model, run, analysis), rotations=turned,
        base=analyse_prefix(model, marked_embeddings(40, ()), settings=settings),
    )  # fmt: skip


@pytest.mark.parametrize("maps", [True, False])
def test_figures_and_a_page_that_opens_offline(tmp_path, maps):
    piece = planted_piece(maps)
    figures = save_figures(piece, tmp_path, "clip")
    assert ("attention-map" in figures) == ("token-cosine" in figures) == maps
    named = {"attention", "activations", "cosine", "rotation", "base-attention"}
    assert named <= set(figures)
    for path in figures.values():
        assert path.read_bytes().startswith(b"\x89PNG")
    page = report_page([piece], [figures], "model")
    assert page.count("data:image/png;base64,") == len(figures)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)  # nothing from elsewhere
    assert "<b>clip" not in page
    assert "a &lt; b" in page
    assert "no → yes" in page
    assert "yes → no" in page
    assert "Before fine-tuning, on the same input: <strong>No token is a sink" in page
    assert "<td>100%</td>" in page  # the hidden unit that was planted


def test_a_model_without_sinks_has_a_report_too(tmp_path):
    piece = planted_piece(False, planted=())
    page = report_page([piece], [save_figures(piece, tmp_path, "clip")], "model")
    assert "No token is a sink" in page
    values = to_dict([piece], "model")
    assert values["inputs"][0]["sinks"] == []
    assert values["inputs"][0]["rotations"] == values["inputs"][0]["gates"] == []
    assert values["inputs"][0]["base"]["sinks"] == []
    assert values["settings"]["factor"] == 5.0


def test_command_on_the_bundled_model(tmp_path, capsys):
    arguments = ["sinks", "demo/samples/clean.mp4", "-o", str(tmp_path), "--no-maps"]
    assert run([*arguments, "--audio-rate", "16", "--video-rate", "5"]) == 0
    values = json.loads((tmp_path / "sinks.json").read_text())
    piece = values["inputs"][0]
    assert piece["text"] == "set blue with t one please"
    assert (piece["audio_rate"], piece["video_rate"], piece["n_layers"]) == (16, 5, 4)
    kinds = [token["kind"] for token in piece["tokens"]]
    assert kinds[0] == "bos"
    assert piece["tokens"][2]["name"] == "audio 0.00-0.32 s"
    assert kinds.count("text") == 7
    assert len(piece["received_attention"][0]) == piece["n_tokens"] == len(kinds)
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "clean-rotation.png").exists()
    captured = capsys.readouterr()
    assert captured.out.startswith("demo/samples/clean.mp4: ")
    assert len(captured.out.splitlines()) == 1


def test_wrong_requests(tmp_path, capsys):
    assert run(["sinks", "none.mp4", "-o", str(tmp_path)]) == 1
    assert "none.mp4" in capsys.readouterr().err
    same = ["sinks", "a/x.mp4", "b/x.mp4", "-o", str(tmp_path)]
    assert run(same) == 2
    assert "x.mp4" in capsys.readouterr().err
    clip = "demo/samples/clean.mp4"
    assert run(["sinks", clip, "--audio-rate", "7", "-o", str(tmp_path)]) == 2


def test_any_language_model_reads_a_text(tmp_path, capsys):
    write_tiny_english(tmp_path)
    capsys.readouterr()
    model = str(tmp_path / "bases" / "tiny-llama")
    text, empty = tmp_path / "text.txt", tmp_path / "empty.txt"
    text.write_text("good morning everyone thank you for coming today\n")
    empty.write_text("\n")
    out = ["-o", str(tmp_path / "out")]
    assert run(["sinks", str(text), str(empty), "--language-model", model, *out]) == 1
    captured = capsys.readouterr()
    assert "empty.txt: has 0 tokens; give 1 to" in captured.err
    assert "Loading" not in captured.err
    values = json.loads((tmp_path / "out" / "sinks.json").read_text())
    (piece,) = values["inputs"]
    assert [token["name"] for token in piece["tokens"][-2:]] == ['token "coming"', 'token "today"']
    assert (piece["modality"], piece["base"], piece["n_layers"]) == (None, None, 3)
    assert run(["sinks", str(text), "--language-model", model, "--base", *out]) == 2
    assert "leave out --language-model" in capsys.readouterr().err
    assert run(["sinks", str(text), "--language-model", str(tmp_path / "wheels"), *out]) == 2
    assert "is no language model" in capsys.readouterr().err


def test_drafts_and_the_language_model_before_fine_tuning(tmp_path, monkeypatch):
    write_tiny_english(tmp_path).install(monkeypatch, reachable=True)
    monkeypatch.setenv("AVSR_CACHE", str(tmp_path / "cache"))
    arguments = ["sinks", "demo/samples/clean.mp4", "-m", "english", "--modality", "audio"]
    assert run([*arguments, "--base", "-o", str(tmp_path / "out")]) == 0
    (piece,) = json.loads((tmp_path / "out" / "sinks.json").read_text())["inputs"]
    kinds = [token["kind"] for token in piece["tokens"]]
    assert kinds.index("prompt") < kinds.index("draft") < kinds.index("text")
    assert piece["base"]["n_tokens"] == piece["n_tokens"] == len(kinds)
    assert piece["base"]["tokens"] == piece["tokens"]
    assert piece["base"]["received_attention"] != piece["received_attention"]
