"""Which modalities and rates a training step runs, and the weight of each."""

from dataclasses import dataclass

import numpy as np

from avsr.config import AvsrConfig
from avsr.route import Modality, Route
from avsr.training.settings import ObjectiveSettings


@dataclass(frozen=True)
class WeightedRoute:
    """One pass through the language model.

    Attributes:
        route: modality and rates.
        weight: factor on its loss; those of a step add up to the mean task weight.
    """

    route: Route
    weight: float

    @property
    def name(self) -> str:
        """Task and rates, such as ``avsr_a4_v2``."""
        return "_".join([self.route.task, *self.route.text.lower().split()])


class RoutePlan:
    """Chooses the passes of each optimiser step.

    Args:
        config: the model's; its modalities and rates are trained.
        settings: objective, task weights and modality dropout.
        seed: fixes what is drawn.

    Raises:
        ValueError: every task of the model has weight 0, or modality dropout asks for a modality
            that the model lacks.
    """

    def __init__(self, config: AvsrConfig, settings: ObjectiveSettings, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        weights: dict[Modality, float] = {
            "audio": settings.task_weights.asr,
            "video": settings.task_weights.vsr,
            "av": settings.task_weights.avsr,
        }
        modalities = list(config.modalities or ())
        if len(modalities) == 1:  # a weight only balances tasks
            weights = dict.fromkeys(weights, 1.0)
        self._weights: dict[Modality, float] = {
            name: weight for name, weight in weights.items() if name in modalities and weight > 0
        }
        if not self._weights:
            raise ValueError("every task that the model has is given weight 0")
        self._audio_rates = sorted(config.audio_rates)
        self._video_rates = sorted(config.video_rates)
        dropout = settings.modality_dropout
        for stream, share in (("audio", dropout.audio_only), ("video", dropout.video_only)):
            if share and not {"av", stream} <= set(modalities):
                raise ValueError(
                    f"modality dropout needs a model of the modalities av and {stream}"
                )

    def all(self) -> tuple[WeightedRoute, ...]:
        """Every modality at every rate or pair of rates, video rates outermost."""
        weighted = []
        for modality, weight in self._weights.items():
            routes = self._routes(modality, self._audio_rates, self._video_rates)
            share = weight / len(routes) / len(self._weights)
            weighted += [WeightedRoute(route, share) for route in routes]
        return tuple(weighted)

    def draw(self, epoch: int, group: int) -> tuple[WeightedRoute, ...]:
        """The passes of a step: the same in all its batches and on all processes."""
        generator = np.random.default_rng((self._seed, epoch, group))
        audio_rates, video_rates = self._audio_rates, self._video_rates
        if self._settings.matryoshka == "sample":
            audio_rates = [int(generator.choice(audio_rates))]
            video_rates = [int(generator.choice(video_rates))]
        av_as = self._drop_modality(generator)
        weighted = []
        for modality, weight in self._weights.items():
            given = av_as if modality == "av" else modality
            routes = self._routes(given, audio_rates, video_rates)
            share = weight / len(routes) / len(self._weights)
            weighted += [WeightedRoute(route, share) for route in routes]
        return tuple(weighted)

    def _drop_modality(self, generator: np.random.Generator) -> Modality:
        dropout = self._settings.modality_dropout
        drawn = generator.random()
        if drawn < dropout.audio_only:
            return "audio"
        return "video" if drawn < dropout.audio_only + dropout.video_only else "av"

    @staticmethod
    def _routes(modality: Modality, audio_rates: list[int], video_rates: list[int]) -> list[Route]:
        return [
            Route(modality=modality, audio_rate=audio_rate, video_rate=video_rate)
            for video_rate in (video_rates if modality != "audio" else [None])
            for audio_rate in (audio_rates if modality != "video" else [None])
        ]
