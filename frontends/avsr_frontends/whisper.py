"""The Whisper audio encoder, on exactly the audio that is there.

Shapes: B batch, M mel bands, F mel frames (100 per second), D hidden size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.whisper.modeling_whisper import WhisperEncoder

__all__ = ["WhisperAudioEncoder"]


class WhisperAudioEncoder(WhisperEncoder):
    """Hugging Face's Whisper encoder without its demand for 30 s of input.

    Parameter names, sizes and, on 30 s of input, values are those of the parent class.
    """

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input_features: Tensor, frame_mask: Tensor | None = None
    ) -> Tensor:
        """Encode a log-mel spectrogram.

        Args:
            input_features: [B, M, F], F even and at most ``2 * max_source_positions``.
            frame_mask: [B, F // 2] bool, true for real encoder frames (50 per second); padding
                then changes nothing. None when all frames are real.

        Returns:
            [B, F // 2, D]. Values at padded frames mean nothing.

        Raises:
            ValueError: the input is longer than the position table.
        """
        n_frames = input_features.shape[-1] // 2
        if n_frames > self.max_source_positions:
            raise ValueError(
                f"the audio encoder takes at most {self.max_source_positions / 50:g} s, got "
                f"{n_frames / 50:g} s; cut the input into shorter segments"
            )
        attention_mask = None
        if frame_mask is None:
            hidden = functional.gelu(self.conv1(input_features))
        else:
            # A clip alone sees zeros past its end at both convolutions.
            mel_mask = frame_mask.repeat_interleave(2, dim=-1)[:, None]
            hidden = functional.gelu(self.conv1(input_features * mel_mask)) * mel_mask
            attention_mask = torch.zeros(
                frame_mask.shape, dtype=input_features.dtype, device=input_features.device
            ).masked_fill(~frame_mask, torch.finfo(input_features.dtype).min)[:, None, None, :]
            attention_mask = attention_mask.expand(-1, 1, n_frames, -1)
        hidden = functional.gelu(self.conv2(hidden)).transpose(1, 2)
        hidden = hidden + self.embed_positions.weight[:n_frames]
        hidden = nn.functional.dropout(hidden, p=self.dropout, training=self.training)
        for layer in self.layers:
            hidden = layer(hidden, attention_mask)
        return self.layer_norm(hidden)
