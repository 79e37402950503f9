"""What an evaluation varies, and what becomes of each utterance under it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from avsr.errors import UsageError
from avsr.manifest import Utterance
from avsr.pretrained import LoadedModel
from avsr.route import Modality, Route

Sound = tuple[str | None, float | None]  # name of the noise and its ratio in dB; None, None: clean


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One row of the results.

    Attributes:
        route: what the model is given.
        noise: name of the noise, or None for clean sound.
        snr_db: wanted signal-to-noise ratio, or None for clean sound.
    """

    route: Route
    noise: str | None = None
    snr_db: float | None = None

    @property
    def sound(self) -> Sound:
        """What the sound is like: rows that share it share the audio encoder's output."""
        return self.noise, self.snr_db

    def by(self, modality: Modality) -> "Condition":
        """The same sound read by one stream of a route, see :meth:`avsr.route.Route.by`."""
        return replace(self, route=self.route.by(modality))

    def clean(self) -> "Condition":
        """The same without noise."""
        return replace(self, noise=None, snr_db=None)


@dataclass(kw_only=True)
class UtteranceOutcome:
    """What became of one utterance.

    Attributes:
        utterance: from the manifest.
        duration_s: seconds; 0 where it could not be read.
        face_coverage: share of frames with a face; None where no picture was looked at.
        failure: why it could not be read, or None.
        warnings: damage met in the file.
        used: for each condition, the modality that was used; None where none was possible.
        hypotheses: for each condition, the text as the model gave it.
        snr_db: the ratio achieved, for each noisy condition in which noise was added.
        n_drafted: tokens that a draft proposed, over all conditions.
        n_accepted: how many of them the language model chose too.
    """

    utterance: Utterance
    duration_s: float = 0.0
    face_coverage: float | None = None
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    used: dict[Condition, Modality | None] = field(default_factory=dict)
    hypotheses: dict[Condition, str] = field(default_factory=dict)
    snr_db: dict[Condition, float] = field(default_factory=dict)
    n_drafted: int = 0
    n_accepted: int = 0


def plan_conditions(
    loaded: LoadedModel,
    modalities: Sequence[str],
    audio_rates: Sequence[int | None] = (None,),
    video_rates: Sequence[int | None] = (None,),
    sounds: Sequence[Sound] = ((None, None),),
) -> tuple[Condition, ...]:
    """The product of what was asked for; a rate that a modality does not use is not multiplied.

    Args:
        loaded: the model, which decides what is possible.
        modalities: of "av", "audio", "video".
        audio_rates: None stands for the finest trained.
        video_rates: None stands for the finest trained.
        sounds: pairs of a noise's name and a ratio in dB, or (None, None) for clean sound.

    Raises:
        UsageError: if the model was not trained for a modality or rate.
    """
    conditions: dict[Condition, None] = {}
    for (noise, snr_db), modality in product(sounds, modalities):
        for audio_rate, video_rate in product(audio_rates, video_rates):
            if modality == "auto":
                raise UsageError("evaluation needs named modalities: av, audio or video")
            route = loaded.route(modality, audio_rate, video_rate)
            conditions[Condition(route=route, noise=noise, snr_db=snr_db)] = None
    return tuple(conditions)
