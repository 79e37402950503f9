"""Names: which published tensor each tensor of our model is, and which ones are not needed."""

import re
from collections.abc import Iterable

from avsr.config import AvsrConfig

_TASKS = {"asr": "audio", "vsr": "video", "avsr": "audiovisual"}  # adapter -> published name
_UNUSED = (  # parts of AV-HuBERT's pre-training
    r"(video_encoder\.)?(mask_emb|label_embs_concat|final_proj\.(weight|bias))",
)
_LORA = re.compile(r"language_model\.(.+)\.([qv])_proj\.lora_([AB])\.(\w+)\.weight")
_PROJECTOR = re.compile(r"(audio|video)_projector\.projectors\.(\w+)\.(.+)")
_RENAMES = (  # the first that matches counts
    (r"language_model\.(.+)\.base_layer\.(weight|bias)", r"llm.\1.\2"),
    (r"language_model\.(.+)", r"llm.\1"),
    (r"prompt_av", "prompt_audiovisual"),
    (r"((audio|video)_encoder\.|prompt_)(.+)", r"\1\3"),
)
OUTPUT_LAYER = "llm.lm_head.weight"
EMBEDDING = "llm.model.embed_tokens.weight"


def published_name(name: str, config: AvsrConfig) -> str:
    """The name that published checkpoints give a tensor of our model.

    Raises:
        KeyError: no published checkpoint has such a tensor.
    """
    lora = _LORA.fullmatch(name)
    if lora:
        return _lora_name(*lora.groups(), config=config)
    projector = _PROJECTOR.fullmatch(name)
    if projector:
        stream, rate, rest = projector.groups()
        if rate == "shared":
            return f"{stream}_proj.{rest}"
        return f"{stream}_proj.{getattr(config, f'{stream}_rates').index(int(rate))}.{rest}"
    for pattern, replacement in _RENAMES:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    raise KeyError(name)


def is_unused(name: str) -> bool:
    """Whether a published tensor plays no part in recognition."""
    return any(re.fullmatch(pattern, name) for pattern in _UNUSED)


def leftover_names(names: Iterable[str], used: Iterable[str]) -> list[str]:
    """Published tensors that are neither used nor known to be unneeded."""
    return [name for name in set(names).difference(used) if not is_unused(name)]


def _lora_name(block: str, layer: str, side: str, adapter: str, config: AvsrConfig) -> str:
    direction = "down" if side == "A" else "up"  # peft's A reads the input
    base = f"llm.{block}.lora_{direction}_{layer.upper()}"
    if adapter in _TASKS:
        return f"{base}.{_TASKS[adapter]}.weight"
    return f"{base}.weight" if config.lora_strategy == "shared" else f"{base}_shared.weight"
