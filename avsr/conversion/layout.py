"""What a published checkpoint holds, decided from the names and shapes of its tensors alone.

The names are those of the Llama-AVSR, Llama-MTSK, Llama-MT and Omni-AVSR checkpoints.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsr.conversion.pickles import StoredTensor
from avsr.errors import InputError
from avsr.route import Modality

PUBLISHED_MODALITIES: dict[str, Modality] = {  # published name -> ours
    "audio": "audio",
    "video": "video",
    "audiovisual": "av",
}
_TOP_NAMES = (
    "llm.",
    "audio_encoder.",
    "video_encoder.",
    "audiovisual_encoder.",
    "audio_proj.",
    "video_proj.",
    "audiovisual_proj.",
    "prompt_audio",
    "prompt_video",
)
_LIGHTNING_PREFIX = "model."
_LORA = re.compile(r"llm\..*\.lora_down_Q(_shared)?(?:\.(audio|video|audiovisual))?\.weight")
_PROJECTOR = re.compile(r"(audio|video)_proj\.(?:(\d+)\.)?([023])\.(weight|bias)")

Tensors = dict[str, StoredTensor]


@dataclass(frozen=True, kw_only=True)
class ProjectorLayout:
    """The projectors of one stream.

    Attributes:
        per_rate: there is one for each rate, in the order of the rates.
        input_sizes: feature size that each takes.
        hidden_size: width between the two linear layers.
        layer_norm: they end with a LayerNorm.
    """

    per_rate: bool
    input_sizes: tuple[int, ...]
    hidden_size: int
    layer_norm: bool


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The kind of model in a checkpoint.

    Attributes:
        projectors: of each stream, "audio", "video".
        lora_strategy: which adapters there are; None without LoRA.
        lora_rank: width of their bottleneck; 0 without LoRA.
        lora_tasks: published names of the tasks that have an adapter of their own.
        prompt_lengths: tokens of each stored prompt by modality; empty where none is stored.
        hidden_size: of the language model.
        vocab_size: rows of the embedding, added tokens included.
    """

    projectors: dict[str, ProjectorLayout]
    lora_strategy: str | None
    lora_rank: int
    lora_tasks: tuple[str, ...]
    prompt_lengths: dict[str, int]
    hidden_size: int
    vocab_size: int

    @property
    def modalities(self) -> list[Modality]:
        """What the model was trained on: one task, or those that have prompts or adapters."""
        if self.prompt_lengths:
            return [m for m in PUBLISHED_MODALITIES.values() if m in self.prompt_lengths]
        if self.lora_tasks:
            return [ours for name, ours in PUBLISHED_MODALITIES.items() if name in self.lora_tasks]
        return ["av"] if len(self.projectors) == 2 else [next(iter(self.projectors))]  # pyright: ignore


def checkpoint_tensors(contents: Any, path: Path) -> Tensors:
    """The tensors of a plain dict, of a Lightning checkpoint or of a fairseq file, by name.

    Raises:
        InputError: there is no such dict.
    """
    state = contents
    for key in ("state_dict", "model"):
        if isinstance(contents, dict) and isinstance(contents.get(key), dict):
            state = contents[key]
            break
    if not isinstance(state, dict) or not state:
        raise InputError(f"{path}: holds no dict of tensors, as a checkpoint must")
    others = [str(name) for name, value in state.items() if not isinstance(value, StoredTensor)]
    if others:
        raise InputError(f"{path}: holds values that are no tensors: {name_some(others)}")
    tensors: Tensors = dict(state)
    prefixed = tuple(_LIGHTNING_PREFIX + name for name in _TOP_NAMES)
    if any(name.startswith(prefixed) for name in tensors):
        return {name.removeprefix(_LIGHTNING_PREFIX): value for name, value in tensors.items()}
    return tensors


def is_published_model(names: Iterable[str]) -> bool:
    """Whether any tensor belongs to a published audio-visual model."""
    return any(name.startswith(_TOP_NAMES) for name in names)


def read_layout(tensors: Mapping[str, StoredTensor], path: Path) -> Layout:
    """Decide what kind of model the tensors are.

    Raises:
        InputError: a kind that is not supported, or an essential tensor is missing.
    """
    _check_kind(tensors, path)
    projectors = {
        stream: _read_projectors(stream, tensors, path)
        for stream in ("audio", "video")
        if any(name.startswith(f"{stream}_encoder.") for name in tensors)
    }
    if len({layout.per_rate for layout in projectors.values()}) > 1:
        raise InputError(f"{path}: only one stream has a projector for each rate")
    strategy, tasks, rank = _read_lora(tensors, path)
    vocab_size, hidden_size = tensors["llm.model.embed_tokens.weight"].shape
    prompts = {
        ours: tensors[f"prompt_{name}"].shape[1]
        for name, ours in PUBLISHED_MODALITIES.items()
        if f"prompt_{name}" in tensors
    }
    return Layout(
        projectors=projectors,
        lora_strategy=strategy,
        lora_rank=rank,
        lora_tasks=tasks,
        prompt_lengths=prompts,
        hidden_size=hidden_size,
        vocab_size=vocab_size,
    )


def name_some(names: Iterable[str], most: int = 5) -> str:
    """List the first names and count the others."""
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _check_kind(tensors: Mapping[str, StoredTensor], path: Path) -> None:
    if not is_published_model(tensors):
        raise InputError(
            f"{path}: is no audio-visual model: expected names such as llm.*, audio_encoder.*, "
            f"video_encoder.*, audio_proj.*; found {name_some(tensors, 3)}"
        )
    if any(name.startswith("audiovisual_") for name in tensors):
        raise InputError(
            f"{path}: audiovisual_encoder.* encodes sound and lips with one AV-HuBERT, whose audio "
            "input (log filterbanks) and sequence without markers are not supported"
        )
    if "llm.model.embed_tokens.weight" not in tensors:
        raise InputError(
            f"{path}: llm.model.embed_tokens.weight is missing; without the language model the "
            "embeddings of the added tokens are lost: get the whole checkpoint"
        )
    streams = [s for s in ("audio", "video") if f"{s}_encoder" in _parts(tensors)]
    if not streams:
        raise InputError(f"{path}: has neither audio_encoder.* nor video_encoder.* tensors")
    if "audio" in streams and "audio_encoder.conv1.weight" not in tensors:
        found = name_some((n for n in tensors if n.startswith("audio_encoder.")), 2)
        raise InputError(
            f"{path}: audio_encoder.conv1.weight is missing: the audio encoder is no Whisper "
            f"encoder ({found}), and no other is supported"
        )


def _parts(tensors: Mapping[str, StoredTensor]) -> set[str]:
    return {name.partition(".")[0] for name in tensors}


def _read_projectors(
    stream: str, tensors: Mapping[str, StoredTensor], path: Path
) -> ProjectorLayout:
    found: dict[str | None, set[str]] = {}
    for name in tensors:
        match = _PROJECTOR.fullmatch(name)
        if match and match[1] == stream:
            found.setdefault(match[2], set()).add(match[3])
    if not found:
        raise InputError(f"{path}: {stream}_proj.0.weight is missing: the encoder has no projector")
    numbers = sorted((n for n in found if n is not None), key=int)
    if numbers and (None in found or numbers != [str(i) for i in range(len(numbers))]):
        raise InputError(f"{path}: {stream}_proj.* numbers its projectors {', '.join(numbers)}")
    prefixes = [f"{stream}_proj.{n}." for n in numbers] or [f"{stream}_proj."]
    norms = {"3" in layers for layers in found.values()}
    if len(norms) > 1:
        raise InputError(f"{path}: only some of {stream}_proj.* end with a LayerNorm")
    weights = []
    for prefix in prefixes:
        if prefix + "0.weight" not in tensors:
            raise InputError(f"{path}: {prefix}0.weight is missing")
        weights.append(tensors[prefix + "0.weight"].shape)
    return ProjectorLayout(
        per_rate=bool(numbers),
        input_sizes=tuple(shape[1] for shape in weights),
        hidden_size=weights[0][0],
        layer_norm=norms == {True},
    )


def _read_lora(
    tensors: Mapping[str, StoredTensor], path: Path
) -> tuple[str | None, tuple[str, ...], int]:
    """Strategy, tasks with an adapter of their own, and width of the bottleneck."""
    kinds: set[tuple[bool, str | None]] = set()  # (has _shared, task)
    ranks = set()
    for name, tensor in tensors.items():
        match = _LORA.fullmatch(name)
        if match:
            kinds.add((match[1] is not None, match[2]))
            ranks.add(tensor.shape[0])
    if not kinds:
        return None, (), 0
    if len(ranks) > 1:
        raise InputError(f"{path}: llm.*.lora_down_Q has different widths: {sorted(ranks)}")
    tasks = tuple(task for _, task in sorted(kinds, key=str) if task is not None)
    rank = ranks.pop()
    if kinds == {(False, None)}:
        return "shared", (), rank
    if (False, None) not in kinds and tasks:
        return ("shared+per_task" if (True, None) in kinds else "per_task"), tasks, rank
    raise InputError(f"{path}: llm.*.lora_down_Q mixes adapters of different kinds of models")
