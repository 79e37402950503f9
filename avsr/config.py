"""Architecture of a model: its parts, its trained rates and tasks, its tokens and prompts."""

from dataclasses import fields
from difflib import get_close_matches
from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig, WhisperConfig
from transformers.configuration_utils import SubConfigSpec

from avsr.route import MODALITIES, TASKS, Stream
from avsr_adapters import COMPRESSORS, STRATEGIES, Compressor
from avsr_frontends.avhubert import AvHubertConfig

FORMER_FIELDS = (  # training settings and search defaults that older folders keep here
    "decorrelation_weight",
    "decorrelation_layers",
    "default_beams",
    "default_ctc_weight",
)
PROMPTS: dict[str, str] = {  # the published models' wording
    "audio": "Transcribe speech to text.",
    "video": "Transcribe video to text.",
    "av": "Transcribe speech and video to text.",
}


class AvsrConfig(PreTrainedConfig):
    """Configuration of :class:`~avsr.model.AvsrForConditionalGeneration`.

    Args:
        audio_config: Whisper encoder sizes, or None for a model that cannot hear.
        video_config: AV-HuBERT sizes (with its own LoRA), or None for a model that cannot see.
        text_config: any causal language model; ``vocab_size`` counts the added tokens.
        modalities: what the model was trained on, a part of "audio", "video", "av".
        audio_rates: trained audio rates, encoder frames (50/s) per token.
        video_rates: trained video rates, encoder frames (25/s) per token.
        compression: name of a compressor, see :mod:`avsr_adapters.compressors`.
        projector_hidden_size: width between the two linear layers of a projector.
        projector_per_rate: one projector per rate, or one for all rates of a stream.
        projector_activation: "relu", "gelu" or "silu".
        audio_projector_layer_norm: audio projectors end with a LayerNorm.
        video_projector_layer_norm: video projectors end with a LayerNorm.
        lora_strategy: which adapters act for which rates and task; None for no LoRA.
        lora_rank: width of the bottleneck (not the divisor that published files call rank).
        lora_scaling: factor on the output of each adapter.
        lora_target_modules: adapted linear layers of the language model; None for all but the head.
        lora_dropout: dropout on the adapters' input while training.
        audio_context: "exact": encode the audio that is there; "padded": pad it to 30 s.
        trim_video_to_rate: drop trailing frames *before* the video encoder so that the rate
            divides what is left, as published models of one rate do.
        official_numerics: reproduce the rounding of the published bfloat16 runs (rotary
            frequencies, audio frame count, waveform and mel spectrogram).
        bos_token_id: first token, or None where the tokenizer has none (Qwen).
        eos_token_id: last token of a text.
        pad_token_id: fills short rows.
        audio_start_token_id: ``<audio>``.
        audio_end_token_id: ``</audio>``.
        video_start_token_id: ``<video>``.
        video_end_token_id: ``</video>``.
        prompts: prompt text of each modality.
        prompt_ids: prompt tokens of each modality, without BOS and EOS.
        prompt_embeddings: prompts are stored as embeddings (Omni-AVSR) and ``prompt_ids`` only
            tell their lengths.
        draft: "encoder_decoder" for a model whose prompt may hold a draft by the audio encoder's
            own decoder (Whisper's), see :mod:`avsr.model_parts.draft_decoder`; None for none.
        draft_start_ids: tokens that the decoder's texts begin with.
        draft_prompt_ids: the language model's tokens before and after the draft.
        audio_ctc: True for a CTC head on the audio encoder (language model vocabulary, then the
            blank); "tied" for one that compares the projected tokens of the finest rate with the
            language model's embeddings of ``ctc_pieces``, see :mod:`avsr.model_parts.tied_ctc`.
        video_ctc: likewise on the video encoder.
        ctc_pieces: token ids that tied CTC heads may say; all others are spelt with them.
        max_tokens_per_second: bound on generated tokens per second of input.
        base_models: for "audio", "video", "text": ``{"name": ..., "revision": ...}`` of the frozen
            model that a folder of trained parts refers to.
    """

    model_type = "avsr"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "audio_config": SubConfigSpec(config_class=WhisperConfig, optional=True),
        "video_config": SubConfigSpec(config_class=AvHubertConfig, optional=True),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
    }

    audio_config: Any = None  # a dict or a configuration; a configuration once constructed
    video_config: Any = None
    text_config: Any = None
    modalities: list[str] | tuple[str, ...] | None = None
    audio_rates: list[int] | tuple[int, ...] = (4, 16)
    video_rates: list[int] | tuple[int, ...] = (2, 5)
    compression: str = "average"
    projector_hidden_size: int = 2048
    projector_per_rate: bool = True
    projector_activation: str = "relu"
    audio_projector_layer_norm: bool = False
    video_projector_layer_norm: bool = False
    lora_strategy: str | None = "shared"
    lora_rank: int = 64
    lora_scaling: float = 0.125
    lora_target_modules: list[str] | tuple[str, ...] | None = ("q_proj", "v_proj")
    lora_dropout: float = 0.0
    audio_context: str = "exact"
    trim_video_to_rate: bool = False
    official_numerics: bool = False
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    audio_start_token_id: int | None = None
    audio_end_token_id: int | None = None
    video_start_token_id: int | None = None
    video_end_token_id: int | None = None
    prompts: dict[str, str] | None = None
    prompt_ids: dict[str, list[int]] | None = None
    prompt_embeddings: bool = False
    draft: str | None = None
    draft_start_ids: list[int] | None = None
    draft_prompt_ids: list[list[int]] | None = None
    audio_ctc: bool | str = False
    video_ctc: bool | str = False
    ctc_pieces: list[int] | tuple[int, ...] | None = None
    max_tokens_per_second: float = 16.0
    base_models: dict[str, dict[str, str | None]] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        kwargs = {name: value for name, value in kwargs.items() if name not in FORMER_FIELDS}
        self._refuse_misspelt(kwargs)
        super().__post_init__(**kwargs)
        self.prompts = {**PROMPTS, **(self.prompts or {})}
        self.base_models = dict(self.base_models or {})
        possible = [name for name in MODALITIES if self._has_streams(name)]
        self.modalities = possible if self.modalities is None else list(self.modalities)
        self._check_choices(possible)
        self._check_rates()
        self._check_ctc()
        if self.draft and (self.audio_config is None or not self.draft_prompt_ids):
            raise ValueError("drafts need an audio encoder and draft_prompt_ids")

    def _refuse_misspelt(self, unknown: dict[str, Any]) -> None:
        """The parent class takes any name; one that is nearly a field's is a mistake."""
        names = [field.name for field in fields(self)]
        for name in unknown:
            if nearest := get_close_matches(name, names, n=1, cutoff=0.8):
                raise ValueError(f'unknown setting "{name}", did you mean "{nearest[0]}"?')

    def _has_streams(self, modality: str) -> bool:
        audio = modality == "video" or self.audio_config is not None
        return audio and (modality == "audio" or self.video_config is not None)

    def _check_choices(self, possible: list[str]) -> None:
        unknown = [name for name in self.modalities or [] if name not in possible]
        if unknown or not possible:
            raise ValueError(f"modalities {unknown} need an encoder that has no configuration")
        choices = {
            "compression": tuple(COMPRESSORS),
            "audio_context": ("exact", "padded"),
            "draft": ("encoder_decoder", None),
            "lora_strategy": (*STRATEGIES, None),
            "audio_ctc": (False, True, "tied"),
            "video_ctc": (False, True, "tied"),
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(
                    f'{name} must be one of {", ".join(map(str, allowed))}, got "{value}"'
                )

    def _check_rates(self) -> None:
        for stream in ("audio", "video"):
            rates = list(getattr(self, f"{stream}_rates"))
            setattr(self, f"{stream}_rates", rates)
            if getattr(self, f"{stream}_config") is None:
                continue
            if not rates or min(rates) < 1 or len(set(rates)) < len(rates):
                raise ValueError(f"{stream}_rates must be different positive integers, got {rates}")
            shared = not self.projector_per_rate and len(rates) > 1
            if self.compressor.fixes_rates and shared:
                raise ValueError(
                    f"{self.compression} compression needs one projector for each rate: set "
                    "projector_per_rate"
                )
            if stream == "video" and self.trim_video_to_rate and len(rates) > 1:
                raise ValueError(f"trim_video_to_rate needs a single video rate, got {rates}")

    def _check_ctc(self) -> None:
        if "tied" not in (self.audio_ctc, self.video_ctc):
            return
        pieces = list(self.ctc_pieces or ())
        if not pieces:
            raise ValueError("tied CTC needs ctc_pieces, the token ids that it may say")
        if len(set(pieces)) < len(pieces) or min(pieces) < 0:
            raise ValueError("ctc_pieces must be different token ids")
        if max(pieces) >= self.text_config.vocab_size:
            raise ValueError(
                f"ctc_pieces holds {max(pieces)}, but the language model has only "
                f"{self.text_config.vocab_size} tokens"
            )

    @property
    def compressor(self) -> Compressor:
        """How streams are shortened."""
        return COMPRESSORS[self.compression]

    def rates(self, stream: Stream) -> list[int]:
        """Trained rates of a stream."""
        return list(self.audio_rates if stream == "audio" else self.video_rates)

    @property
    def tasks(self) -> list[str]:
        """Trained tasks ("asr", "vsr", "avsr"), one per modality."""
        return [TASKS[name] for name in self.modalities or []]
