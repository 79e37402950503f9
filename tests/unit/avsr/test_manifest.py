"""Reading manifests and the message for each kind of bad line."""

import json
from pathlib import Path

import pytest

from avsr.errors import UsageError
from avsr.manifest import read_manifest


def _write(folder: Path, *lines: object) -> Path:
    path = folder / "test.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def test_reads_all_fields(tmp_path: Path) -> None:
    manifest = _write(
        tmp_path,
        {"id": "a", "path": "clips/a.mp4", "text": "one two", "frames": 75},
        "",
        {"id": "b", "path": "/b.mp4", "text": "x", "speaker": "s1", "start": 1, "end": 2.5},
    )
    first, second = read_manifest(manifest)
    assert first.path == tmp_path / "clips/a.mp4"
    assert (first.text, first.speaker, first.start, first.end) == ("one two", None, None, None)
    assert second.path == Path("/b.mp4")
    assert (second.speaker, second.start, second.end) == ("s1", 1.0, 2.5)


GOOD = {"id": "a", "path": "a.mp4", "text": "x"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], "line 1: not JSON"),
        (["[1]"], "expected a JSON object, got list"),
        ([GOOD, GOOD], "line 2: id 'a' comes twice"),
        ([{**GOOD, "text": " "}], "'text' must be a text"),
        ([{"id": "a", "text": "x"}], "'path' must be a text"),
        ([{**GOOD, "start": -1}], "'start' must be seconds"),
        ([{**GOOD, "start": True}], "'start' must be seconds"),
        ([{**GOOD, "start": 2, "end": 1}], "end (1.0) must come after start (2.0)"),
        ([], "manifest is empty"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, lines: list[object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_manifest(_write(tmp_path, *lines))
    assert message in str(caught.value)
    assert "test.jsonl" in str(caught.value)


def test_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such manifest"):
        read_manifest(tmp_path / "none.jsonl")
