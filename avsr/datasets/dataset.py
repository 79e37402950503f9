"""What every layout is read into: clips with their words, and what was wrong with the labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avsr.datasets.problems import Problem, ProblemKind, count_problems
from avsr.errors import UsageError
from avsr.lines import read_lines
from avsr.manifest import Utterance

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".mpg", ".mpeg", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".flv", ".wmv", ".ts")
)
SOUND_SUFFIXES = frozenset((".wav", ".flac", ".mp3", ".ogg", ".m4a", ".opus", ".aac"))


@dataclass(frozen=True, kw_only=True)
class TimedWord:
    """A word and when it is said, in seconds from the start of its clip."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class SourceClip:
    """A clip of a corpus.

    Attributes:
        utterance: its id, files and text.
        words: the words with their times; empty where the corpus has none.
        split: the part of the corpus it belongs to, or None.
        is_long: whether it is to be cut at word boundaries where it exceeds the longest length.
    """

    utterance: Utterance
    words: tuple[TimedWord, ...] = ()
    split: str | None = None
    is_long: bool = False


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A corpus, or a part of it, as its label files have it; media files are not looked at.

    Attributes:
        layout: the name of the layout it was read by.
        clips: in a fixed order, with unique ids; the text of one in which nothing is said is empty.
        problems: clips that had to be left out because of their labels, and empty texts.
    """

    layout: str
    clips: Sequence[SourceClip]
    problems: Sequence[Problem] = ()

    @property
    def utterances(self) -> list[Utterance]:
        """The clips without what only preparation needs."""
        return [clip.utterance for clip in self.clips]

    @property
    def spoken(self) -> list[Utterance]:
        """Those of them whose text is not empty."""
        return [utterance for utterance in self.utterances if utterance.text.strip()]


@dataclass
class DatasetBuilder:
    """Collects clips and problems while a layout is read."""

    layout: str
    _clips: dict[str, SourceClip] = field(default_factory=dict)
    _problems: list[Problem] = field(default_factory=list)

    def add(self, clip: SourceClip) -> None:
        """Take a clip, or note why it cannot be taken."""
        utterance = clip.utterance
        if (first := self._clips.get(utterance.id)) is not None:
            same = first.utterance.path
            self.note("duplicate id", utterance.id, f"{utterance.path}: the id is that of {same}")
            return
        if not utterance.text.strip():
            self.note("empty text", utterance.id, f"{utterance.path}: its transcript is empty")
        self._clips[utterance.id] = clip

    def note(self, kind: ProblemKind, clip_id: str, detail: str) -> None:
        """Note a problem."""
        self._problems.append(Problem(kind=kind, id=clip_id, detail=detail))

    def finish(self, source: Path) -> Dataset:
        """The dataset.

        Raises:
            UsageError: if there is no clip.
        """
        if not self._clips:
            found = ", ".join(f"{n} {kind}" for kind, n in count_problems(self._problems).items())
            first = f"; the first: {self._problems[0].detail}" if self._problems else ""
            raise UsageError(
                f"{source}: no clip with a transcript in layout {self.layout} "
                f"({found or 'empty'}){first}"
            )
        return Dataset(
            layout=self.layout,
            clips=tuple(self._clips.values()),
            problems=tuple(self._problems),
        )


def read_label_lines(path: Path) -> list[str]:
    """The lines of a label file.

    Raises:
        UsageError: if it cannot be read as UTF-8 text.
    """
    try:
        return read_lines(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot read these labels ({error})") from None


def choose_split(source: Path, available: Sequence[str], split: str | None) -> list[str]:
    """The parts of a corpus to read: the one that is named, else all.

    Raises:
        UsageError: if there is no such part; the message lists those that are there.
    """
    if split is None:
        return list(available)
    if split not in available:
        there = ", ".join(available) or "none"
        raise UsageError(f"{source}: no split {split!r} here; there are: {there}")
    return [split]
