"""The model's front half: sound and lips through encoders, compressors and projectors.

Shapes: B batch, T frames, S tokens, W encoder width, D width of the language model, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from avsr.config import AvsrConfig
from avsr.model_parts.route import Route, check_rate, nearest_rate
from avsr.model_parts.sequence import Span
from avsr.model_parts.streams import (
    EncodedStream,
    EncodedStreams,
    StreamInputs,
    frame_mask,
    given_audio,
    given_video,
)
from avsr_adapters import COMPRESSORS, RateProjector
from avsr_frontends.audio import audio_frame_count
from avsr_frontends.avhubert import AvHubertEncoder
from avsr_frontends.rates import AUDIO_ENCODER_FPS, VIDEO_FPS
from avsr_frontends.whisper import WhisperAudioEncoder


class StreamEncoders(PreTrainedModel):
    """Encoders, projectors and CTC heads of the streams that a configuration has."""

    config_class = AvsrConfig
    config: AvsrConfig
    main_input_name = "input_features"

    def __init__(self, config: AvsrConfig) -> None:
        super().__init__(config)
        self.audio_encoder = self.audio_projector = self.audio_ctc_head = None
        self.video_encoder = self.video_projector = self.video_ctc_head = None
        n_ctc = config.text_config.vocab_size + 1
        if config.audio_config is not None:
            width = config.audio_config.d_model
            self.audio_encoder = WhisperAudioEncoder(config.audio_config)
            self.audio_projector = self._build_projector("audio", width)
            self.audio_ctc_head = nn.Linear(width, n_ctc) if config.audio_ctc else None
        if config.video_config is not None:
            width = config.video_config.hidden_size
            self.video_encoder = AvHubertEncoder(config.video_config)
            self.video_projector = self._build_projector("video", width)
            self.video_ctc_head = nn.Linear(width, n_ctc) if config.video_ctc else None

    def _build_projector(self, stream: str, width: int) -> RateProjector:
        config = self.config
        rates = config.audio_rates if stream == "audio" else config.video_rates
        stacked = config.compression == "stack"
        return RateProjector(
            rates,
            [width * rate if stacked else width for rate in rates],
            config.projector_hidden_size,
            config.text_config.hidden_size,
            per_rate=config.projector_per_rate,
            activation=config.projector_activation,
            layer_norm=getattr(config, f"{stream}_projector_layer_norm"),
        )

    def encode_audio(
        self, input_features: Tensor, audio_lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the audio encoder.

        Args:
            input_features: [B, M, F] log-mel; exact or padded to 30 s, as the config says.
            audio_lengths: [B] samples at 16 kHz; None when every frame is real.

        Returns:
            [B, T, W] features and [B] real frames (50 per second).
        """
        if self.audio_encoder is None:
            raise ValueError("this model has no audio encoder")
        batch, available = input_features.shape[0], input_features.shape[-1] // 2
        padded = self.config.audio_context == "padded"
        counts = [available] * batch
        if audio_lengths is not None:
            official = self.config.official_numerics
            counts = [
                min(available, audio_frame_count(n, padded=padded, official_numerics=official))
                for n in audio_lengths.tolist()
            ]
        frames = torch.tensor(counts, device=input_features.device)
        longest = max(counts)
        input_features = input_features.to(self.audio_encoder.conv1.weight.dtype)
        if padded:
            return self.audio_encoder(input_features)[:, :longest], frames
        features = self.audio_encoder(
            input_features[..., : 2 * longest], frame_mask=frame_mask(frames, longest)
        )
        return features, frames

    def encode_video(
        self, video_values: Tensor, video_lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the video encoder.

        Args:
            video_values: [B, T, 1, 88, 88] normalised mouth crops.
            video_lengths: [B] frames; None when every frame is real.

        Returns:
            [B, T, W] features and [B] real frames (25 per second).
        """
        if self.video_encoder is None:
            raise ValueError("this model has no video encoder")
        batch, available = video_values.shape[:2]
        if video_lengths is None:
            video_lengths = torch.full((batch,), available)
        frames = video_lengths.to(video_values.device).clamp(max=available)
        if self.config.trim_video_to_rate:
            rate = self.config.video_rates[0]
            frames = torch.where(frames >= rate, frames // rate * rate, frames)
        longest = int(frames.max())
        video_values = video_values[:, :longest].to(self.video_encoder.dtype)
        features = self.video_encoder(video_values, frame_mask=frame_mask(frames, longest))
        return features, frames

    def get_audio_features(
        self, input_features: Tensor, audio_lengths: Tensor | None = None, *, rate: int
    ) -> Tensor:
        """Encode, compress and project audio: [B, S, D]. Tokens past a clip mean nothing."""
        features, lengths = self.encode_audio(input_features, audio_lengths)
        stream = EncodedStream(features=features, lengths=lengths, fps=AUDIO_ENCODER_FPS)
        return self._shorten("audio", stream, check_rate(self.config, "audio", rate)).embeds

    def get_video_features(
        self, video_values: Tensor, video_lengths: Tensor | None = None, *, rate: int
    ) -> Tensor:
        """Encode, compress and project video: [B, S, D]. Tokens past a clip mean nothing."""
        features, lengths = self.encode_video(video_values, video_lengths)
        stream = EncodedStream(features=features, lengths=lengths, fps=VIDEO_FPS)
        return self._shorten("video", stream, check_rate(self.config, "video", rate)).embeds

    def ctc_logits(
        self, *, audio_features: Tensor | None = None, video_features: Tensor | None = None
    ) -> Tensor:
        """Score every encoder frame of one stream for CTC: [B, T, V + 1], the blank last.

        Raises:
            ValueError: not exactly one stream is given, or the model has no CTC head for it.
        """
        if (audio_features is None) == (video_features is None):
            raise ValueError("give audio_features or video_features, not both")
        head = self.video_ctc_head if audio_features is None else self.audio_ctc_head
        if head is None:
            raise ValueError("this model has no CTC head for that stream")
        return head(video_features if audio_features is None else audio_features)

    def _encode(self, inputs: StreamInputs, routes: Sequence[Route]) -> EncodedStreams:
        """Run the encoders that the routes need, unless the caller has done so."""
        audio, video = given_audio(inputs), given_video(inputs)
        mel, crops = inputs.input_features, inputs.video_values
        if audio is None and mel is not None and any(route.has_audio for route in routes):
            features, lengths = self.encode_audio(mel, inputs.audio_lengths)
            audio = EncodedStream(features=features, lengths=lengths, fps=AUDIO_ENCODER_FPS)
        if video is None and crops is not None and any(route.has_video for route in routes):
            features, lengths = self.encode_video(crops, inputs.video_lengths)
            video = EncodedStream(features=features, lengths=lengths, fps=VIDEO_FPS)
        return EncodedStreams(audio=audio, video=video)

    def _shorten(self, stream: str, encoded: EncodedStream | None, rate: int | None) -> Span:
        """Compress and project one stream."""
        projector = self.audio_projector if stream == "audio" else self.video_projector
        rates = self.config.audio_rates if stream == "audio" else self.config.video_rates
        if projector is None or encoded is None or rate is None:
            raise ValueError(f"this model takes no {stream}, or none is given")
        compress = COMPRESSORS[self.config.compression]
        tokens, lengths = compress(encoded.features, rate, encoded.lengths)
        tokens = tokens.to(next(projector.parameters()).dtype)
        return Span(embeds=projector(tokens, nearest_rate(rates, rate)), lengths=lengths)
