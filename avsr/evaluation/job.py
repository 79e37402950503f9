"""What one evaluation does with a clip and with a batch, in this process or in another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avsr.clips.cache import ClipCache
from avsr.clips.clip import Clip
from avsr.decoding.options import SearchOptions
from avsr.evaluation.batch import BatchRun
from avsr.evaluation.conditions import Condition, UtteranceOutcome
from avsr.manifest import Utterance
from avsr.noise import NoiseSource
from avsr.pretrained import LoadedModel
from avsr_frontends.media import MediaError


@dataclass(frozen=True, kw_only=True)
class EvaluationJob:
    """All that a process needs to take part; can be pickled.

    Attributes:
        location: what the model is loaded from.
        device: where it runs; ``"cuda"`` stands for all GPUs.
        allow_untrained_rate: as for loading a model.
        cache_folder: where decoded clips are kept.
        conditions: the rows.
        noises: a source for each noise that they name.
        search: how texts are searched for.
        batch_size: clips encoded and texts decoded together.
    """

    location: str
    device: str
    allow_untrained_rate: bool
    cache_folder: Path
    conditions: tuple[Condition, ...]
    noises: dict[str, NoiseSource]
    search: SearchOptions
    batch_size: int

    def inspect(self, cache: ClipCache, utterance: Utterance) -> UtteranceOutcome:
        """Look at one clip; what cannot be read is an outcome too."""
        try:
            (clip,) = self.read(cache, [utterance])
        except MediaError as error:
            return UtteranceOutcome(utterance=utterance, failure=str(error))
        return UtteranceOutcome(
            utterance=utterance,
            duration_s=clip.duration_s,
            face_coverage=None if clip.face is None else clip.face.coverage,
            failure=None if clip.duration_s > 0 else f"{utterance.path}: has zero length",
            warnings=clip.warnings,
        )

    def read(self, cache: ClipCache, utterances: Iterable[Utterance]) -> list[Clip]:
        """The streams of some clips that the conditions need.

        Raises:
            MediaError: if one cannot be read.
        """
        sound = any(condition.route.has_audio for condition in self.conditions)
        picture = any(condition.route.has_video for condition in self.conditions)
        return [cache.clip(utterance, sound=sound, picture=picture) for utterance in utterances]

    def recognise(
        self, loaded: LoadedModel, batch: Sequence[UtteranceOutcome], clips: Sequence[Clip]
    ) -> None:
        """Fill in the outcomes of one batch of clips."""
        run = BatchRun(loaded, batch, clips, self.noises, self.search, self.batch_size)
        run.run(self.conditions)
