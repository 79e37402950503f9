"""From training clips to what the objective takes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from avsr.processing import AvsrProcessor
from avsr.training.examples import TrainingClip
from avsr.training.routes import RoutePlan


class Collator:
    """Pads clips to a batch and adds the step's passes.

    Args:
        processor: the model's.
        plan: chooses the passes.
        every_route: all rates instead of those of the step, as dev data is measured.
    """

    def __init__(
        self, processor: AvsrProcessor, plan: RoutePlan, *, every_route: bool = False
    ) -> None:
        self._processor = processor
        self._plan = plan
        self._every_route = every_route

    def __call__(self, clips: Sequence[TrainingClip]) -> dict[str, Any]:
        """The tensors of :class:`~avsr.processing.AvsrProcessor`, ``routes`` and ``lips_readable``.

        The last one, [B] bool, is there only where some clip's lips do not show its text.
        """
        batch = self._processor(
            audio=_stream([clip.audio for clip in clips]),
            video=_stream([clip.mouth for clip in clips]),
            text=[clip.text for clip in clips],
        )
        pick = clips[0].pick
        routes = self._plan.all() if self._every_route else self._plan.draw(pick.epoch, pick.group)
        readable = [clip.lips_readable for clip in clips]
        some = {} if all(readable) else {"lips_readable": torch.tensor(readable)}
        return {**batch, **some, "routes": routes}


def _stream(arrays: Sequence[np.ndarray | None]) -> list[np.ndarray] | None:
    present = [array for array in arrays if array is not None]
    return present or None
