"""``avsr train`` end to end: it learns, resumes exactly, and runs on two processes."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from avsr.cli import run as avsr_run
from avsr.pretrained import load_model
from avsr.processing import AvsrProcessor
from avsr.training.averaging import average_checkpoints
from avsr.training.run_folder import RunFolder
from avsr.training.settings_file import load_settings
from avsr.training.trained_weights import read_trained
from tests.tiny import tiny_model
from tests.training_runs import environment, losses, run, settings


@pytest.fixture(scope="module")
def finished(
    corpus: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunFolder:
    """A run of eight steps that nothing stopped."""
    folder = tmp_path_factory.mktemp("run")
    return run(settings(corpus, tiny_folder, folder / "run"), folder)


def test_the_loss_falls(corpus: Path, tiny_folder: Path, tmp_path: Path) -> None:
    tree = settings(
        corpus, tiny_folder, tmp_path / "run", optimizer__max_steps=40, checkpoint__every=40,
        optimizer__learning_rate=1e-2, objective__matryoshka="all",
    )  # fmt: skip
    logged = losses(run(tree, tmp_path))
    first = sum(logged[step] for step in range(1, 6))
    last = sum(logged[step] for step in range(36, 41))
    assert last < 0.6 * first


def test_a_run_leaves_a_model_and_its_origin(finished: RunFolder) -> None:
    loaded = load_model(finished.model, device="cpu")
    assert loaded.modalities == ["audio", "video", "av"]
    origin = finished.origin()
    assert origin["n_train"] == 8
    assert origin["n_dev"] == 4
    assert origin["sessions"][0]["seed"] == 7
    assert "torch" in origin["sessions"][0]["versions"]
    assert load_settings(finished.path / "settings.yaml").checkpoint.every == 4
    assert [path.name for path in finished.checkpoints()] == ["checkpoint-4", "checkpoint-8"]
    names = {name for line in finished.log() for name in line}
    assert {"ce_asr", "ce_vsr", "ce_avsr", "eval_loss", "eval_ce_avsr_a16_v5"} <= names


def test_the_final_model_is_the_better_of_best_and_average(finished: RunFolder) -> None:
    result = finished.origin()["result"]
    best = min(line["eval_loss"] for line in finished.log() if "eval_loss" in line)
    assert result["dev_loss"] <= best
    expected = (
        average_checkpoints(finished.checkpoints())
        if "average_of" in result
        else read_trained(finished.path / result["checkpoint"])
    )
    weights = dict(load_model(finished.model, device="cpu").model.named_parameters())
    for name, tensor in expected.items():
        assert (weights[name] == tensor).all(), name


def test_a_killed_run_goes_on_with_the_same_losses(
    corpus: Path, tiny_folder: Path, finished: RunFolder, tmp_path: Path
) -> None:
    tree = settings(corpus, tiny_folder, tmp_path / "run")
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(tree))
    killer = (
        "import os, sys; from avsr.training import run_folder as f; "
        "add = f.RunFolder.add_to_log\n"
        "def fatal(self, step, values):\n"
        "    add(self, step, values)\n"
        "    if step == 6: os.kill(os.getpid(), 9)\n"
        "f.RunFolder.add_to_log = fatal\n"
        "from avsr.cli import run; run(['train', sys.argv[1]])"
    )
    killed = subprocess.run(
        [sys.executable, "-c", killer, str(path)], env=environment(), capture_output=True
    )
    assert killed.returncode == -9, killed.stderr.decode()
    folder = RunFolder(tmp_path / "run")
    assert max(losses(folder)) == 6
    (tmp_path / "run" / "checkpoint-6").mkdir()  # a checkpoint that the kill cut short
    assert avsr_run(["train", str(path)]) == 0
    assert losses(folder) == losses(finished)
    steps = [line["step"] for line in folder.log() if "loss" in line]
    assert steps == list(range(1, 9))
    assert avsr_run(["train", str(path)]) == 0  # finished: nothing is done again
    assert len(folder.origin()["sessions"]) == 3
    assert avsr_run(["train", str(path), "seed=8"]) == 2  # another run must not mix with it


@pytest.fixture(scope="module")
def folder_with_heads(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a new CTC head on each encoder."""
    folder = tmp_path_factory.mktemp("models") / "heads"
    text_config = load_model(tiny_folder, device="cpu").model.config.text_config
    model = tiny_model(seed=1, text_config=text_config, audio_ctc=True, video_ctc=True)
    model.save_pretrained(folder)
    AvsrProcessor.from_pretrained(tiny_folder).save_pretrained(folder)
    return folder


def test_ctc_heads_learn_and_go_on_after_a_stop(
    corpus: Path, folder_with_heads: Path, tmp_path: Path
) -> None:
    tree = settings(
        corpus, folder_with_heads, tmp_path / "run", objective__train=["ctc_heads"],
        objective__ctc={"weight": 3.0}, optimizer__max_steps=24, checkpoint__every=8,
        optimizer__learning_rate=3e-2, checkpoint__keep=9, optimizer__schedule="constant",
    )  # fmt: skip
    folder = run(tree, tmp_path)
    for head in ("ctc_audio", "ctc_video"):
        on_train = [line[head] for line in folder.log() if head in line]
        assert len(on_train) == 24
        assert sum(on_train[-4:]) < 0.5 * sum(on_train[:4])
    dev = [line for line in folder.log() if "eval_loss" in line]
    texts = [  # the rest of the dev loss, to which heads make no difference
        line["eval_loss"] - 3.0 * (line["eval_ctc_audio"] + line["eval_ctc_video"]) / 2
        for line in dev
    ]
    assert texts == pytest.approx([texts[0]] * 3)
    assert dev[0]["eval_loss"] != pytest.approx(dev[-1]["eval_loss"])
    before = load_model(folder_with_heads, device="cpu").model
    after = load_model(folder.model, device="cpu").model
    head, encoder = "audio_ctc_head.weight", "audio_encoder.conv1.weight"
    assert not torch.equal(after.get_parameter(head), before.get_parameter(head))
    assert torch.equal(after.get_parameter(encoder), before.get_parameter(encoder))

    whole = losses(folder)
    for step in (16, 24):
        shutil.rmtree(folder.path / f"checkpoint-{step}")
    shutil.rmtree(folder.model)
    origin = json.loads((folder.path / "run.json").read_text())
    del origin["result"]
    (folder.path / "run.json").write_text(json.dumps(origin))
    assert losses(run(tree, tmp_path)) == whole


def test_a_ctc_loss_needs_heads(
    corpus: Path, tiny_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tree = settings(
        corpus, tiny_folder, tmp_path / "run", objective__ctc={"weight": 1.0},
        objective__train=["projectors", "encoder_lora"],
    )  # fmt: skip
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert avsr_run(["train", str(path)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "objective: ctc.weight needs a model with CTC heads, which this one lacks" in line
    assert avsr_run(["train", str(path), "objective.train=[projectors]"]) == 2
    assert "add ctc_heads" in capfd.readouterr().err
    both = ["objective.ctc.weight=0", "objective.train=[projectors,ctc_heads]"]
    assert avsr_run(["train", str(path), *both]) == 2
    assert "set objective.ctc.weight or leave them out" in capfd.readouterr().err


@pytest.mark.parametrize("matryoshka", ["all", "sample"])
def test_gradient_checkpointing_changes_no_loss(
    corpus: Path, tiny_folder: Path, tmp_path: Path, matryoshka: str
) -> None:
    both = [
        settings(
            corpus, tiny_folder, tmp_path / f"run{number}", optimizer__max_steps=3,
            checkpoint__every=3, checkpoint__average=1, objective__decorrelation={"weight": 1.0},
            objective__matryoshka=matryoshka, optimizer__gradient_checkpointing=on,
        )
        for number, on in enumerate((False, True))
    ]  # fmt: skip
    plain, recomputed = (run(tree, tmp_path) for tree in both)
    assert losses(recomputed) == pytest.approx(losses(plain), abs=1e-5)
    norms = [[line.get("grad_norm") for line in folder.log()] for folder in (plain, recomputed)]
    assert norms[1][:3] == pytest.approx(norms[0][:3], rel=1e-4)


def test_tensorboard_holds_what_the_log_holds(
    corpus: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    tree = settings(
        corpus, tiny_folder, tmp_path / "run", optimizer__max_steps=2, checkpoint__every=2,
        checkpoint__average=1, checkpoint__tensorboard=True,
    )  # fmt: skip
    folder = run(tree, tmp_path)
    (file,) = (folder.path / "tensorboard").rglob("events.out.tfevents.*")
    written = _scalars(file)
    logged = losses(folder)
    assert {step: written["train/loss", step] for step in logged} == pytest.approx(logged)
    dev = next(line for line in folder.log() if "eval_loss" in line)
    assert written["eval/loss", 2] == pytest.approx(dev["eval_loss"])


def test_training_stops_early_where_dev_gets_no_better(
    corpus: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    # Nothing is learned at a rate of 0, so the first checkpoint stays the best one.
    tree = settings(
        corpus, tiny_folder, tmp_path / "run", optimizer__max_steps=20, checkpoint__every=1,
        optimizer__learning_rate=0.0, checkpoint__average=1, checkpoint__patience=2,
    )  # fmt: skip
    folder = run(tree, tmp_path)
    assert max(losses(folder)) == 3
    assert folder.origin()["result"]["checkpoint"] == "checkpoint-1"
    (folder.path / "run.json").write_text(
        (folder.path / "run.json").read_text().replace('"result"', '"before"')
    )
    assert max(losses(run(tree, tmp_path))) == 3  # resuming does not run on


def test_checkpoints_can_be_chosen_by_word_error_rate(
    corpus: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    tree = settings(
        corpus, tiny_folder, tmp_path / "run", optimizer__max_steps=3, checkpoint__every=1,
        optimizer__learning_rate=1e-2, checkpoint__keep=4, checkpoint__average=1,
        checkpoint__choose_by="wer", objective__task_weights={"asr": 1, "vsr": 0, "avsr": 0},
    )  # fmt: skip
    folder = run(tree, tmp_path)
    rates = {line["step"]: line["eval_wer"] for line in folder.log() if "eval_wer" in line}
    assert sorted(rates) == [1, 2, 3]
    result = folder.origin()["result"]
    assert result["dev_wer"] == min(rates.values())
    assert rates[int(result["checkpoint"].removeprefix("checkpoint-"))] == min(rates.values())
    # The same as avsr evaluate finds for the chosen model.
    output = tmp_path / "results.json"
    options = ["--modality", "audio", "--audio-rate", "4,16", "-o", str(output)]
    manifest = ["--manifest", str(corpus / "dev.jsonl"), "--model", str(folder.model)]
    assert avsr_run(["evaluate", *manifest, *options]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert result["dev_wer"] == pytest.approx(sum(row["wer"] for row in rows) / 2)


def test_problems_are_listed_and_fail_only_when_strict(
    corpus: Path, tiny_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = (corpus / "train.jsonl").read_text().splitlines()
    first = json.loads(lines[0]) | {"path": str(corpus / "clips" / "clip0.npz")}
    entries = [
        first,
        first,
        first | {"id": "unlabelled", "text": None},
        first | {"id": "gone", "path": "gone.npz"},
        first | {"id": "strange", "text": "bin xylophone"},
        first | {"id": "new", "text": "bin green"},
    ]
    model = tmp_path / "model"
    shutil.copytree(tiny_folder, model)
    (model / "words.txt").write_text("bin blue lay place set")
    manifest = tmp_path / "bad.jsonl"
    manifest.write_text("\n".join(map(json.dumps, entries)))
    tree = settings(
        corpus, model, tmp_path / "run", optimizer__max_steps=1, checkpoint__every=1,
        checkpoint__average=1, data__train=[str(manifest)],
    )  # fmt: skip
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert avsr_run(["train", str(path)]) == 0
    said = capfd.readouterr().err
    for line in ("duplicate id: clip0: ", "missing label: unlabelled: ", "unreadable: gone: ",
                 "unknown words: strange: xylophone: the tokenizer cannot write them",
                 "unknown words: new: green: new to the model; the clip is used"):  # fmt: skip
        assert line in said
    assert "[transformers]" not in said
    assert avsr_run(["train", str(path), "--strict"]) == 1


def _scalars(file: Path) -> dict[tuple[str, int], float]:
    """Values of a TensorBoard file by name and step."""
    from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

    data, values = file.read_bytes(), {}
    while data:  # records: length, its checksum, the event, its checksum
        (length,) = struct.unpack("<Q", data[:8])
        event: Any = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            values[value.tag, event.step] = value.simple_value
        data = data[16 + length :]
    return values


def test_wrong_settings_are_told_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("outptu: run\noptimizer: {learning_rate: quick}\n")
    assert avsr_run(["train", str(path), "batch.max_frame=10"]) == 2
    message = capfd.readouterr().err
    for part in ("did you mean output?", "learning_rate must be a number", "batch.max_frames?"):
        assert part in message
    assert message.count("\n") == 1


def test_check_prints_all_settings(
    corpus: Path, tiny_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(settings(corpus, tiny_folder, tmp_path / "run")))
    more = tmp_path / "more.yaml"
    more.write_text("optimizer: {max_steps: 2, weight_decay: 0.5}\n")
    changes = [str(more), "optimizer.max_steps=3"]
    assert avsr_run(["train", str(path), "--check", *changes]) == 0
    shown = yaml.safe_load(capfd.readouterr().out)
    assert shown["optimizer"]["max_steps"] == 3
    assert shown["optimizer"]["weight_decay"] == 0.5
    assert shown["optimizer"]["learning_rate"] == 3e-3
    assert not (tmp_path / "run").exists()
