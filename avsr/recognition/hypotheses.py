"""From arrays to texts: encoders run once, then as many decodings of them as wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avsr.config import Modality
from avsr.errors import UsageError
from avsr.model_parts.generation import AvsrGeneration
from avsr.model_parts.generative_model import DRAFTS
from avsr.pretrained import LoadedModel
from avsr_frontends.rates import SAMPLE_RATE, SAMPLES_PER_VIDEO_FRAME


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """One stream of a batch after its encoder.

    Attributes:
        features: [B, T, W].
        frame_lengths: [B] real frames of each row.
    """

    features: Tensor
    frame_lengths: Tensor

    def rows(self, indices: Sequence[int]) -> "Encoded":
        """Some clips of the batch, in the given order."""
        chosen = torch.tensor(list(indices), device=self.features.device)
        return Encoded(features=self.features[chosen], frame_lengths=self.frame_lengths[chosen])


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """What the model read from one clip.

    Attributes:
        text: the words.
        avg_logprob: mean log-probability of its tokens.
        n_drafted: tokens that a draft proposed.
        n_accepted: how many of them the language model chose too.
        token_ids: the text's tokens, without special ones.
        token_log_probs: log-probability of each of ``token_ids``.
    """

    text: str
    avg_logprob: float
    n_drafted: int = 0
    n_accepted: int = 0
    token_ids: tuple[int, ...] = ()
    token_log_probs: tuple[float, ...] = ()


def fit_to_lips(waveform: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """Cut or zero-fill a waveform to the length of the lips beside it, as models are trained."""
    n_samples = len(mouth) * SAMPLES_PER_VIDEO_FRAME
    return np.pad(waveform[:n_samples], (0, max(0, n_samples - len(waveform))))


def check_search(
    loaded: LoadedModel,
    modalities: Sequence[str],
    *,
    num_beams: int | None = None,
    ctc_weight: float | None = None,
    draft: str | None = None,
) -> None:
    """Check that CTC heads can draft and weigh texts for any of ``modalities``; None passes.

    Raises:
        UsageError: naming what stands against it.
    """
    config = loaded.model.config
    heard = config.audio_ctc and any(modality != "video" for modality in modalities)
    seen = config.video_ctc and any(modality != "audio" for modality in modalities)
    if ctc_weight and not heard and not seen:
        raise UsageError(
            f"{loaded.name} has no CTC head for {', '.join(modalities)}; leave ctc_weight out",
            settings=("ctc_weight",),
        )
    if draft is None:
        return
    if draft not in DRAFTS:
        message = f"draft must be one of {', '.join(DRAFTS)}, got {draft!r}"
        raise UsageError(message, settings=("draft",))
    if (num_beams or 1) > 1:
        message = f"a draft goes with greedy search: leave it out, or the {num_beams} beams"
        raise UsageError(message, settings=("draft", "num_beams"))
    if not heard and not seen:
        raise UsageError(
            f"{loaded.name} has no CTC head for {', '.join(modalities)}, so nothing can propose "
            "a text; leave the draft out",
            settings=("draft",),
        )


def search_defaults(
    loaded: LoadedModel, num_beams: int | None, ctc_weight: float | None, draft: str | None
) -> tuple[int, float]:
    """Beams, and weight of the CTC heads, with what the model was made for in place of None."""
    config = loaded.model.config
    if num_beams is None:
        num_beams = 1 if draft else config.default_beams
    return num_beams, config.default_ctc_weight if ctc_weight is None else ctc_weight


@torch.inference_mode()
def encode_audio(loaded: LoadedModel, waveforms: Sequence[np.ndarray]) -> Encoded:
    """Run the audio encoder on waveforms ([N] float32 each, 16 kHz).

    For use beside lips, pass what :func:`fit_to_lips` gives.
    """
    batch = loaded.processor(
        audio=list(waveforms), sampling_rate=SAMPLE_RATE, modality="audio", return_tensors="pt"
    ).to(loaded.device)
    features, lengths = loaded.model.encode_audio(batch["input_features"], batch["audio_lengths"])
    return Encoded(features=features, frame_lengths=lengths)


@torch.inference_mode()
def encode_video(loaded: LoadedModel, mouths: Sequence[np.ndarray]) -> Encoded:
    """Run the video encoder on mouth crops ([T, 96, 96] or [T, 96, 96, 3] uint8 each)."""
    batch = loaded.processor(video=list(mouths), modality="video", return_tensors="pt").to(
        loaded.device
    )
    features, lengths = loaded.model.encode_video(batch["video_values"], batch["video_lengths"])
    return Encoded(features=features, frame_lengths=lengths)


@torch.inference_mode()
def decode(
    loaded: LoadedModel,
    modality: Modality | Sequence[Modality],
    *,
    audio: Encoded | None = None,
    video: Encoded | None = None,
    audio_rate: int | Sequence[int | None] | None = None,
    video_rate: int | Sequence[int | None] | None = None,
    num_beams: int | None = None,
    ctc_weight: float | None = None,
    draft: str | None = None,
) -> list[Hypothesis]:
    """Let the language model read encoded streams, see :func:`generate`.

    Returns:
        One hypothesis for each clip of the batch.
    """
    output = generate(
        loaded,
        modality,
        audio=audio,
        video=video,
        audio_rate=audio_rate,
        video_rate=video_rate,
        num_beams=num_beams,
        ctc_weight=ctc_weight,
        draft=draft,
    )
    return [_hypothesis(loaded, output, row) for row in range(len(output.sequences))]


@torch.inference_mode()
def generate(
    loaded: LoadedModel,
    modality: Modality | Sequence[Modality],
    *,
    audio: Encoded | None = None,
    video: Encoded | None = None,
    audio_rate: int | Sequence[int | None] | None = None,
    video_rate: int | Sequence[int | None] | None = None,
    num_beams: int | None = None,
    ctc_weight: float | None = None,
    draft: str | None = None,
    max_new_tokens: int | None = None,
) -> AvsrGeneration:
    """Let the language model read encoded streams, its LoRA folded.

    Args:
        loaded: the model.
        modality: which streams are used, the others are ignored: of all clips, or of each.
        audio: encoded sound.
        video: encoded lips, of the same clips.
        audio_rate: encoder frames per token, of all clips or of each; None is the finest trained.
            The same adapters must serve all clips.
        video_rate: likewise.
        num_beams: beams of the search; 1 is greedy; None: what the model was made for.
        ctc_weight: weight of the CTC heads in choosing among the beams; None: likewise.
        draft: "ctc": verify the text that the encoder's CTC head proposes; greedy only.
        max_new_tokens: bound on the tokens of each clip; None: by its own duration.

    Returns:
        The tokens of each clip of the batch.
    """
    audio = None if modality == "video" else audio
    video = None if modality == "audio" else video
    audio_rate = None if audio is None else audio_rate
    video_rate = None if video is None else video_rate
    streams: dict[str, Any] = {}
    if audio is not None:
        streams |= {"audio_features": audio.features, "audio_frame_lengths": audio.frame_lengths}
    if video is not None:
        streams |= {"video_features": video.features, "video_frame_lengths": video.frame_lengths}
    num_beams, ctc_weight = search_defaults(loaded, num_beams, ctc_weight, draft)
    untrained = loaded.allow_untrained_rate
    adapters = loaded.model.adapters_of(
        modality if isinstance(modality, str) else modality[0],
        audio_rate[0] if isinstance(audio_rate, Sequence) else audio_rate,
        video_rate[0] if isinstance(video_rate, Sequence) else video_rate,
        allow_untrained_rate=untrained,
    )
    loaded.model.fold_lora(adapters)
    return loaded.model.generate_with_scores(
        **streams,
        modality=modality,
        audio_rate=audio_rate,
        video_rate=video_rate,
        num_beams=num_beams,
        ctc_weight=ctc_weight,
        draft=draft,
        max_new_tokens=max_new_tokens,
        allow_untrained_rate=untrained,
    )


def _hypothesis(loaded: LoadedModel, output: AvsrGeneration, row: int) -> Hypothesis:
    token_ids = output.sequences[row]
    special = set(loaded.processor.tokenizer.all_special_ids)
    plain = [
        (token_id, log_prob)
        for token_id, log_prob in zip(
            token_ids.tolist(), output.token_log_probs[row].tolist(), strict=True
        )
        if token_id not in special
    ]
    return Hypothesis(
        text=" ".join(loaded.processor.decode(token_ids).split()),
        avg_logprob=min(0.0, float(output.sequence_scores[row])),
        token_ids=tuple(token_id for token_id, _ in plain),
        token_log_probs=tuple(log_prob for _, log_prob in plain),
        n_drafted=0 if output.n_drafted is None else int(output.n_drafted[row]),
        n_accepted=0 if output.n_accepted is None else int(output.n_accepted[row]),
    )
