"""What an evaluation runs over: the clips, what results say about them, and label problems."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsr.datasets import read_dataset
from avsr.datasets.jsonl import NAME as JSONL
from avsr.datasets.problems import Problem
from avsr.manifest import Utterance
from avsr.text import normalise

LRS3_TEST_CLIPS = 1321  # what every published word error rate on LRS3 is over
_LRS3_TEST_ID = re.compile(r"(^|/)test/[^/]+/\d+$")


@dataclass(frozen=True, kw_only=True)
class EvaluationData:
    """Clips with texts.

    Attributes:
        utterances: at most as many as asked for; where nothing is said, the text has no word.
        voices: all clips with words, of which babble can be made.
        problems: clips that had to be left out because of their labels.
        about: what results say: names, digest of ids and texts.
        notes: what a reader of the results must know, one sentence each.
    """

    utterances: tuple[Utterance, ...]
    voices: tuple[Utterance, ...]
    problems: tuple[Problem, ...]
    about: dict[str, Any]
    notes: tuple[str, ...] = ()


def read_evaluation_data(
    source: Path, layout: str, split: str | None, limit: int | None = None
) -> EvaluationData:
    """Read a manifest or a corpus; media files are not looked at.

    Args:
        source: a manifest or a folder.
        layout: as :func:`avsr.datasets.read_dataset` takes it.
        split: a part of the corpus; None is all.
        limit: keep only the first so many clips.

    Raises:
        UsageError: if it cannot be read or holds no clip.
    """
    dataset = read_dataset(source, layout, split)
    problems = [problem for problem in dataset.problems if problem.kind != "empty text"]
    voices = tuple(clip for clip in dataset.utterances if normalise(clip.text))
    utterances = tuple(dataset.utterances[:limit])
    labels = json.dumps([[utterance.id, utterance.text] for utterance in utterances])
    about: dict[str, Any] = {"source": source.name, "layout": dataset.layout, "split": split}
    if dataset.layout == JSONL and source.is_file():
        about["file_sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    about["labels_sha256"] = hashlib.sha256(labels.encode()).hexdigest()
    return EvaluationData(
        utterances=utterances,
        voices=voices,
        problems=tuple(problems),
        about=about | {"limit": limit, "left_out": len(problems)},
        notes=tuple(_notes(utterances)),
    )


def _notes(utterances: Sequence[Utterance]) -> list[str]:
    n_clips = len(utterances)
    is_lrs3_test = all(_LRS3_TEST_ID.search(utterance.id) for utterance in utterances)
    if not is_lrs3_test or n_clips == LRS3_TEST_CLIPS:
        return []
    return [
        f"This looks like the test set of LRS3, but N is {n_clips}, not {LRS3_TEST_CLIPS:,}: "
        "published word error rates are over all of it."
    ]
