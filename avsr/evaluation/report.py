"""The results of an evaluation as plain values, the same for the same run."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from avsr.datasets.problems import Problem, count_problems
from avsr.evaluation.both_or_either import against_better
from avsr.evaluation.conditions import Condition, UtteranceOutcome
from avsr.evaluation.run import Evaluation
from avsr.scoring.normalisers import LRS3, WHISPER
from avsr.scoring.scores import Score, score_rows
from avsr.version import __version__

_RECORDED_VERSIONS = ("torch", "transformers", "peft", "numpy", "av", "mediapipe", "jiwer",
                      "whisper-normalizer")  # fmt: skip


def to_dict(
    evaluation: Evaluation,
    settings: dict[str, Any],
    *,
    problems: Sequence[Problem] = (),
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything about a run, as plain values for JSON.

    Args:
        evaluation: what came out.
        settings: what went in (model, data, seed, decoding, noises ...).
        problems: of the clips.
        notes: what a reader must know, one sentence each.
    """
    seed = settings.get("seed", 0)
    rows = [evaluation.hypotheses(condition) for condition in evaluation.conditions]
    lrs3, whisper = (
        score_rows(evaluation.references, rows, normaliser, seed=seed)
        for normaliser in (LRS3, WHISPER)
    )
    return {
        "settings": settings,
        "versions": {
            "avsr": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _RECORDED_VERSIONS},
        },
        "notes": list(notes),
        "rows": [
            {**_row(evaluation.outcomes, condition, *scores), "against_better": compared}
            for condition, *scores, compared in zip(
                evaluation.conditions,
                lrs3,
                whisper,
                against_better(evaluation.conditions, lrs3, seed=seed),
                strict=True,
            )
        ],
        "problem_counts": count_problems(problems),
        "problems": [asdict(problem) for problem in problems],
        "utterances": [_utterance(evaluation, outcome) for outcome in evaluation.outcomes],
    }


def _row(
    outcomes: Sequence[UtteranceOutcome], condition: Condition, lrs3: Score, whisper: Score
) -> dict[str, Any]:
    achieved = [o.snr_db[condition] for o in outcomes if condition in o.snr_db]
    used = [outcome.used.get(condition) for outcome in outcomes]
    return {
        "modality": condition.route.modality,
        "audio_rate": condition.route.audio_rate,
        "video_rate": condition.route.video_rate,
        "tokens_per_second": round(condition.route.tokens_per_second, 3),
        "noise": condition.noise,
        "snr_db": condition.snr_db,
        **_counts(lrs3),
        WHISPER: _counts(whisper),
        "wordless": _wordless(outcomes, lrs3),
        "n_utterances": len(outcomes),
        "n_unreadable": sum(outcome.failure is not None for outcome in outcomes),
        "n_without_input": sum(
            modality is None and outcome.failure is None
            for modality, outcome in zip(used, outcomes, strict=True)
        ),
        "n_fallback": sum(modality not in (None, condition.route.modality) for modality in used),
        "snr_db_achieved": [_rounded(min(achieved)), _rounded(max(achieved))] if achieved else None,
    }


def _wordless(outcomes: Sequence[UtteranceOutcome], score: Score) -> dict[str, Any] | None:
    """What was invented in clips in which nothing is said; None where there are none."""
    clips = [
        (outcome, errors)
        for outcome, errors in zip(outcomes, score.utterances, strict=True)
        if errors.n_words == 0
    ]
    if not clips:
        return None
    minutes = sum(outcome.duration_s for outcome, _ in clips) / 60
    invented = [errors.insertions for _, errors in clips]
    return {
        "n_clips": len(clips),
        "n_clips_with_words": sum(count > 0 for count in invented),
        "insertions": sum(invented),
        "insertions_per_minute": round(sum(invented) / minutes, 3) if minutes else None,
    }


def _counts(score: Score) -> dict[str, Any]:
    total = score.total
    return {
        "wer": total.n_errors / total.n_words if total.n_words else None,
        "wer_interval": [round(limit, 6) for limit in score.interval] if total.n_words else None,
        "substitutions": total.substitutions,
        "deletions": total.deletions,
        "insertions": total.insertions,
        "n_words": total.n_words,
    }


def _utterance(evaluation: Evaluation, outcome: UtteranceOutcome) -> dict[str, Any]:
    """One utterance; ``hypotheses`` and ``used`` are in the order of the rows."""
    coverage = outcome.face_coverage
    return {
        "id": outcome.utterance.id,
        "reference": outcome.utterance.text,
        "duration": round(outcome.duration_s, 3),
        "face_coverage": None if coverage is None else round(coverage, 4),
        "failure": outcome.failure,
        "warnings": list(outcome.warnings),
        "hypotheses": [outcome.hypotheses.get(row, "") for row in evaluation.conditions],
        "used": [outcome.used.get(row) for row in evaluation.conditions],
    }


def _rounded(snr_db: float) -> float:
    return round(snr_db, 3) + 0.0  # no minus zero
