"""Sizes and switches of the AV-HuBERT encoder."""

from transformers import PreTrainedConfig


class AvHubertConfig(PreTrainedConfig):
    """Configuration of :class:`~avsr_frontends.avhubert.AvHubertEncoder`.

    The defaults are AV-HuBERT Large. Every size can be reduced, so that the same class is the
    encoder of a model of a few megabytes.

    Args:
        hidden_size: width D of the Transformer.
        num_hidden_layers: Transformer layers.
        num_attention_heads: attention heads per layer.
        intermediate_size: width of the feed-forward blocks.
        layer_norm_first: pre-norm layers with one final norm (all published models), or
            post-norm layers with one norm after the positional convolution.
        positional_conv_kernel: taps of the positional convolution, in frames.
        positional_conv_groups: groups of the positional convolution.
        resnet_channels: channels of the 3-D convolution and of each ResNet stage.
        resnet_blocks: basic blocks in each stage; every stage but the first halves the picture.
            A stage of no blocks is left out, and needs as many channels as the one before.
        resnet_activation: "prelu" (one slope per channel) or "relu".
        patch_stem: the first convolution takes steps of four pixels in place of two and a
            max-pooling, which makes it about four times cheaper (not in AV-HuBERT).
        picture_size: side of the central square of the picture that is looked at, in pixels;
            None for all of it (AV-HuBERT). A smaller square is cheaper.
        clip_normalisation: subtract each pixel's mean over the clip and divide by the clip's
            standard deviation, which removes the speaker's still appearance (not in AV-HuBERT).
        audio_feature_size: width of the audio input (26 log filterbanks x 4 frames).
        dropout: dropout probability while training.
        lora_bottleneck: width of the LoRA on the query and value projections; 0 means none.
        lora_scaling: factor on the LoRA's output (published: 2).
    """

    model_type = "avhubert"

    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    layer_norm_first: bool = True
    positional_conv_kernel: int = 128
    positional_conv_groups: int = 16
    resnet_channels: list[int] | tuple[int, ...] = (64, 64, 128, 256, 512)
    resnet_blocks: list[int] | tuple[int, ...] = (2, 2, 2, 2)
    resnet_activation: str = "prelu"
    patch_stem: bool = False
    picture_size: int | None = None
    clip_normalisation: bool = False
    audio_feature_size: int = 104
    dropout: float = 0.1
    lora_bottleneck: int = 0
    lora_scaling: float = 2.0
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: object) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if len(self.resnet_channels) != len(self.resnet_blocks) + 1:
            raise ValueError(
                "resnet_channels needs one entry for the first convolution and one per stage, got "
                f"{len(self.resnet_channels)} for {len(self.resnet_blocks)} stages"
            )
        if self.resnet_activation not in ("prelu", "relu"):
            raise ValueError(
                f'resnet_activation must be "prelu" or "relu", got "{self.resnet_activation}"'
            )
        super().__post_init__(**kwargs)
