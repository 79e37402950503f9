"""``avsr train`` on two processes: as one process would, however they are launched."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from avsr.training.run_folder import RunFolder
from tests.training_runs import ROOT, environment, losses, run, settings

TORCHRUN = ["torch.distributed.run", "--nproc_per_node=2", "--master_port=0", "--standalone"]
ACCELERATE = ["accelerate.commands.launch", "--multi_gpu", "--num_processes=2"]
ACCELERATE += ["--main_process_port=0", "--num_machines=1", "--mixed_precision=no"]


@pytest.fixture(scope="module")
def alone(corpus: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on one process with the batches of two."""
    folder = tmp_path_factory.mktemp("alone")
    return run(settings(corpus, tiny_folder, folder / "run", batch__accumulation=2), folder)


def launch(
    launcher: list[str], program: list[str], tree: dict[str, Any], **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a launcher's command; the settings lie beside the run's folder."""
    path = Path(tree["output"]).with_suffix(".yaml")
    path.write_text(yaml.safe_dump(tree))
    command = [sys.executable, "-m", *launcher, *program, "train", str(path)]
    return subprocess.run(
        command, env=environment() | variables, capture_output=True, cwd=ROOT, check=False
    )


def dev_losses(folder: RunFolder) -> dict[int, float]:
    return {line["step"]: line["eval_loss"] for line in folder.log() if "eval_loss" in line}


@pytest.mark.parametrize(
    "launcher",
    [pytest.param(TORCHRUN, marks=pytest.mark.slow, id="torchrun"),
     pytest.param(ACCELERATE, id="accelerate")],
)  # fmt: skip
def test_two_processes_equal_one_with_twice_the_accumulation(
    launcher: list[str], corpus: Path, tiny_folder: Path, alone: RunFolder, tmp_path: Path
) -> None:
    tree = settings(corpus, tiny_folder, tmp_path / "run")
    done = launch(launcher, ["-m", "avsr"], tree)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    folder = RunFolder(tmp_path / "run")
    assert folder.origin()["sessions"][0]["processes"] == 2
    assert losses(folder) == pytest.approx(losses(alone), abs=1e-4)
    assert dev_losses(folder) == pytest.approx(dev_losses(alone), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("recipes", ["lrs3", "lrs2"])
def test_sharded_weights_train_and_resume_as_whole_ones(
    recipes: str, corpus: Path, tiny_folder: Path, alone: RunFolder, tmp_path: Path
) -> None:
    config = yaml.safe_load((ROOT / "recipes" / recipes / "fsdp.yaml").read_text())
    file = tmp_path / "fsdp.yaml"
    file.write_text(yaml.safe_dump(config | {"num_processes": 2, "main_process_port": 0}))
    launcher = ["accelerate.commands.launch", "--config_file", str(file)]
    program = [str(ROOT / "tests" / "fsdp_on_cpu.py")]
    tree = settings(corpus, tiny_folder, tmp_path / "run")
    # Killed after the first checkpoint, when some rates have not been drawn yet.
    killed = launch(launcher, program, tree, KILL_AT_STEP="6")
    assert killed.returncode != 0
    folder = RunFolder(tmp_path / "run")
    assert max(losses(folder)) == 6, killed.stderr.decode()[-3000:]
    assert (folder.path / "checkpoint-4" / "pytorch_model_fsdp.bin").is_file()
    done = launch(launcher, program, tree)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert f"going on from {folder.path / 'checkpoint-4'}" in done.stderr.decode()
    assert losses(folder) == pytest.approx(losses(alone), abs=1e-4)
    assert dev_losses(folder) == pytest.approx(dev_losses(alone), abs=1e-4)
    # What was gathered from the shards is the whole model.
    weights, whole = (load_file(f.path / "checkpoint-8/model.safetensors") for f in (folder, alone))
    assert weights.keys() == whole.keys()
    for name, tensor in whole.items():
        assert weights[name].shape == tensor.shape
        assert weights[name].sub(tensor).abs().max() < 1e-4, name


@pytest.mark.slow
def test_sharded_weights_refuse_word_error_rates(
    corpus: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    tree = settings(corpus, tiny_folder, tmp_path / "run", checkpoint__choose_by="wer")
    file = ROOT / "recipes" / "lrs3" / "fsdp.yaml"
    launcher = ["accelerate.commands.launch", "--config_file", str(file), "--num_processes=2"]
    done = launch(launcher, [str(ROOT / "tests" / "fsdp_on_cpu.py")], tree)
    assert done.returncode != 0
    assert "checkpoint.choose_by wer needs a run without FSDP: use loss" in done.stderr.decode()
