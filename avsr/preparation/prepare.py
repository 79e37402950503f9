"""Preparing a corpus: every clip decoded and cropped once, so that nothing has to do it again.

A prepared folder holds ``clips/ID.npz`` (:mod:`avsr.clips.clip`), ``manifest.jsonl`` with all
clips, ``SPLIT.jsonl`` for each split among them, and ``report.json``. Clip files appear whole or
not at all and the rest is written at the end, so a run may be killed at any moment and started
again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from avsr.atomic import remove_unfinished, write_text_atomically
from avsr.clips.cache import source_key
from avsr.clips.clip import CLIP_SUFFIX, ClipNote, read_note, save_clip, save_failure
from avsr.clips.read import MouthTracker, read_utterance
from avsr.datasets.cutting import LONGEST_S, cut_clip
from avsr.datasets.dataset import Dataset, SourceClip
from avsr.errors import InputError, one_line
from avsr.manifest import Utterance
from avsr.outputs import check_outputs, write_output
from avsr.preparation.report import (
    PreparationReport,
    PreparedClip,
    is_report,
    is_untouched,
    manifest_text,
)
from avsr.progress import Progress, show_nothing
from avsr.workers import LocalWorkers, Workers
from avsr_frontends.media import MediaError

CLIP_FOLDER = "clips"
MANIFEST = "manifest.jsonl"
REPORT = "report.json"
_PURPOSE = "preparation"
_LONGEST_NAME = 120  # characters of one part of a file name

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One clip to prepare: where it comes from and where it goes."""

    utterance: Utterance
    target: Path
    key: list[Any]


def prepare_dataset(
    dataset: Dataset,
    folder: Path,
    *,
    longest_s: float = LONGEST_S,
    workers: Workers | None = None,
    progress: Progress = show_nothing,
) -> PreparationReport:
    """Prepare all clips of a dataset; those that are prepared already are kept.

    Args:
        dataset: the clips.
        folder: where everything goes; made if it is missing. One run at a time.
        longest_s: long clips are cut to at most this at word boundaries, seconds.
        workers: each with its own face tracker; None: one process.
        progress: told how far the work is.

    Returns:
        What was made and what is wrong with it. Clips that failed are in the manifest, marked.

    Raises:
        UsageError: if it would replace a file that it reads, or one that no preparation made.
        InputError: if the folder cannot be written to.
    """
    clips = [piece for clip in dataset.clips for piece in cut_clip(clip, longest_s)]
    _check_targets(clips, folder)
    try:
        (folder / CLIP_FOLDER).mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder / CLIP_FOLDER)
        notes, tasks = _find_work(clips, folder)
        n_kept = len(notes)
        if tasks:
            progress("preparing clips", 0, len(tasks))
        for task, note in (workers or LocalWorkers(1)).run(prepare_clip, tasks):
            if note is None:
                reason = f"{task.utterance.path}: the process that read it died"
                task.target.parent.mkdir(parents=True, exist_ok=True)
                note = save_failure(task.target, reason, task.key)
            notes[task.utterance.id] = note
            progress("preparing clips", len(notes) - n_kept, len(tasks))
        prepared = [
            PreparedClip(
                source=clip,
                path=clip_path(clip.utterance.id).as_posix(),
                note=notes[clip.utterance.id],
            )
            for clip in clips
        ]
        report = PreparationReport.of(dataset, prepared, longest_s, n_kept)
        manifests = {
            name: manifest_text(members)
            for name, members in _manifests(prepared, lambda clip: clip.source.split).items()
        }
        for name, text in manifests.items():
            write_output(folder / name, text, _PURPOSE)
        write_text_atomically(folder / REPORT, report.to_json(manifests))
    except OSError as error:
        raise InputError(
            f"{folder}: cannot write here ({error.strerror or error}); what is done is kept, "
            "free space or change -o and run again"
        ) from error
    return report


def prepare_clip(task: _Task) -> ClipNote:
    """Prepare one clip; a clip that cannot be read leaves the reason in its place.

    Raises:
        OSError: if the result cannot be written.
    """
    utterance = task.utterance
    task.target.parent.mkdir(parents=True, exist_ok=True)
    try:
        tracker = None if utterance.cropped else _worker_tracker()
        clip = read_utterance(utterance, tracker=tracker)
        if clip.duration_s == 0:
            raise MediaError(f"{utterance.path}: has zero length")
    except ImportError:
        raise
    except MediaError as error:
        return save_failure(task.target, one_line(error), task.key)
    except Exception as error:  # whatever is wrong with one clip, the others come next
        reason = f"{utterance.path}: {type(error).__name__}: {one_line(error)}"
        return save_failure(task.target, reason, task.key)
    return save_clip(task.target, clip, task.key)


def clip_path(clip_id: str) -> Path:
    """Where a clip is kept in a prepared folder; slashes of its id make folders.

    Characters that file systems dislike are written as percent signs and numbers, and very long
    parts are shortened to a digest.
    """
    parts = [quote(part, safe=" ") for part in clip_id.split("/")]
    for index, part in enumerate(parts):
        if not part or part.startswith("."):
            part = f"%2E{part[1:]}"  # no part may be empty, hidden, or lead out of the folder
        if len(part) > _LONGEST_NAME:
            part = f"{part[: _LONGEST_NAME - 17]}-{hashlib.sha256(part.encode()).hexdigest()[:16]}"
        parts[index] = part
    return Path(CLIP_FOLDER, *parts[:-1], parts[-1] + CLIP_SUFFIX)


def _find_work(
    clips: Sequence[SourceClip], folder: Path
) -> tuple[dict[str, ClipNote], list[_Task]]:
    """Notes of the clips that are prepared already, and what is still to do."""
    notes: dict[str, ClipNote] = {}
    tasks: list[_Task] = []
    for clip in clips:
        utterance = clip.utterance
        target = folder / clip_path(utterance.id)
        key = source_key(utterance)
        note = read_note(target)
        # A source that has gone does not spoil what was made of it.
        if note is not None and note.failure is None and key in (None, note.key):
            notes[utterance.id] = note
        else:
            tasks.append(_Task(utterance=utterance, target=target, key=key or []))
    return notes, tasks


def _check_targets(clips: Sequence[SourceClip], folder: Path) -> None:
    """Find out before the work whether everything may be written."""
    utterances = [clip.utterance for clip in clips]
    inputs = [path for utterance in utterances for path in utterance.files]
    manifests = _manifests(clips, lambda clip: clip.split)
    check_outputs(
        [folder / name for name in manifests],
        _PURPOSE,
        inputs=inputs,
        is_ours=lambda path: is_untouched(path, folder / REPORT),
    )
    check_outputs([folder / REPORT], _PURPOSE, inputs=inputs, is_ours=is_report)
    targets = (folder / clip_path(utterance.id) for utterance in utterances)
    check_outputs(
        [target for target in targets if target.exists()],
        _PURPOSE,
        inputs=inputs,
        is_ours=lambda path: read_note(path) is not None,
    )


def _manifests(
    clips: Sequence[Item], split_of: Callable[[Item], str | None]
) -> dict[str, list[Item]]:
    """The clips of each manifest by file name: all, and those of each split."""
    manifests = {MANIFEST: list(clips)}
    for clip in clips:
        split = split_of(clip)
        if split is not None:
            name = f"{quote(split, safe='')}.jsonl"
            if name != MANIFEST:
                manifests.setdefault(name, []).append(clip)
    return manifests


@cache
def _worker_tracker() -> MouthTracker:
    """The face tracker of this process; it ends with it."""
    import cv2

    cv2.setNumThreads(1)  # the cores are busy with the other workers
    return MouthTracker()
