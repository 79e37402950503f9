"""Whisper as this project uses it: exact audio context, and drafts from its own decoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import WhisperForConditionalGeneration

from avsr import AvsrConfig, AvsrProcessor
from avsr.model_parts.draft_decoder import DraftDecoder
from avsr.model_parts.encode import encode_audio
from avsr.model_parts.streams import EncodedStream
from avsr.tokenizer import load_tokenizer, whisper_start_ids
from avsr_frontends.whisper import WhisperAudioEncoder


class WhisperReader:
    """Encoder and decoder of Whisper.

    Args:
        folder: of transformers' Whisper, with its tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        whisper = WhisperForConditionalGeneration.from_pretrained(folder).float()
        self.tokenizer = load_tokenizer(folder)
        self.config = AvsrConfig(audio_config=whisper.config)
        self.processor = AvsrProcessor.from_config(self.config, self.tokenizer)
        self.encoder = WhisperAudioEncoder(whisper.config).eval()
        self.encoder.load_state_dict(whisper.get_encoder().state_dict())
        self.decoder = DraftDecoder(whisper.config, whisper_start_ids(self.tokenizer)).eval()
        self.decoder.decoder.load_state_dict(whisper.get_decoder().state_dict())

    @torch.inference_mode()
    def encode(self, clips: Sequence[np.ndarray]) -> list[Tensor]:
        """[T, W] of each clip of N samples float32 at 16 kHz."""
        sound = encode_audio(self.encoder, self.config, **self.processor(audio=list(clips)))
        lengths = sound.lengths.tolist()
        return [row[:length] for row, length in zip(sound.features, lengths, strict=True)]

    def draft(self, features: Sequence[Tensor]) -> list[str]:
        """What the decoder makes of each clip [T, W]."""
        sound = EncodedStream(
            stream="audio",
            features=pad_sequence(list(features), batch_first=True),
            lengths=torch.tensor([len(clip) for clip in features]),
        )
        drafts = self.decoder.read(self.encoder, sound)
        return [self.tokenizer.decode(draft.token_ids).strip() for draft in drafts]
