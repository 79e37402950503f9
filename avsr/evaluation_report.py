"""The results of an evaluation as JSON and as a table."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from avsr import __version__
from avsr.conditions import Condition, UtteranceOutcome
from avsr.evaluation import Evaluation
from avsr.modality import MIN_FACE_COVERAGE

_RECORDED_VERSIONS = ("torch", "transformers", "peft", "numpy", "av", "mediapipe", "jiwer")


def to_dict(evaluation: Evaluation, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything about a run, as plain values for JSON; the same run gives the same values.

    Args:
        evaluation: what came out.
        settings: what went in (model, manifest, seed, beams, noises ...).
    """
    return {
        "settings": settings,
        "versions": {
            "avsr": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _RECORDED_VERSIONS},
        },
        "rows": [_row(evaluation, condition) for condition in evaluation.conditions],
        "utterances": [_utterance(evaluation, outcome) for outcome in evaluation.outcomes],
    }


def _row(evaluation: Evaluation, condition: Condition) -> dict[str, Any]:
    errors = evaluation.errors(condition)
    outcomes = evaluation.outcomes
    achieved = [o.snr_db[condition] for o in outcomes if condition in o.snr_db]
    used = [outcome.used.get(condition) for outcome in outcomes]
    return {
        "modality": condition.modality,
        "audio_rate": condition.audio_rate,
        "video_rate": condition.video_rate,
        "noise": condition.noise,
        "snr_db": condition.snr_db,
        "wer": errors.wer,
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
        "n_words": errors.n_words,
        "n_utterances": len(outcomes),
        "n_unreadable": sum(outcome.failure is not None for outcome in outcomes),
        "n_without_input": sum(
            modality is None and outcome.failure is None
            for modality, outcome in zip(used, outcomes, strict=True)
        ),
        "n_fallback": sum(modality not in (None, condition.modality) for modality in used),
        "snr_db_achieved": [_rounded(min(achieved)), _rounded(max(achieved))] if achieved else None,
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
    return round(snr_db, 6) + 0.0  # no minus zero


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of :func:`to_dict` as a table of plain text, ending in a newline."""
    header = ["modality", "audio rate", "video rate", "noise", "SNR dB", "WER %", "S", "D", "I",
              "words", "clips"]  # fmt: skip
    lines = [header]
    for row in rows:
        lines.append(
            [
                row["modality"],
                _dash(row["audio_rate"]),
                _dash(row["video_rate"]),
                row["noise"] or "clean",
                "-" if row["snr_db"] is None else f"{row['snr_db']:g}",
                f"{100 * row['wer']:.2f}",
                *(str(row[name]) for name in ("substitutions", "deletions", "insertions")),
                str(row["n_words"]),
                str(row["n_utterances"]),
            ]
        )
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + "\n"
        for line in lines
    )


def findings(evaluation: Evaluation) -> list[str]:
    """One line for each clip that could not be read or whose face was found too rarely."""
    lines = [
        f"{outcome.utterance.id}: unreadable, counted with an empty text ({outcome.failure})"
        for outcome in evaluation.outcomes
        if outcome.failure is not None
    ]
    for outcome in evaluation.outcomes:
        if outcome.face_coverage is not None and outcome.face_coverage < MIN_FACE_COVERAGE:
            lines.append(
                f"{outcome.utterance.id}: face found in only {outcome.face_coverage:.0%} of the "
                "frames; av rows use its sound alone"
            )
    return lines


def _dash(value: object) -> str:
    return "-" if value is None else str(value)
