"""The folder of a training run: settings, origin, log, checkpoints, the final model.

``settings.yaml`` holds every setting, ``run.json`` where the run came from, ``log.jsonl`` one line
per log step, ``checkpoint-N`` model folders with what resuming needs, ``model`` the result.
"""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from avsr.atomic import write_text_atomically
from avsr.datasets.problems import Problem
from avsr.errors import UsageError
from avsr.lines import read_lines
from avsr.outputs import check_outputs, write_output
from avsr.training.settings import TrainConfig
from avsr.training.settings_file import changed_settings, dump_settings, load_settings
from avsr.version import __version__

_PURPOSE = "training"
STATE_FILE = "trainer_state.json"  # the last file that the Trainer writes into a checkpoint
_PACKAGES = ("torch", "torchaudio", "transformers", "accelerate", "peft", "numpy", "safetensors")
# settings that change no loss, and may differ when a run goes on
_FREE = (
    "data.workers",
    "data.cache",
    "checkpoint.keep",
    "checkpoint.tensorboard",
    "init.offline",
)


class RunFolder:
    """One run's folder.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def model(self) -> Path:
        """The final model."""
        return self.path / "model"

    @property
    def cache(self) -> Path:
        """Decoded clips, unless the settings name another folder."""
        return self.path / "clips"

    def begin(self, config: TrainConfig, n_processes: int, inputs: Sequence[Path] = ()) -> None:
        """Make the folder and write settings and origin.

        Args:
            config: the settings.
            n_processes: that train together.
            inputs: files that are read besides those which the settings name.

        Raises:
            UsageError: the folder holds a run of other settings or what no run wrote, or cannot be
                made.
        """
        file = self.path / "settings.yaml"
        self._check(config, inputs)
        if file.exists() and self.last_checkpoint() is not None:
            changed = [n for n in changed_settings(load_settings(file), config) if n not in _FREE]
            if changed:
                raise UsageError(
                    f"{self.path}: holds a run of other settings ({', '.join(changed)}); go on "
                    "with the same ones, or give another output"
                )
        write_output(file, dump_settings(config), _PURPOSE)
        sessions = self.origin().get("sessions", [])
        self.note(sessions=[*sessions, _session(config, n_processes)])

    def _check(self, config: TrainConfig, inputs: Sequence[Path]) -> None:
        """Find out before the work whether the files of this run may be written."""
        named = (*config.data.train, config.data.dev, config.init.model, *config.augmentation.noise)
        read = [*inputs, *(Path(name) for name in named if name)]
        outputs = [self.path / name for name in ("run.json", "log.jsonl")]
        outputs += [self.model, *self.path.glob("checkpoint-*")]
        settings = self.path / "settings.yaml"
        if _text(settings) != dump_settings(config):  # a run may be repeated from its own settings
            outputs.append(settings)
        is_run = "sessions" in self.origin()
        check_outputs(outputs, _PURPOSE, inputs=read, is_ours=lambda path: is_run)

    def origin(self) -> dict[str, Any]:
        """What ``run.json`` says; empty where there is none."""
        file = self.path / "run.json"
        try:
            values = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        except ValueError:
            return {}
        return values if isinstance(values, dict) else {}

    def note(self, **facts: Any) -> None:
        """Add to ``run.json``."""
        text = json.dumps({**self.origin(), **facts}, indent=2, ensure_ascii=False)
        write_text_atomically(self.path / "run.json", text + "\n")

    def problems(self) -> list[Problem]:
        """What was wrong with the clips."""
        return [Problem(**values) for values in self.origin().get("problems", ())]

    def checkpoints(self) -> list[Path]:
        """Complete checkpoints, oldest first; one that a kill cut short is none."""
        found: dict[int, Path] = {}
        for path in self.path.glob("checkpoint-*"):
            number = path.name.removeprefix("checkpoint-")
            if number.isdecimal() and _is_whole(path / STATE_FILE):
                found[int(number)] = path
        return [found[number] for number in sorted(found)]

    def last_checkpoint(self) -> Path | None:
        """The checkpoint to go on from."""
        checkpoints = self.checkpoints()
        return checkpoints[-1] if checkpoints else None

    def forget_log_after(self, step: int) -> None:
        """Drop log lines of steps that will be run again."""
        kept = [line for line in self.log() if line["step"] <= step]
        self._write_log(kept)

    def add_to_log(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line."""
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def log(self) -> list[dict[str, Any]]:
        """All whole lines of the log."""
        file = self.path / "log.jsonl"
        lines = []
        for line in read_lines(file) if file.exists() else []:
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:  # cut short by a kill
                continue
        return lines

    def _write_log(self, lines: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_text_atomically(self.path / "log.jsonl", text)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _is_whole(file: Path) -> bool:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    return True


def _session(config: TrainConfig, n_processes: int) -> dict[str, Any]:
    versions = {"avsr": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv[1:],
        "git_commit": git_commit(Path(__file__).parents[1]),
        "versions": versions,
        "seed": config.seed,
        "processes": n_processes,
    }


def git_commit(folder: Path) -> str | None:
    """Commit of the checkout that our code runs from; ``-dirty`` where it was changed since.

    None for an installed package, whatever repository it lies in.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
