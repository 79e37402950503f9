"""The loss of a training step: encoders once, then the language model at every drawn rate.

Shapes: B batch, L text tokens, R passes through the language model.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.streams import StreamInputs, given_audio, given_video
from avsr.training.ctc_loss import head_losses
from avsr.training.routes import WeightedRoute
from avsr.training.settings import CtcSettings
from avsr_adapters import LoraAdapters


class TrainingObjective(nn.Module):
    """A model with its training loss as ``forward``: one call and one backward pass per batch.

    Args:
        model: what is trained.
        ctc: the term of its CTC heads.

    Raises:
        ValueError: the term has a weight and the model has no CTC head.
    """

    def __init__(self, model: AvsrForConditionalGeneration, ctc: CtcSettings | None = None) -> None:
        super().__init__()
        self.model = model
        self.ctc_weight = (ctc or CtcSettings()).weight
        if self.ctc_weight and model.audio_ctc_head is None and model.video_ctc_head is None:
            raise ValueError(
                "ctc.weight needs a model with CTC heads, which this one lacks: set it to 0, or "
                "build a new model with model.audio_ctc and model.video_ctc"
            )

    @property
    def _no_split_modules(self) -> list[str]:
        """Classes of the layers that FSDP shards one by one; accelerate asks for this name."""
        present = {type(module).__name__ for module in self.modules()}
        parts = [part for part in self.modules() if isinstance(part, PreTrainedModel)]
        named = {name for part in parts for name in part._no_split_modules or ()}
        return sorted(named & present)

    def forward(
        self,
        labels: Tensor,
        routes: Sequence[WeightedRoute],
        input_features: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        video_values: Tensor | None = None,
        video_lengths: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Run all passes.

        Args:
            labels: [B, L] text and EOS, -100 for padding.
            routes: the R passes.
            input_features: as the processor makes it, and so on; streams no route needs are not
                encoded.

        Returns:
            ``loss``, a scalar: the weighted sum (with the decorrelation term while training, and
            the CTC term), and, detached and before their weights, ``cross_entropy`` [R],
            ``decorrelation`` [R] where the model has it, ``ctc_audio`` and ``ctc_video`` for the
            heads that took part.
        """
        audio, video = self._encode(
            routes, input_features, audio_lengths, video_values, video_lengths
        )
        loss = torch.zeros((), device=labels.device)
        cross_entropies, decorrelations = [], []
        for item in routes:
            route = item.route
            output = self.model(
                labels=labels,
                modality=route.modality,
                audio_rate=route.audio_rate,
                video_rate=route.video_rate,
                logits_to_keep=labels.shape[1] + 1,
                **(audio if route.has_audio else {}),
                **(video if route.has_video else {}),
            )
            loss = loss + item.weight * output.loss
            cross_entropies.append(output.ce_loss.detach())
            if output.decorrelation_loss is not None:
                decorrelations.append(output.decorrelation_loss.detach())
        result = {"loss": loss, "cross_entropy": torch.stack(cross_entropies)}
        if decorrelations:
            result["decorrelation"] = torch.stack(decorrelations)
        if self.ctc_weight:
            result = self._with_ctc(result, audio, video, labels)
        return result

    def _with_ctc(
        self,
        result: dict[str, Tensor],
        audio: dict[str, Any],
        video: dict[str, Any],
        labels: Tensor,
    ) -> dict[str, Tensor]:
        """Add the mean loss of the CTC heads, with its weight."""
        inputs = StreamInputs(**audio, **video)
        losses = head_losses(self.model, given_audio(inputs), given_video(inputs), labels)
        if not losses:
            return result
        mean = torch.stack(list(losses.values())).mean()
        found = {name: loss.detach() for name, loss in losses.items()}
        return result | {"loss": result["loss"] + self.ctc_weight * mean} | found

    def transcribe(
        self,
        routes: Sequence[WeightedRoute],
        input_features: Tensor | None = None,
        audio_lengths: Tensor | None = None,
        video_values: Tensor | None = None,
        video_lengths: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> list[Tensor]:
        """Decode a batch greedily by every pass; takes what :meth:`forward` takes.

        Returns:
            R times [B, L] new token ids.
        """
        audio, video = self._encode(
            routes, input_features, audio_lengths, video_values, video_lengths
        )
        return [
            self.model.generate(
                modality=item.route.modality,
                audio_rate=item.route.audio_rate,
                video_rate=item.route.video_rate,
                **(audio if item.route.has_audio else {}),
                **(video if item.route.has_video else {}),
            )
            for item in routes
        ]

    def _encode(
        self,
        routes: Sequence[WeightedRoute],
        input_features: Tensor | None,
        audio_lengths: Tensor | None,
        video_values: Tensor | None,
        video_lengths: Tensor | None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run each encoder that a pass needs, once; gives the model's arguments."""
        audio: dict[str, Any] = {}
        video: dict[str, Any] = {}
        if input_features is not None and any(item.route.has_audio for item in routes):
            features, lengths = self.model.encode_audio(input_features, audio_lengths)
            audio = {"audio_features": features, "audio_frame_lengths": lengths}
        if video_values is not None and any(item.route.has_video for item in routes):
            features, lengths = self.model.encode_video(video_values, video_lengths)
            video = {"video_features": features, "video_frame_lengths": lengths}
        return audio, video


def checkpoint_language_model(model: AvsrForConditionalGeneration) -> None:
    """Recompute the language model's layers in the backward pass, with the adapters of each pass.

    Several passes with different adapters may then share one backward pass.
    """
    language_model: Any = model.language_model
    # transformers renamed the method within its fifth version
    enable = getattr(language_model, "activation_checkpointing_enable", None)
    enable = enable or language_model.gradient_checkpointing_enable
    settings: dict[str, Any] = {"use_reentrant": False}
    if model.lora is not None:
        settings["context_fn"] = _adapters_of_the_pass(model.lora)
    enable(settings)


def _adapters_of_the_pass(
    lora: LoraAdapters,
) -> Callable[[], tuple[AbstractContextManager, AbstractContextManager]]:
    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), _Activated(lora, lora.active)

    return contexts


class _Activated(AbstractContextManager):
    """Lets adapters act from here on; every pass of the model chooses its own."""

    def __init__(self, lora: LoraAdapters, names: tuple[str, ...]) -> None:
        self._lora, self._names = lora, names

    def __enter__(self) -> None:
        self._lora.activate(self._names)

    def __exit__(self, *error: object) -> None:
        return None
