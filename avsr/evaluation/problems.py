"""What was wrong with the clips of an evaluation."""

from collections.abc import Iterator, Sequence

from avsr.datasets.problems import Problem, ProblemKind
from avsr.evaluation.conditions import UtteranceOutcome
from avsr.model_files.vocabulary import closed_vocabulary, unknown_words
from avsr.pretrained import LoadedModel
from avsr.recognition.modality import MIN_FACE_COVERAGE


def find_problems(outcomes: Sequence[UtteranceOutcome], loaded: LoadedModel) -> Iterator[Problem]:
    """Every problem of every clip, by kind; none of these clips is left out of any count."""
    yield from _unreadable(outcomes)
    for outcome in outcomes:
        if outcome.warnings:
            yield _problem("damaged", outcome, "; ".join(outcome.warnings))
    for outcome in outcomes:
        yield from _missing_streams(outcome)
    longest_s = loaded.max_segment_s
    for outcome in outcomes:
        if outcome.duration_s > longest_s:
            detail = (
                f"{outcome.duration_s:.1f} s, more than the {longest_s:g} s that the model takes: "
                "recognised in pieces"
            )
            yield _problem("too long", outcome, detail)
    known = closed_vocabulary(loaded.location) if loaded.location else None
    for outcome in outcomes:
        words = unknown_words(outcome.utterance.text, loaded.processor.tokenizer, known)
        if words:
            yield _problem(
                "unknown words", outcome, f"{' '.join(words)}: the model cannot know them"
            )


def _unreadable(outcomes: Sequence[UtteranceOutcome]) -> Iterator[Problem]:
    for outcome in outcomes:
        if outcome.failure is not None:
            yield _problem("unreadable", outcome, f"{outcome.failure}; counted with an empty text")


def _missing_streams(outcome: UtteranceOutcome) -> Iterator[Problem]:
    if outcome.failure is not None:
        return
    given = {(row.route.modality, used) for row, used in outcome.used.items()}
    coverage = outcome.face_coverage
    if not coverage and given & {("video", None), ("av", "audio"), ("av", None)}:
        detail = "no lips to read: av rows use its sound, video rows count its words as deleted"
        yield _problem("no face", outcome, detail)
    elif coverage is not None and coverage < MIN_FACE_COVERAGE:
        detail = f"face found in only {coverage:.0%} of the frames: av rows use its sound alone"
        yield _problem("low coverage", outcome, detail)
    if given & {("audio", None), ("av", "video"), ("av", None)}:
        detail = "nothing to hear: av rows use its lips, audio rows count its words as deleted"
        yield _problem("no sound", outcome, detail)


def _problem(kind: ProblemKind, outcome: UtteranceOutcome, detail: str) -> Problem:
    return Problem(kind=kind, id=outcome.utterance.id, detail=detail)
