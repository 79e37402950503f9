"""A draft of the text by the decoder that a Whisper encoder comes with.

The encoder has run anyway, so its own decoder's greedy reading costs little. It may stand in the
language model's prompt, where sound, lips and language improve on it (compare AVGER, arXiv
2501.04038, which puts n-best lists of a recogniser there).
Shapes: B clips, T encoder frames (50 per second), W width.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from avsr.model_parts.streams import EncodedStream
from avsr_frontends.audio import log_mel

__all__ = ["Draft", "DraftDecoder"]

_MOST_TOKENS_PER_S = 8
_LEAST_TOKENS = 8


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What the decoder makes of one clip.

    Attributes:
        token_ids: its text in its own vocabulary, special tokens left out.
        log_probs: of each of them, and of the end that follows if the text came to one; never none.
    """

    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...]


class DraftDecoder(nn.Module):
    """Whisper's decoder with its output layer, which is its embedding table.

    Args:
        config: of the whole Whisper model.
        start_ids: tokens that its texts begin with, such as those for English and for no times.
    """

    def __init__(self, config: Any, start_ids: list[int]) -> None:
        super().__init__()
        self.decoder = WhisperDecoder(config)
        self.start_ids, self.end_id = list(start_ids), int(config.eos_token_id)
        self.not_first = [*(config.begin_suppress_tokens or ())]
        self._silence: Tensor | None = None

    @torch.inference_mode()
    def read(self, encoder: Any, sound: EncodedStream) -> list[Draft]:
        """Greedy text of each clip.

        The decoder knows the end of a clip by the silence that fills 30 s after it. The encoder
        has seen the clip alone (``audio_context: exact``), so the frames that it makes of silence
        are put behind; without them texts repeat to no end. A clip that is there more than once,
        since several readings use it, is read once.

        Args:
            encoder: the audio encoder.
            sound: its output of B clips.
        """
        clips: dict[bytes, int] = {}  # digest of the sound -> the first row with it
        digests = [_digest(sound.features[row, :n]) for row, n in enumerate(sound.lengths.tolist())]
        for row, digest in enumerate(digests):
            clips.setdefault(digest, row)
        read = dict(zip(clips, self._read(encoder, sound.rows(list(clips.values()))), strict=True))
        return [read[digest] for digest in digests]

    def _read(self, encoder: Any, sound: EncodedStream) -> list[Draft]:
        filled = self._behind(encoder, sound)
        batch = len(filled)
        device = filled.device
        token_ids = torch.tensor([self.start_ids] * batch, device=device)
        going = torch.ones(batch, dtype=torch.bool, device=device)
        texts: list[list[int]] = [[] for _ in range(batch)]
        log_probs: list[list[float]] = [[] for _ in range(batch)]
        table: Tensor = self.decoder.embed_tokens.weight
        cache = None
        most = _LEAST_TOKENS + int(sound.lengths.max()) * _MOST_TOKENS_PER_S // sound.fps
        for step in range(min(most, self.decoder.config.max_target_positions - 8)):
            output = self.decoder(
                input_ids=token_ids,
                encoder_hidden_states=filled,
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            scores = output.last_hidden_state[:, -1] @ table.T
            scores[:, self.end_id + 1 :] = -torch.inf  # no special token
            if step == 0:
                scores[:, self.not_first] = -torch.inf
            surest, best = scores.float().log_softmax(dim=-1).max(dim=-1)
            for row in going.nonzero()[:, 0].tolist():
                log_probs[row].append(float(surest[row]))
            going &= best != self.end_id
            for row in going.nonzero()[:, 0].tolist():
                texts[row].append(int(best[row]))
            if not going.any():
                break
            token_ids = best[:, None]
        return [
            Draft(token_ids=tuple(text), log_probs=tuple(own))
            for text, own in zip(texts, log_probs, strict=True)
        ]

    def _behind(self, encoder: Any, sound: EncodedStream) -> Tensor:
        """The clips followed by what silence looks like, [B, 30 s, W]."""
        features = sound.features
        silence = self._silence
        if silence is None:
            mel = log_mel(np.zeros(1, np.float32), encoder.config.num_mel_bins, padded=True)
            silence = self._silence = encoder(mel[None].to(features))[0]
        silence = silence.to(features)
        real = torch.arange(len(silence), device=features.device) < sound.lengths[:, None]
        longest = min(features.shape[1], len(silence))
        filled = silence[None].repeat(len(features), 1, 1)
        filled[:, :longest] = torch.where(
            real[:, :longest, None], features[:, :longest], filled[:, :longest]
        )
        return filled


def _digest(features: Tensor) -> bytes:
    return hashlib.sha256(features.detach().float().cpu().numpy().tobytes()).digest()
