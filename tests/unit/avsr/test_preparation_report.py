"""What a preparation says about its clips."""

import json
from pathlib import Path

from avsr.clips.clip import ClipNote
from avsr.datasets import Dataset, Problem, SourceClip, TimedWord
from avsr.manifest import Utterance, read_manifest
from avsr.preparation.report import PreparationReport, PreparedClip, clip_problems, manifest_text
from avsr_frontends.landmarks import TrackReport

GOOD = TrackReport(n_frames=75, coverage=1.0, face_width_px=80.0)
POOR = TrackReport(n_frames=75, coverage=0.4, face_width_px=80.0)
NONE = TrackReport(n_frames=75, coverage=0.0, face_width_px=0.0)


def _prepared(
    name: str,
    face: TrackReport | None = GOOD,
    *,
    duration_s: float = 3.0,
    n_samples: int = 48_000,
    warnings: tuple[str, ...] = (),
    failure: str | None = None,
) -> PreparedClip:
    utterance = Utterance(id=name, path=Path(f"{name}.mp4"), text="ON IT", speaker="s")
    words = (TimedWord(text="ON", start=0.1, end=0.3), TimedWord(text="IT", start=0.3, end=0.5))
    note = ClipNote(
        key=[],
        duration_s=duration_s,
        n_frames=75 if face is not None and face.coverage else 0,
        n_samples=n_samples,
        face=face,
        warnings=warnings,
        failure=failure,
    )
    source = SourceClip(utterance=utterance, words=words, split="test")
    return PreparedClip(source=source, path=f"clips/{name}.npz", note=note)


CLIPS = (
    _prepared("good"),
    _prepared("poor", POOR),
    _prepared("faceless", NONE),
    _prepared("sound-only", None),
    _prepared("mute", n_samples=0, warnings=("2 corrupt picture frame(s) skipped",)),
    _prepared("long", duration_s=17.0),
    _prepared("broken", None, failure="broken.mp4: is truncated"),
)


def test_each_problem_has_its_kind() -> None:
    found = {
        clip.source.utterance.id: [(p.kind, p.detail) for p in clip_problems(clip, 16.0)]
        for clip in CLIPS
    }
    assert found == {
        "good": [],
        "poor": [("low coverage", "face found in 40% of 75 frames")],
        "faceless": [("no face", "found in none of 75 frames")],
        "sound-only": [("no face", "there is no picture")],
        "mute": [
            ("damaged", "2 corrupt picture frame(s) skipped"),
            ("no sound", "there is no sound"),
        ],
        "long": [("too long", "17.0 s, more than 16 s; kept whole")],
        "broken": [("unreadable", "broken.mp4: is truncated")],
    }


def test_every_clip_is_in_the_manifest_and_marked(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(manifest_text(CLIPS))
    assert [u.id for u in read_manifest(manifest)] == [c.source.utterance.id for c in CLIPS]
    assert read_manifest(manifest)[0].path == tmp_path / "clips" / "good.npz"
    entries = {entry["id"]: entry for entry in map(json.loads, manifest.open())}
    assert entries["good"]["words"] == [["ON", 0.1, 0.3], ["IT", 0.3, 0.5]]
    assert [name for name, entry in entries.items() if "low_coverage" in entry] == [
        "poor",
        "faceless",
    ]
    assert [name for name, entry in entries.items() if "failure" in entry] == ["broken"]


def test_the_report_lists_some_and_counts_all() -> None:
    problems = tuple(
        Problem(kind="missing label", id=f"clip{i}", detail="no .txt") for i in range(130)
    )
    dataset = Dataset(layout="lrs3", clips=(), problems=problems)
    report = PreparationReport.of(dataset, CLIPS, 16.0, n_kept=2)
    lines = list(report.lines())
    assert lines[0] == "7 clips (35 s, layout lrs3), 1 of them failed"
    assert lines[1] == "missing label: clip0: no .txt"
    assert "missing label: 30 more; report.json has all" in lines
    assert lines[-1].startswith("problems: 130 missing label, 1 low coverage, 2 no face")
    assert len(json.loads(report.to_json({}))["problems"]) == 130 + 7
