"""Models of published sizes with random weights: as fast as the real ones, and nothing to fetch."""

from typing import Any

import torch

from avsr.config import AvsrConfig
from avsr.errors import UsageError
from avsr.model import AvsrForConditionalGeneration
from avsr.pretrained import LoadedModel, choose_device
from avsr.processing import AvsrProcessor
from avsr_frontends.rates import AUDIO_ENCODER_FPS

__all__ = ["AUDIO_ENCODERS", "LANGUAGE_MODELS", "VIDEO_ENCODERS", "random_config", "random_model"]

N_MARKERS = 5  # <pad>, <audio>, </audio>, <video>, </video>
_PROMPT_LENGTHS = {"audio": 6, "video": 6, "av": 8}  # of the published prompts in Llama's tokens
_LLAMA_3 = {"vocab_size": 128_256, "rms_norm_eps": 1e-5}
_QWEN_2 = {"vocab_size": 151_936, "tie_word_embeddings": True}


def _text(
    family: str, width: int, inner: int, layers: int, heads: int, kv_heads: int, **more: Any
) -> dict[str, Any]:
    return {
        "model_type": family,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        **more,
    }


def _audio(width: int, layers: int, heads: int, mels: int = 80) -> dict[str, Any]:
    return {
        "d_model": width,
        "encoder_layers": layers,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "num_mel_bins": mels,
        "max_source_positions": 30 * AUDIO_ENCODER_FPS,
    }


def _video(width: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
    }


LANGUAGE_MODELS: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": _text("llama", 2048, 8192, 16, 32, 8, tie_word_embeddings=True, **_LLAMA_3),
    "llama-3.2-3b": _text("llama", 3072, 8192, 28, 24, 8, tie_word_embeddings=True, **_LLAMA_3),
    "llama-3.1-8b": _text("llama", 4096, 14_336, 32, 32, 8, **_LLAMA_3),
    "qwen-2.5-0.5b": _text("qwen2", 896, 4864, 24, 14, 2, **_QWEN_2),
    "qwen-2.5-1.5b": _text("qwen2", 1536, 8960, 28, 12, 2, **_QWEN_2),
    "qwen-2.5-3b": _text("qwen2", 2048, 11_008, 36, 16, 2, **_QWEN_2),
}
AUDIO_ENCODERS: dict[str, dict[str, Any]] = {
    "whisper-tiny": _audio(384, 4, 6),
    "whisper-base": _audio(512, 6, 8),
    "whisper-small": _audio(768, 12, 12),
    "whisper-medium": _audio(1024, 24, 16),
    "whisper-large-v3": _audio(1280, 32, 20, mels=128),
}
VIDEO_ENCODERS: dict[str, dict[str, Any]] = {
    "avhubert-base": _video(768, 12, 12),
    "avhubert-large": _video(1024, 24, 16),
}


def random_model(
    names: str,
    *,
    layers: int | None = None,
    padded: bool = False,
    device: str = "auto",
    dtype: str = "float32",
) -> LoadedModel:
    """Make a model of the sizes named, with random weights.

    Args:
        names: sizes with commas between them: one language model, and a Whisper, an AV-HuBERT or
            both.
        layers: keep only so many layers of every part; None keeps all.
        padded: encode sound padded to 30 s, as models published so far were trained.
        device: as for :func:`~avsr.pretrained.choose_device`.
        dtype: of the weights, "float32" or "bfloat16".

    Raises:
        UsageError: an unknown name, or not one language model and at least one encoder.
    """
    chosen_device = choose_device(device)
    config = random_config(names, layers=layers, padded=padded)
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with chosen_device:
            model = AvsrForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(default)
    kept = "" if layers is None else f", {layers} layers of each"
    return LoadedModel(
        name=f"random {names}{kept}",
        model=model.eval(),
        processor=AvsrProcessor.from_config(config, tokenizer=None),
        device=chosen_device,
    )


def random_config(names: str, *, layers: int | None = None, padded: bool = False) -> AvsrConfig:
    """The configuration of :func:`random_model`: rates, LoRA and projectors as in the proposal."""
    parts: dict[str, dict[str, Any]] = {}
    tables = {"text": LANGUAGE_MODELS, "audio": AUDIO_ENCODERS, "video": VIDEO_ENCODERS}
    for name in (item.strip().lower() for item in names.split(",")):
        part = next((part for part, table in tables.items() if name in table), None)
        if part is None:
            known = ", ".join(name for table in tables.values() for name in table)
            raise UsageError(
                f"there is no size {name!r}; give some of {known}", settings=("random",)
            )
        if part in parts:
            message = f"{names}: gives two sizes of one part; give one of each"
            raise UsageError(message, settings=("random",))
        parts[part] = dict(tables[part][name])
    if "text" not in parts or len(parts) < 2:
        raise UsageError(
            f"{names}: give a language model and an encoder, such as "
            "llama-3.2-1b,whisper-medium,avhubert-large",
            settings=("random",),
        )
    if layers is not None:
        for part, field in (("text", "num_hidden_layers"), ("audio", "encoder_layers")):
            if part in parts:
                parts[part][field] = min(layers, parts[part][field])
        if "video" in parts:
            parts["video"]["num_hidden_layers"] = min(layers, parts["video"]["num_hidden_layers"])
    n_base = parts["text"]["vocab_size"]
    parts["text"]["vocab_size"] = n_base + N_MARKERS
    prompt_ids = {name: list(range(3, 3 + n)) for name, n in _PROMPT_LENGTHS.items()}
    return AvsrConfig(
        text_config=parts["text"],
        audio_config=parts.get("audio"),
        video_config=parts.get("video"),
        audio_context="padded" if padded else "exact",
        prompt_ids=prompt_ids,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=n_base,
        audio_start_token_id=n_base + 1,
        audio_end_token_id=n_base + 2,
        video_start_token_id=n_base + 3,
        video_end_token_id=n_base + 4,
    )
