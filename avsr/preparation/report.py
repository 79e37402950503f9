"""What came of a preparation: the manifest's lines, and every problem by clip."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avsr.clips.clip import CLIP_SUFFIX, ClipNote
from avsr.clips.read import MIN_FACE_COVERAGE
from avsr.datasets.dataset import Dataset, SourceClip
from avsr.datasets.problems import Problem, count_problems, problem_lines
from avsr.lines import read_lines
from avsr_frontends.rates import VIDEO_FPS


@dataclass(frozen=True, kw_only=True)
class PreparedClip:
    """A clip of a prepared folder.

    Attributes:
        source: what it was made of.
        path: its clip file, relative to the folder.
        note: what the file says about itself.
    """

    source: SourceClip
    path: str
    note: ClipNote

    @property
    def coverage(self) -> float | None:
        """Share of frames in which the face was found; None without a picture."""
        return None if self.note.face is None else self.note.face.coverage


@dataclass(frozen=True, kw_only=True)
class PreparationReport:
    """Counts and problems of a preparation.

    Attributes:
        layout: how the source was read.
        n_clips: clips in the manifest, failed ones among them.
        n_failed: clips that could not be read.
        n_kept: clips that an earlier run had prepared.
        duration_s: seconds of all clips together.
        problems: label problems first, then those of clips in order.
    """

    layout: str
    n_clips: int
    n_failed: int
    n_kept: int
    duration_s: float
    problems: tuple[Problem, ...]

    @classmethod
    def of(
        cls, dataset: Dataset, clips: Sequence[PreparedClip], longest_s: float, n_kept: int
    ) -> "PreparationReport":
        """Sum up a preparation."""
        found = [problem for clip in clips for problem in clip_problems(clip, longest_s)]
        return cls(
            layout=dataset.layout,
            n_clips=len(clips),
            n_failed=sum(clip.note.failure is not None for clip in clips),
            n_kept=n_kept,
            duration_s=sum(clip.note.duration_s for clip in clips),
            problems=(*dataset.problems, *found),
        )

    def lines(self) -> Iterator[str]:
        """The report as lines of text: what was made, then every problem and their counts."""
        hours = self.duration_s / 3600
        length = f"{hours:.1f} h" if hours >= 1 else f"{self.duration_s:.0f} s"
        yield (
            f"{self.n_clips} clips ({length}, layout {self.layout}), {self.n_failed} of them failed"
        )
        yield from problem_lines(self.problems, "report.json")

    def to_json(self, manifests: Mapping[str, str]) -> str:
        """Everything as JSON text; the same source gives the same text.

        Args:
            manifests: the text of each manifest by file name; their digests tell later runs
                whether anybody has changed them.
        """
        values: dict[str, Any] = {
            "layout": self.layout,
            "n_clips": self.n_clips,
            "n_failed": self.n_failed,
            "duration": round(self.duration_s, 3),
            "counts": count_problems(self.problems),
            "problems": [asdict(problem) for problem in self.problems],
            "manifests": {name: _digest(text.encode()) for name, text in manifests.items()},
        }
        return json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def clip_problems(clip: PreparedClip, longest_s: float) -> Iterator[Problem]:
    """What is wrong with a prepared clip."""
    note, clip_id = clip.note, clip.source.utterance.id
    if note.failure is not None:
        yield Problem(kind="unreadable", id=clip_id, detail=note.failure)
        return
    if note.warnings:
        yield Problem(kind="damaged", id=clip_id, detail="; ".join(note.warnings))
    if note.face is None or note.face.n_frames == 0:
        yield Problem(kind="no face", id=clip_id, detail="there is no picture")
    elif note.n_frames == 0:
        detail = f"found in none of {note.face.n_frames} frames"
        yield Problem(kind="no face", id=clip_id, detail=detail)
    elif note.face.coverage < MIN_FACE_COVERAGE:
        share = f"{note.face.coverage:.0%} of {note.face.n_frames} frames"
        yield Problem(kind="low coverage", id=clip_id, detail=f"face found in {share}")
    if note.n_samples == 0:
        yield Problem(kind="no sound", id=clip_id, detail="there is no sound")
    if note.duration_s > longest_s + 1 / VIDEO_FPS:
        detail = f"{note.duration_s:.1f} s, more than {longest_s:g} s; kept whole"
        yield Problem(kind="too long", id=clip_id, detail=detail)


def manifest_text(clips: Sequence[PreparedClip]) -> str:
    """A manifest of prepared clips, JSON Lines.

    Beside what every manifest has: ``duration`` (s, of the longer stream), ``n_frames`` (mouth
    crops), ``n_samples``, ``face_coverage`` (0 to 1), ``words`` where their times are known,
    ``split``, and the marks ``failure`` (the reason) and ``low_coverage`` (true).
    """
    return "".join(json.dumps(_entry(clip), ensure_ascii=False) + "\n" for clip in clips)


def is_untouched(path: Path, report: Path) -> bool:
    """Whether a file is a manifest that :func:`manifest_text` wrote, and nobody has changed.

    Args:
        path: the file.
        report: the report of the same preparation; one without digests vouches for all manifests.
    """
    try:
        entries = [json.loads(line) for line in read_lines(path)]
        digests = json.loads(report.read_text(encoding="utf-8")).get("manifests", {})
        is_same = digests.get(path.name) in (None, _digest(path.read_bytes()))
    except (OSError, ValueError, AttributeError):
        return False
    return is_same and bool(entries) and all(_is_entry(entry) for entry in entries)


def is_report(path: Path) -> bool:
    """Whether a file is a report of ours."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    keys = {"layout", "n_clips", "n_failed", "duration", "counts", "problems"}
    return isinstance(values, dict) and keys <= set(values)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    is_clip = str(entry.get("path")).endswith(CLIP_SUFFIX)
    return is_clip and ("failure" in entry or {"duration", "n_frames", "n_samples"} <= set(entry))


def _entry(clip: PreparedClip) -> dict[str, Any]:
    utterance, note = clip.source.utterance, clip.note
    entry: dict[str, Any] = {"id": utterance.id, "path": clip.path, "text": utterance.text}
    if utterance.speaker is not None:
        entry["speaker"] = utterance.speaker
    if clip.source.split is not None:
        entry["split"] = clip.source.split
    if note.failure is not None:
        return entry | {"failure": note.failure}
    entry |= {
        "duration": round(note.duration_s, 3),
        "n_frames": note.n_frames,
        "n_samples": note.n_samples,
    }
    if clip.coverage is not None:
        entry["face_coverage"] = round(clip.coverage, 4)
        if clip.coverage < MIN_FACE_COVERAGE:
            entry["low_coverage"] = True
    if clip.source.words:
        entry["words"] = [[word.text, word.start, word.end] for word in clip.source.words]
    return entry
