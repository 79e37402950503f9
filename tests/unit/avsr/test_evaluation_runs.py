"""Evaluation as people run it: problems, resuming, several processes, the files it leaves."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import avsr.evaluation.run
from avsr.cli import run
from avsr.clips.cache import ClipCache
from avsr.clips.clip import Clip, save_clip
from avsr.errors import UsageError
from avsr.evaluation.conditions import plan_conditions
from avsr.evaluation.run import run_evaluation
from avsr.manifest import Utterance
from avsr.pretrained import LoadedModel, load_model
from avsr_frontends.landmarks import TrackReport
from tests.signals import tone

ROOT = Path(__file__).parents[3]
TEXTS = {"a": "Bin blue, at", "b": "lay red by", "c": "set white in", "d": "place green with"}


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> LoadedModel:
    return load_model(tiny_folder, "cpu")


def _write_clip(path: Path, seconds: float, seed: int, face: float = 1.0) -> None:
    n_frames = round(25 * seconds)
    mouth = np.random.default_rng(seed).integers(0, 255, (n_frames, 96, 96), dtype=np.uint8)
    report = TrackReport(n_frames=n_frames, coverage=face, face_width_px=90.0)
    sound = tone(seconds, 100.0 + 150 * seed)
    save_clip(path, Clip(audio=sound, mouth=mouth if face else None, face=report), [path.name])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four prepared clips of different lengths."""
    folder = tmp_path_factory.mktemp("prepared")
    lines = []
    for number, (name, text) in enumerate(TEXTS.items()):
        _write_clip(folder / f"{name}.npz", 0.6 + 0.2 * number, number)
        lines.append({"id": name, "path": f"{name}.npz", "text": text, "speaker": name})
    path = folder / "test.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


GRID = ["--modality", "av,audio,video", "--audio-rate", "4,16", "--video-rate", "2,5",
        "--noise", "clean,babble", "--snr", "5,-5"]  # fmt: skip


def _evaluate(model: Path, manifest: Path, output: Path, *options: str) -> int:
    arguments = ["--manifest", str(manifest), "--model", str(model), "-o", str(output)]
    return run(["evaluate", *arguments, *options])


def test_one_call_from_python_evaluates(tiny_folder: Path, manifest: Path, tmp_path: Path) -> None:
    said: list[str] = []
    settings = avsr.EvaluationSettings(
        source=manifest,
        model=tiny_folder,
        device="cpu",
        modalities=("audio", "video"),
        noises=("clean", "babble"),
        snrs_db=(0.0,),
        output=tmp_path / "results.json",
    )
    results = avsr.evaluate(settings, say=said.append)
    rows = results.values["rows"]
    assert [(row["modality"], row["noise"]) for row in rows] == [
        ("audio", None), ("video", None), ("audio", "babble"), ("video", "babble")
    ]  # fmt: skip
    assert results.files[0] == settings.output
    assert json.loads(results.files[0].read_text())["rows"] == rows
    assert results.table.count("\n") >= len(rows)
    assert said[0] == f"{manifest}: 4 clips"
    with pytest.raises(UsageError, match="also give the ratio"):
        replace(settings, snrs_db=())


@pytest.fixture(scope="module")
def results(tiny_folder: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the whole product, with everything beside them."""
    output = tmp_path_factory.mktemp("results") / "results.json"
    assert _evaluate(tiny_folder, manifest, output, *GRID, "--plots", "--batch-size", "2") == 0
    return output


def test_card_tells_how_to_measure_again(results: Path) -> None:
    values = json.loads(results.read_text())
    card = results.with_name("results.card.md").read_text()
    settings = values["settings"]
    assert len(values["rows"]) == 3 * (4 + 2 + 2)
    for part in (settings["model"]["sha256"], settings["data"]["file_sha256"], "greedy",
                 "Seed: 0", settings["noises"]["babble"]["clips_sha256"], "5 dB: 5.00",
                 "-5 dB: -5.00", values["versions"]["torch"], "whisper-normalizer"):  # fmt: skip
        assert part in card
    assert not results.with_name("results.json.partial").exists()


def test_utterances_show_their_errors(results: Path) -> None:
    values = json.loads(results.read_text())
    with results.with_name("results.utterances.tsv").open(newline="") as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    assert len(lines) == len(values["rows"]) * len(TEXTS)
    for number, row in enumerate(values["rows"]):
        own = lines[number * len(TEXTS) : (number + 1) * len(TEXTS)]
        for letter, name in (("S", "substitutions"), ("D", "deletions"), ("I", "insertions")):
            assert sum(int(line[letter]) for line in own) == row[name]
    wrong = [line for line in lines if line["alignment"].startswith("{bin>")]
    assert wrong
    assert wrong[0]["reference"] == "Bin blue, at"


def test_tables_and_plots_lie_beside_the_results(results: Path) -> None:
    values = json.loads(results.read_text())
    markdown = results.with_name("results.md").read_text().splitlines()
    assert len(markdown) == len(values["rows"]) + 2
    with results.with_name("results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["WER %"] for row in rows] == [f"{100 * r['wer']:.2f}" for r in values["rows"]]
    for name in ("tokens", "snr", "rate"):
        picture = results.with_name(f"results.{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 5000


@pytest.mark.slow
def test_several_processes_give_the_same_bytes(
    tiny_folder: Path, manifest: Path, results: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results.json"
    options = [*GRID, "--plots", "--batch-size", "2", "--jobs", "2"]
    command = [sys.executable, "-m", "avsr", "evaluate", "--manifest", str(manifest), "--model",
               str(tiny_folder), "-o", str(output), *options]  # fmt: skip
    done = subprocess.run(command, env=_environment(), capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    assert output.read_bytes() == results.read_bytes()


def test_a_stopped_run_goes_on(
    tiny_folder: Path,
    manifest: Path,
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output, batches = tmp_path / "results.json", []
    original = avsr.evaluation.run.EvaluationJob.recognise

    def stopping(self, loaded, batch, clips) -> None:
        if len(batches) == 1:
            raise KeyboardInterrupt
        batches.append([outcome.utterance.id for outcome in batch])
        original(self, loaded, batch, clips)

    def counted(self, loaded, batch, clips) -> None:
        batches.append([outcome.utterance.id for outcome in batch])
        original(self, loaded, batch, clips)

    options = [*GRID, "--batch-size", "2"]
    monkeypatch.setattr(avsr.evaluation.run.EvaluationJob, "recognise", stopping)
    assert _evaluate(tiny_folder, manifest, output, *options) == 130
    partial = tmp_path / "results.json.partial"
    with (partial / "outcomes.jsonl").open("a") as file:
        file.write('{"id": "a", "hypo')  # what a kill cut short
    monkeypatch.setattr(avsr.evaluation.run.EvaluationJob, "recognise", counted)
    assert _evaluate(tiny_folder, manifest, output, *options) == 0
    assert batches == [["d", "c"], ["b", "a"]]
    assert output.read_bytes() == results.read_bytes()
    assert not partial.exists()
    # Another run does not take over what was recognised under other settings.
    batches.clear()
    monkeypatch.setattr(avsr.evaluation.run.EvaluationJob, "recognise", stopping)
    assert _evaluate(tiny_folder, manifest, output, *options) == 130
    monkeypatch.setattr(avsr.evaluation.run.EvaluationJob, "recognise", counted)
    assert _evaluate(tiny_folder, manifest, output, *options, "--seed", "1") == 0
    assert batches[1:] == [["d", "c"], ["b", "a"]]


def test_problems_are_listed_by_id_and_fail_only_when_strict(
    tiny_folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_clip(manifest.parent / "faceless.npz", 0.6, 7, face=0.0)
    lines = [
        {"id": "fine", "path": "a.npz", "text": "bin blue"},
        {"id": "fine", "path": "b.npz", "text": "lay red"},
        {"id": "unlabelled", "path": "a.npz"},
        {"id": "blank", "path": "a.npz", "text": "  "},
        {"id": "dots", "path": "a.npz", "text": "..."},
        {"id": "gone", "path": "gone.npz", "text": "set red"},
        {"id": "faceless", "path": "faceless.npz", "text": "set red"},
        {"id": "strange", "path": "c.npz", "text": "set xylophone"},
    ]
    bad = manifest.parent / "bad.jsonl"
    bad.write_text("\n".join(map(json.dumps, lines)) + "\nnot json\n")
    output = tmp_path / "results.json"
    assert _evaluate(tiny_folder, bad, output, "--modality", "av,video") == 0
    said = capsys.readouterr().err
    for line in ("duplicate id: fine: ", "missing label: unlabelled: ", "unreadable: gone: ",
                 "no face: faceless: ",
                 "unknown words: strange: xylophone", "bad label: bad.jsonl line 9: "):  # fmt: skip
        assert line in said
    assert said.strip().splitlines()[-1] == (
        "problems: 1 duplicate id, 1 missing label, 1 bad label, 1 unreadable, "
        "1 no face, 1 unknown words"
    )
    values = json.loads(output.read_text())
    assert [row["n_utterances"] for row in values["rows"]] == [6, 6]
    assert [row["n_words"] for row in values["rows"]] == [8, 8]
    assert [row["wordless"]["n_clips"] for row in values["rows"]] == [2, 2]  # blank and dots
    assert _evaluate(tiny_folder, bad, output, "--strict", "--limit", "1") == 1
    assert _evaluate(tiny_folder, manifest, output, "--strict", "--limit", "1") == 0


def test_words_where_nothing_is_said_are_insertions_and_counted_apart(
    tiny_folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"id": "said", "path": "a.npz", "text": "bin blue"},
        {"id": "nothing", "path": "b.npz", "text": ""},
        {"id": "marks", "path": "c.npz", "text": "..."},
    ]
    some = manifest.parent / "some.jsonl"
    some.write_text("\n".join(map(json.dumps, lines)))
    output = tmp_path / "some.json"
    assert _evaluate(tiny_folder, some, output, "--modality", "audio", "--strict") == 0
    values = json.loads(output.read_text())
    (row,) = values["rows"]
    heard = [len(utterance["hypotheses"][0].split()) for utterance in values["utterances"]]
    invented = heard[1:]
    assert sum(invented) > 0
    assert row["wordless"] == {
        "n_clips": 2,
        "n_clips_with_words": sum(count > 0 for count in invented),
        "insertions": sum(invented),
        "insertions_per_minute": pytest.approx(sum(invented) / (1.8 / 60), abs=0.01),
    }
    assert row["n_words"] == 2
    assert row["insertions"] >= sum(invented)
    errors = row["substitutions"] + row["deletions"] + row["insertions"]
    assert row["wer"] == pytest.approx(errors / 2)
    with output.with_name("some.utterances.tsv").open() as file:
        rows = {line["id"]: line for line in csv.DictReader(file, delimiter="\t")}
    assert (rows["nothing"]["words"], rows["nothing"]["I"]) == ("0", str(invented[0]))
    assert "Clips in which nothing is said: 2" in output.with_name("some.card.md").read_text()
    header, cells = capsys.readouterr().out.splitlines()
    assert header.split("  ")[-4:] == ["wordless clips", "with words", "words in them", "a minute"]
    assert cells.split()[-4] == "2"

    some.write_text("\n".join(map(json.dumps, lines[1:])))  # no word in any reference
    output = tmp_path / "none.json"
    assert _evaluate(tiny_folder, some, output, "--modality", "audio", "--plots") == 0
    (row,) = json.loads(output.read_text())["rows"]
    assert (row["wer"], row["wer_interval"], row["n_words"]) == (None, None, 0)
    assert row["wordless"]["insertions"] == sum(invented)


def test_closed_vocabulary_of_the_bundled_model() -> None:
    from avsr.model_files.vocabulary import closed_vocabulary, unknown_words
    from avsr.processing import AvsrProcessor

    folder = ROOT / "avsr" / "bundled" / "grid-tiny"
    known = closed_vocabulary(folder)
    tokenizer = AvsrProcessor.from_pretrained(folder).tokenizer
    assert known is not None
    assert len(known) == 51
    assert unknown_words("Bin blue at F two, now!", tokenizer, known) == []
    assert unknown_words("bin pink at w two", tokenizer, known) == ["pink", "w"]


def test_other_than_1321_clips_of_lrs3_are_noted(
    tiny_folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["id"] = f"test/0Fi83BHQsMA/{number:05d}"
    copy = manifest.parent / "lrs3.jsonl"
    copy.write_text("\n".join(map(json.dumps, lines)))
    output = tmp_path / "results.json"
    assert _evaluate(tiny_folder, copy, output, "--modality", "audio") == 0
    expected = "N is 4, not 1,321"
    assert expected in capsys.readouterr().err
    assert expected in output.with_name("results.card.md").read_text()
    assert expected in json.loads(output.read_text())["notes"][0]


class _LongClips(ClipCache):
    """One clip that is longer than models take, quiet in the middle."""

    def clip(self, utterance: Utterance, *, sound: bool = True, picture: bool = True) -> Clip:
        silence = np.zeros(16_000, dtype=np.float32)
        audio = np.concatenate([tone(9.5, 200.0), silence, tone(9.5, 500.0)])
        return Clip(audio=audio if utterance.id == "long" else audio[: 9 * 16_000])


def test_long_clips_are_recognised_in_pieces(loaded: LoadedModel, tmp_path: Path) -> None:
    (audio,) = plan_conditions(loaded, ["audio"], [16])
    utterances = [Utterance(id=name, path=Path(name), text="bin") for name in ("long", "short")]
    cache = _LongClips(tmp_path)
    long, short = run_evaluation(loaded, utterances, [audio], cache=cache).outcomes
    (alone,) = run_evaluation(loaded, utterances[:1], [audio], cache=cache).outcomes
    assert long.duration_s == 20.0 > loaded.max_segment_s
    assert long.hypotheses == alone.hypotheses
    assert len(long.hypotheses[audio].split()) > len(short.hypotheses[audio].split())


def _environment() -> dict[str, str]:
    folders = [str(ROOT / name) for name in (".", "frontends", "adapters", "demo")]
    path = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
