"""Fixtures that several suites share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from avsr.model_files.store import fix_default
from avsr.processing import AvsrProcessor
from tests.clips import write_clip
from tests.signals import portrait, specks, tone
from tests.tiny import tiny_config, tiny_model
from tests.training_data import write_corpus

# Tiny models gain nothing from threads, and lose much where other work shares the machine.
torch.set_num_threads(1)

WORDS = ["bin", "lay", "place", "set", "blue", "green", "red", "white", "at", "by", "in", "with"]


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests write is not noted among the user's own files, and their default needs no network.

    The default model is fixed to the one that needs nothing fetched; what reads where nothing is
    fixed is tested in ``test_english_default.py``.
    """
    names = {"AVSR_STATE": "state", "AVSR_CONFIG": "config"}
    before = {name: os.environ.get(name) for name in names}
    for name, folder in names.items():
        os.environ[name] = str(tmp_path_factory.mktemp(folder))
    fix_default("grid-tiny")
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of a tiny random model whose words depend on what it hears and sees."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    text_config: dict[str, Any] = tiny_config().to_dict()["text_config"]
    text_config |= {"tie_word_embeddings": False, "initializer_range": 0.3}
    model = tiny_model(seed=1, text_config=text_config, max_tokens_per_second=4.0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "projector" in name:
                parameter.mul_(10)
    special = ["<unk>", "<s>", "</s>"]
    markers = ["<pad>", "<audio>", "</audio>", "<video>", "</video>"]
    fill = [f"word{index}" for index in range(27 - len(special) - len(WORDS))]
    vocabulary = {token: i for i, token in enumerate([*special, *WORDS, *fill, *markers])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        pad_token="<pad>", additional_special_tokens=markers[1:],
    )  # fmt: skip
    model.save_pretrained(folder)
    AvsrProcessor.from_config(model.config, fast).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared clips with the manifests ``train.jsonl`` and ``dev.jsonl``."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    write_corpus(folder, 4, prefix="dev")
    return folder


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small clips: ``av.mp4``, ``no_face.mp4``, ``mute.mp4``, ``sound.wav``, ...

    ``av`` shows a portrait with a tone, ``mute`` the portrait without a sound track, ``silent`` the
    portrait with a silent one, ``no_face`` noise with a tone, ``blind`` noise without sound.
    """
    folder = tmp_path_factory.mktemp("media")
    face = [portrait()] * 25
    write_clip(folder / "av.mp4", face, sound=tone(1.0), sound_codec="aac")
    write_clip(folder / "mute.mp4", face)
    write_clip(folder / "silent.mp4", face, sound=0 * tone(1.0), sound_codec="aac")
    write_clip(folder / "no_face.mp4", specks(25), sound=tone(1.0, 300.0), sound_codec="aac")
    write_clip(folder / "blind.mp4", specks(25))
    write_clip(folder / "sound.wav", sound=tone(1.2, 180.0))
    write_clip(folder / "silence.wav", sound=0 * tone(1.0))
    return folder
