"""Every utterance under every row as tab-separated values, with the errors word by word."""

import csv
import io
from typing import Any

from avsr.scoring.alignment import align
from avsr.text import normalise

COLUMNS = ("id", "modality", "audio_rate", "video_rate", "noise", "snr_db", "used", "failure",
           "words", "S", "D", "I", "alignment", "reference", "hypothesis")  # fmt: skip


def utterance_lines(results: dict[str, Any]) -> str:
    """The table, from the values of a results file.

    The alignment shows right words as they are and errors as ``{said>heard}``, ``{missed>}`` and
    ``{>invented}``; ``used`` is the modality that the clip allowed, empty where none was possible.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(COLUMNS)
    utterances = results["utterances"]
    said = [normalise(utterance["reference"]) for utterance in utterances]
    for number, row in enumerate(results["rows"]):
        heard = [normalise(utterance["hypotheses"][number]) for utterance in utterances]
        for utterance, alignment in zip(utterances, align(said, heard), strict=True):
            errors = alignment.errors
            writer.writerow(
                [
                    utterance["id"],
                    row["modality"],
                    row["audio_rate"],
                    row["video_rate"],
                    row["noise"] or "clean",
                    row["snr_db"],
                    utterance["used"][number],
                    utterance["failure"],
                    errors.n_words,
                    errors.substitutions,
                    errors.deletions,
                    errors.insertions,
                    alignment,
                    *(
                        _one_line(utterance["reference"]),
                        _one_line(utterance["hypotheses"][number]),
                    ),
                ]
            )
    return text.getvalue()


def _one_line(text: str) -> str:
    return " ".join(text.split())
