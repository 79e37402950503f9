"""Reading manifests and the message for each kind of bad line."""

import json
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.datasets import read_dataset
from avsr.errors import UsageError
from avsr.manifest import read_manifest
from tests.shared_inputs import shared_input


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
        (["["], "a JSON array, not JSON Lines"),
        ([{"id": True, "path": "a", "text": "x"}], "'id' must be a text"),
        ([{**GOOD, "text": None}], "'text' must be a text, got None"),
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


def test_numbers_are_ids(tmp_path: Path) -> None:
    utterances = read_manifest(_write(tmp_path, {**GOOD, "id": 7}, {**GOOD, "id": 2.5}))
    assert [utterance.id for utterance in utterances] == ["7", "2.5"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85"])
def test_a_line_ends_only_where_it_ends(tmp_path: Path, character: str) -> None:
    line = json.dumps({**GOOD, "path": f"a{character}b.mp4"}, ensure_ascii=False)
    path = tmp_path / "test.jsonl"
    path.write_bytes((line + "\r\n").encode())
    (utterance,) = read_manifest(path)
    assert utterance.path.name == f"a{character}b.mp4"


def test_manifests_of_nemo(tmp_path: Path) -> None:
    first, part = read_manifest(
        _write(
            tmp_path,
            {"audio_filepath": "wav/a.wav", "text": "x", "duration": 3.0},
            {"audio_filepath": "wav/a.wav", "text": "y", "duration": 1.5, "offset": 2},
        )
    )
    assert (first.id, first.path) == ("wav/a", tmp_path / "wav/a.wav")
    assert (first.start, first.end) == (None, None)
    assert (part.id, part.start, part.end) == ("wav/a@2", 2.0, 3.5)


def test_utf_16_gets_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    path.write_bytes(json.dumps(GOOD).encode("utf-16"))
    with pytest.raises(UsageError, match=r"test\.jsonl.*it is UTF-16; save it as UTF-8"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("manifest_named.json", "0.00"),
        ("nemo.jsonl", "0.00"),
        ("u2028.jsonl", "0.00"),
        ("array.jsonl", "line 1: a JSON array, not JSON Lines; write one object a line"),
        ("csv.csv", "csv.csv line 1: not JSON"),
        ("winpath.jsonl", "clean.mp4: no such file; write it with / as on this machine"),
        ("", "is a folder; name the manifest in it"),
    ],
)
def test_shared_manifests(name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is read is read rightly by the bundled model; what is not has its first reason."""
    path = shared_input("ev") / name
    code = run(["evaluate", "--manifest", str(path), "--modality", "audio"])
    captured = capsys.readouterr()
    assert words in captured.out + captured.err
    assert code == (0 if words == "0.00" else 1 if name == "winpath.jsonl" else 2)


def test_a_manifest_is_one_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a.json", "b.txt", "c"):
        (tmp_path / name).write_text(json.dumps(GOOD) + "\n")
        assert read_dataset(tmp_path / name).layout == "jsonl"
    (tmp_path / "d.txt").write_text("words\n")
    with pytest.raises(UsageError, match="no layout recognised"):
        read_dataset(tmp_path / "d.txt")
