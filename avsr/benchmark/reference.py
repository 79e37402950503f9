"""The procedure of the published systems, on the same weights, to be measured against.

One clip at a time; encoders run anew for every task and pair of rates; adapters act beside the
weights; the prefix is repeated for every beam *before* it is read, by transformers' ``generate``.
The audio context is the model's own. Searching is deterministic here, where they sample.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig

from avsr.decoding.options import SearchOptions
from avsr.decoding.search_settings import SearchSettings
from avsr.decoding.sequence import TokenSequence
from avsr.pretrained import LoadedModel
from avsr.route import Route
from avsr_frontends.rates import SAMPLE_RATE


def published_search(
    language_model: Any, prefix: TokenSequence, settings: SearchSettings
) -> Tensor:
    """Search with transformers' own ``generate``: [B, L] new token ids, padded after the end.

    All clips are given the largest budget, as ``generate`` has only one.
    """
    config = GenerationConfig(
        eos_token_id=list(settings.end_ids) or None,
        pad_token_id=settings.pad_id,
        do_sample=False,
        num_beams=settings.num_beams,
        max_new_tokens=max(settings.budgets),
    )
    return language_model.generate(
        inputs_embeds=prefix.embeds,
        attention_mask=prefix.full_mask().long(),
        generation_config=config,
    )


@torch.inference_mode()
def published_reading(
    loaded: LoadedModel,
    reading: Route,
    *,
    waveform: np.ndarray | None,
    mouth: np.ndarray | None,
    search: SearchOptions,
) -> list[int]:
    """Read one clip as published evaluations do.

    Args:
        loaded: the model; its LoRA is unfolded.
        reading: what to read it by.
        waveform: [N] float32 at 16 kHz; used where the modality hears.
        mouth: [T, 96, 96] uint8; used where the modality sees.
        search: beams, and bound on tokens; published searches know no CTC heads.

    Returns:
        New token ids up to and with the end.
    """
    model = loaded.model
    model.unfold_lora()
    batch = loaded.processor(
        audio=waveform if reading.has_audio else None,
        video=mouth if reading.has_video else None,
        sampling_rate=SAMPLE_RATE,
        modality=reading.modality,
    ).to(loaded.device)
    prefix, settings = model.search_inputs(
        **batch,
        route=reading,
        search=search,
    )
    ids = published_search(model.language_model, prefix, settings)[0].tolist()
    ends = [index for index, token in enumerate(ids) if token in settings.end_ids]
    return ids[: ends[0] + 1] if ends else ids
