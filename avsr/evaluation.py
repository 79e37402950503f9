"""Word error rates of a model over a manifest, for every combination of what it can be given.

Clips are decoded and cropped once, encoders run once for each noise condition, and every modality
and rate pair decodes the same features. Nothing is dropped: a clip that cannot be read, or lacks
what a row needs, counts with an empty hypothesis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from avsr.clip_cache import ClipCache
from avsr.clip_file import Clip
from avsr.conditions import Condition, UtteranceOutcome
from avsr.errors import UsageError
from avsr.evaluation_batch import BatchRun
from avsr.hypotheses import DEFAULT_BEAMS
from avsr.manifest import Utterance
from avsr.noise import NoiseSource
from avsr.pretrained import LoadedModel
from avsr.text import WordErrors, count_word_errors, normalise
from avsr_frontends.media import MediaError

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All outcomes of one run.

    Attributes:
        conditions: the rows, in order.
        outcomes: one for each utterance, in the manifest's order.
        n_drafted: tokens that a draft proposed, over all rows.
        n_accepted: how many of them the language model chose too.
    """

    conditions: tuple[Condition, ...]
    outcomes: tuple[UtteranceOutcome, ...]
    n_drafted: int = 0
    n_accepted: int = 0

    def errors(self, condition: Condition) -> WordErrors:
        """Word errors of a row over all utterances."""
        return count_word_errors(
            [normalise(outcome.utterance.text) for outcome in self.outcomes],
            [normalise(outcome.hypotheses.get(condition, "")) for outcome in self.outcomes],
        )


def evaluate(
    loaded: LoadedModel,
    utterances: Sequence[Utterance],
    conditions: Sequence[Condition],
    *,
    cache: ClipCache,
    noises: dict[str, NoiseSource] | None = None,
    num_beams: int = DEFAULT_BEAMS,
    batch_size: int = 16,
    draft: str | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Evaluation:
    """Run a model over utterances under all conditions.

    Args:
        loaded: the model.
        utterances: with texts of at least one word.
        conditions: from :func:`avsr.conditions.plan_conditions`.
        cache: where decoded clips are kept.
        noises: a source for each noise that the conditions name.
        num_beams: beams of the search; 1 is greedy.
        batch_size: clips decoded together; does not change the results.
        draft: "ctc" to verify what a CTC head proposes; does not change the results.
        progress: told how far the work is.

    Returns:
        The outcomes, in the order of ``utterances``.

    Raises:
        UsageError: if an utterance's text has no word, or a noise recording is silent.
    """
    for utterance in utterances:
        if not normalise(utterance.text):
            raise UsageError(
                f"utterance {utterance.id!r} has no word in its text: mend the manifest"
            )
    reader = _ClipReader(cache, conditions)
    outcomes: list[UtteranceOutcome] = []
    for index, utterance in enumerate(utterances):
        progress("reading clips", index, len(utterances))
        outcomes.append(reader.inspect(utterance))
    progress("reading clips", len(utterances), len(utterances))
    readable = [outcome for outcome in outcomes if outcome.failure is None]
    readable.sort(key=lambda outcome: -outcome.duration_s)  # equal lengths batch without waste
    n_drafted = n_accepted = 0
    for start in range(0, len(readable), batch_size):
        progress("recognising", start, len(readable))
        batch = readable[start : start + batch_size]
        clips = [reader.clip(outcome.utterance) for outcome in batch]
        run = BatchRun(loaded, batch, clips, noises or {}, num_beams, draft)
        run.run(conditions)
        n_drafted, n_accepted = n_drafted + run.n_drafted, n_accepted + run.n_accepted
    progress("recognising", len(readable), len(readable))
    return Evaluation(
        conditions=tuple(conditions),
        outcomes=tuple(outcomes),
        n_drafted=n_drafted,
        n_accepted=n_accepted,
    )


class _ClipReader:
    """Reads the streams that the conditions need."""

    def __init__(self, cache: ClipCache, conditions: Sequence[Condition]) -> None:
        self._cache = cache
        self._sound = any(condition.modality != "video" for condition in conditions)
        self._picture = any(condition.modality != "audio" for condition in conditions)

    def clip(self, utterance: Utterance) -> Clip:
        return self._cache.clip(utterance, sound=self._sound, picture=self._picture)

    def inspect(self, utterance: Utterance) -> UtteranceOutcome:
        try:
            clip = self.clip(utterance)
        except MediaError as error:
            return UtteranceOutcome(utterance=utterance, failure=str(error))
        return UtteranceOutcome(
            utterance=utterance,
            duration_s=clip.duration_s,
            face_coverage=None if clip.face is None else clip.face.coverage,
            failure=None if clip.duration_s > 0 else f"{utterance.path}: has zero length",
            warnings=clip.warnings,
        )
