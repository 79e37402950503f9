"""The loss of a training step: encoders once, then the language model at every drawn rate.

Shapes: B batch, L text tokens, R passes through the language model.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from avsr.decoding.options import SearchOptions
from avsr.model import AvsrForConditionalGeneration
from avsr.model_parts.ctc import ctc_heads
from avsr.model_parts.streams import EncodedStreams
from avsr.training.ctc_loss import head_losses
from avsr.training.routes import WeightedRoute
from avsr.training.settings import ObjectiveSettings
from avsr_adapters import LoraAdapters, decorrelated_layers

IGNORED = -100  # a label that is not learned


class TrainingObjective(nn.Module):
    """A model with its training loss as ``forward``: one call and one backward pass per batch.

    Args:
        model: what is trained.
        settings: the terms of the loss; None for their defaults.

    Raises:
        ValueError: the language model has too few layers for the decorrelation term, or the CTC
            term has a weight and the model no CTC head.
    """

    accepts_loss_kwargs = False  # the Trainer averages over accumulated batches itself

    def __init__(
        self,
        model: AvsrForConditionalGeneration,
        settings: ObjectiveSettings | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._decorrelation = (settings or ObjectiveSettings()).decorrelation
        if self._decorrelation.weight:
            n_layers = model.config.text_config.num_hidden_layers
            decorrelated_layers(n_layers, self._decorrelation.layers)
        self.ctc_weight = (settings or ObjectiveSettings()).ctc.weight
        if self.ctc_weight and not any(ctc_heads(model).values()):
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
        lips_readable: Tensor | None = None,
        **tensors: Tensor,
    ) -> dict[str, Tensor]:
        """Run all passes.

        Args:
            labels: [B, L] text and EOS, -100 for padding.
            routes: the R passes.
            lips_readable: [B] bool, false for clips whose lips do not show the text, from which
                lips alone learn nothing; None: all are readable.
            tensors: as the processor makes them (``input_features``, ``audio_lengths``,
                ``video_values``, ``video_lengths``); streams no route needs are not encoded.

        Returns:
            ``loss``, a scalar: the weighted sum (with the decorrelation term while training, and
            the CTC term), and, detached and before their weights, ``cross_entropy`` [R],
            ``decorrelation`` [R] where it has a weight, ``ctc_audio`` and ``ctc_video`` for the
            heads that took part. Where no lips can be read, the cross-entropy of lips alone and
            ``ctc_video`` are NaN and no part of the loss.
        """
        streams = self._encode(routes, tensors)
        weight = self._decorrelation.weight
        loss = torch.zeros((), device=labels.device)
        cross_entropies, decorrelations = [], []
        for item in routes:
            learned, counts = _learned_labels(item, labels, lips_readable)
            output = self.model(
                streams=streams,
                route=item.route,
                labels=learned,
                decorrelation_layers=self._decorrelation.layers if weight else None,
                logits_to_keep=labels.shape[1] + 1,
            )
            loss = loss + item.weight * output.loss * counts
            cross_entropies.append(output.loss.detach() if counts else loss.new_tensor(math.nan))
            if output.decorrelation_loss is not None:
                decorrelations.append(output.decorrelation_loss.detach())
                if self.training:
                    loss = loss + item.weight * weight * output.decorrelation_loss
        result = {"loss": loss, "cross_entropy": torch.stack(cross_entropies)}
        if decorrelations:
            result["decorrelation"] = torch.stack(decorrelations)
        if self.ctc_weight:
            result = self._with_ctc(result, streams, labels, lips_readable)
        return result

    def _with_ctc(
        self,
        result: dict[str, Tensor],
        streams: EncodedStreams,
        labels: Tensor,
        lips_readable: Tensor | None,
    ) -> dict[str, Tensor]:
        """Add the mean loss of the CTC heads, with its weight."""
        losses = head_losses(self.model, streams, labels, lips_readable)
        if not losses:
            return result
        mean = torch.stack(list(losses.values())).mean()
        found = {name: loss.detach() for name, loss in losses.items()}
        if "ctc_video" in found and lips_readable is not None and not lips_readable.any():
            found["ctc_video"] = mean.new_tensor(math.nan)
        return result | {"loss": result["loss"] + self.ctc_weight * mean} | found

    def transcribe(
        self, routes: Sequence[WeightedRoute], labels: Tensor | None = None, **tensors: Tensor
    ) -> list[Tensor]:
        """Decode a batch greedily by every pass; takes what :meth:`forward` takes.

        Returns:
            R times [B, L] new token ids.
        """
        streams, greedy = self._encode(routes, tensors), SearchOptions(num_beams=1)
        return [
            self.model.generate(streams=streams, route=item.route, search=greedy) for item in routes
        ]

    def _encode(
        self, routes: Sequence[WeightedRoute], tensors: dict[str, Tensor]
    ) -> EncodedStreams:
        """Run each encoder that a pass needs, once."""
        used = {stream for item in routes for stream in item.route.streams}
        inputs = {"audio": "input_features", "video": "video_values"}
        unused = [name for stream, name in inputs.items() if stream not in used]
        return self.model.encode(**{n: t for n, t in tensors.items() if n not in unused})


def _learned_labels(
    item: WeightedRoute, labels: Tensor, lips_readable: Tensor | None
) -> tuple[Tensor, bool]:
    """The labels of one pass, and whether it counts: in a sharded run it has to be made anyway."""
    if item.route.modality != "video" or lips_readable is None:
        return labels, True
    if not lips_readable.any():
        return labels, False
    return labels.masked_fill(~lips_readable[:, None], IGNORED), True


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
