"""Whisper with exact audio context, and its own decoder's greedy text from the same encoder output.

Shapes: B clips, T encoder frames (50 per second), W width.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast, WhisperForConditionalGeneration

from avsr_frontends.audio import log_mel, normalise_waveform
from avsr_frontends.whisper import WhisperAudioEncoder

START, NO_TIMES, END, SPACE, FIRST_SPECIAL = 50257, 50362, 50256, 220, 50257
MAX_TOKENS_PER_S = 8


class WhisperReader:
    """Encoder and decoder of Whisper, English only.

    The encoder sees the sound that is there. The decoder was trained on 30 s, and without the
    silence after the speech it does not stop: so the frames of an empty clip are put behind.

    Args:
        folder: of transformers' Whisper, with its tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        self.model = WhisperForConditionalGeneration.from_pretrained(folder).eval()
        self.encoder = WhisperAudioEncoder(self.model.config).eval()
        self.encoder.load_state_dict(self.model.model.encoder.state_dict())
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        silence = log_mel(np.zeros(1, np.float32), padded=True)
        with torch.inference_mode():
            self.silence = self.encoder(silence[None])[0]

    @torch.inference_mode()
    def encode(self, clips: Sequence[np.ndarray]) -> list[Tensor]:
        """[T, W] of each clip of N samples float32 at 16 kHz."""
        mels = [log_mel(normalise_waveform(clip)) for clip in clips]
        lengths = torch.tensor([mel.shape[1] // 2 for mel in mels])
        batch = torch.zeros(len(mels), 80, 2 * int(lengths.max()))
        for row, mel in zip(batch, mels, strict=True):
            row[:, : mel.shape[1]] = mel
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        features = self.encoder(batch, None if bool(mask.all()) else mask)
        return [row[:length] for row, length in zip(features, lengths.tolist(), strict=True)]

    @torch.inference_mode()
    def draft(self, features: Sequence[Tensor]) -> list[str]:
        """Greedy text of each clip [T, W]."""
        longest = max(map(len, features))
        filled = self.silence[None].repeat(len(features), 1, 1)
        for row, own in zip(filled, features, strict=True):
            row[: len(own)] = own
        token_ids = torch.tensor([[START, NO_TIMES]] * len(features))
        texts: list[list[int]] = [[] for _ in features]
        going, cache = torch.ones(len(features), dtype=torch.bool), None
        for step in range(8 + longest * MAX_TOKENS_PER_S // 50):
            output = self.model.model.decoder(
                input_ids=token_ids,
                encoder_hidden_states=filled,
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            scores = self.model.proj_out(output.last_hidden_state[:, -1])
            scores[:, FIRST_SPECIAL:] = -torch.inf
            if step == 0:
                scores[:, [SPACE, END]] = -torch.inf
            best = scores.argmax(-1)
            going &= best != END
            for text, token, more in zip(texts, best.tolist(), going.tolist(), strict=True):
                if more:
                    text.append(token)
            if not going.any():
                break
            token_ids = best[:, None]
        return [self.tokenizer.decode(text).strip() for text in texts]
