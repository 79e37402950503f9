"""The parts of a transcription as they are finished, and the whole that they make."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from avsr.recognition.modality import ModalityChoice
from avsr.recognition.readability import Signs
from avsr.route import Modality, Route
from avsr.transcription import Segment
from avsr_frontends.landmarks import TrackReport

_ADJOINING_S = 0.02  # gaps that are apart by less are one


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What is known once a part of the input is done.

    Attributes:
        until: seconds of the input before which everything is done.
        is_last: nothing comes after it.
        segments: what was said in it.
        length_s: seconds of input that were looked at.
        modality: what it was read from.
        reason: why that was used, or why there are no words.
        low_coverage: lips are used although the face was found in few frames.
        face: how well the face was followed, times from the input's start; None without picture.
        left_out: passages whose words were not believed, each as a phrase.
        looped: spans in which repetitions were cut, each as a phrase.
        signs: by what was read, whether that is what the model reads.
    """

    until: float
    is_last: bool = False
    segments: tuple[Segment, ...] = ()
    length_s: float = 0.0
    modality: Modality = "audio"
    reason: str = ""
    low_coverage: bool = False
    face: TrackReport | None = None
    left_out: tuple[str, ...] = ()
    looped: tuple[str, ...] = ()
    signs: Mapping[Modality, Signs] = field(default_factory=dict)


def main_modality(stretches: Sequence[Stretch]) -> tuple[Modality, str]:
    """What most of the words (else most of the input) was read from, and why."""
    seconds: dict[tuple[Modality, str], float] = defaultdict(float)
    spoken = [stretch for stretch in stretches if stretch.segments]
    for stretch in spoken or stretches:
        seconds[stretch.modality, stretch.reason] += stretch.length_s
    return max(seconds, key=seconds.__getitem__, default=("audio", "there is nothing in it"))


def joint_report(reports: Iterable[TrackReport]) -> TrackReport | None:
    """One report for all stretches; None where no picture was looked at."""
    seen = [report for report in reports if report.n_frames]
    if not seen:
        return None
    n_frames = sum(report.n_frames for report in seen)
    n_found = sum(report.coverage * report.n_frames for report in seen)
    width = sum(report.face_width_px * report.coverage * report.n_frames for report in seen)
    gaps: list[tuple[float, float]] = []
    for start, end in (gap for report in seen for gap in report.gaps):
        if gaps and start - gaps[-1][1] < _ADJOINING_S:
            gaps[-1] = (gaps[-1][0], end)
        else:
            gaps.append((start, end))
    return TrackReport(
        n_frames=n_frames,
        coverage=n_found / n_frames,
        face_width_px=width / n_found if n_found else 0.0,
        gaps=gaps,
    )


def doubts(stretches: Sequence[Stretch], face: TrackReport | None) -> list[str]:
    """What may have harmed the text, beside damage in the file."""
    found: list[str] = []
    used_lips = any(stretch.modality != "audio" for stretch in stretches)
    if used_lips and face is not None and face.coverage < 1:
        gaps = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in face.gaps[:5])
        more = ", ..." if len(face.gaps) > 5 else ""
        trust = "; do not trust this text" if any(s.low_coverage for s in stretches) else ""
        found.append(
            f"face found in only {face.coverage:.0%} of the frames (none at {gaps}{more}){trust}"
        )
    for what, passages in (
        ("left out", [text for stretch in stretches for text in stretch.left_out]),
        ("repeated words cut", [text for stretch in stretches for text in stretch.looped]),
    ):
        if passages:
            more = f" and {len(passages) - 5} more" if len(passages) > 5 else ""
            found.append(f"{what}: {'; '.join(passages[:5])}{more}")
    return found


def usual_route(segments: Sequence[Segment], modality: Modality) -> Route | None:
    """What most of the time was read by, where each segment has a route of its own."""
    seconds: dict[Route, float] = defaultdict(float)
    for segment in segments:
        if segment.route is not None and segment.route.modality == modality:
            seconds[segment.route] += segment.end - segment.start
    return max(seconds, key=seconds.__getitem__, default=None)


def why_empty(choice: ModalityChoice, pieces: Sequence[object], left_out: Sequence[str]) -> str:
    """Why there are no words, as a phrase."""
    if left_out or pieces:
        return f"{choice.reason}, but no words could be made out"
    signs = {
        "audio": "no voice is heard",
        "video": "no lips move",
        "av": "no voice is heard and no lips move",
    }
    return signs[choice.modality]
