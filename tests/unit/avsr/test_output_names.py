"""Where results go: beside sources, in a tree, after a pattern; several files at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.commands.output_names import Destination, name_results
from avsr.commands.results import ResultFiles
from avsr.errors import UsageError
from avsr.inputs import InputFile
from avsr.rendering import SubtitleStyle
from avsr.route import Route
from avsr.transcription import Segment, TranscriptionResult


def inputs(*paths: str) -> list[InputFile]:
    return [InputFile(path=Path(path), name=Path(Path(path).name)) for path in paths]


def named(destination: Destination, *paths: str, formats: tuple[str, ...] = ("txt",)) -> list[str]:
    places = name_results(inputs(*paths), destination, formats)
    return [str(path) for pair in places for path in pair.values()]


def test_beside_the_source() -> None:
    assert named(Destination(next_to_source=True), "a/x.mp4", "b/x.mp4") == ["a/x.txt", "b/x.txt"]
    assert named(Destination(next_to_source=True), "a/x.mp4", "a/x.wav") == [
        "a/x.mp4.txt",
        "a/x.wav.txt",
    ]


def test_a_tree_is_kept() -> None:
    tree = Destination(output=Path("out"), keep_tree=True)
    assert named(tree, "films/a/x.mp4", "films/b/c/x.mp4") == ["out/a/x.txt", "out/b/c/x.txt"]
    assert named(tree, "films/a/x.mp4") == ["out/x.txt"]
    with pytest.raises(UsageError, match=r"several results would be written to out/x\.mp4\.txt"):
        named(Destination(output=Path("out")), "films/a/x.mp4", "films/b/x.mp4")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("out/{stem}", "out/talk.srt"),
        ("out/{number:03}-{name}.{ext}", "out/001-talk.mp4.srt"),
        ("{folder}/{stem}.en.{ext}", "films/talk.en.srt"),
        ("out/{{{stem}}}", "out/{talk}.srt"),
    ],
)
def test_a_pattern_is_filled(pattern: str, expected: str) -> None:
    assert named(Destination(output=Path(pattern)), "films/talk.mp4", formats=("srt",)) == [
        expected
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": Path("{stm}")}, r"no field \{stm\} \(do you mean \{stem\}\?\); there are"),
        ({"output": Path("{stem")}, "write fields as"),
        ({"output": Path("{stem:03d}")}, "takes a form"),
        ({"output": Path("{}")}, "no field"),
        ({"output": Path("out"), "next_to_source": True}, "give one of them"),
        ({"keep_tree": True}, "goes with -o DIR"),
    ],
)
def test_what_cannot_be_is_told(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Destination(**options)


def test_no_result_replaces_another() -> None:
    with pytest.raises(UsageError, match=r"several results would be written to out/x\.txt; add"):
        named(Destination(output=Path("out/x.{ext}")), "a.mp4", "b.mp4")
    with pytest.raises(UsageError, match="several results"):
        named(Destination(output=Path("{stem}.{folder}.{ext}")), "a.mp4", "./a.mp4")


def test_each_face_has_its_file(tmp_path: Path) -> None:
    said = Segment(start=0.0, end=1.0, text="yes", avg_logprob=0.0, face=1)
    result = TranscriptionResult(
        text="yes no",
        segments=(said, replace(said, start=2.0, end=3.0, text="no", face=2)),
        route=Route(modality="av", audio_rate=4, video_rate=2),
        reason="",
        duration_s=3.0,
    )
    (paths,) = name_results(
        inputs("a.mp4"), Destination(output=tmp_path / "{stem}-{face}"), ["txt"]
    )
    where = ResultFiles(paths=paths)
    assert not where.exist
    where.write(result, SubtitleStyle())
    assert where.exist
    assert (tmp_path / "a-1.txt").read_text() == "yes\n"
    assert (tmp_path / "a-2.txt").read_text() == "no\n"
    assert where.known == [tmp_path / "a-1.txt", tmp_path / "a-2.txt"]


def test_an_input_is_not_replaced(
    media: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tmp_path / "a.wav"
    sound.write_bytes((media / "sound.wav").read_bytes())
    options = ["--model", str(tiny_folder), "-o", str(tmp_path / "{name}"), "-f", "txt"]
    assert run(["transcribe", str(sound), "-o", str(sound / "{stem}"), *options[:2]]) == 2
    lying = tmp_path / "a.wav.txt"
    lying.write_bytes(sound.read_bytes())
    assert run(["transcribe", str(sound), str(lying), *options]) == 2
    assert "is an input" in capsys.readouterr().err


def test_several_at_once_are_as_one_by_one(
    media: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, source in (("a", "sound.wav"), ("c", "silence.wav"), ("d", "sound.wav")):
        (tmp_path / f"{name}.wav").write_bytes((media / source).read_bytes())
    (tmp_path / "b.wav").write_text("no sound")
    seen = []
    for jobs in (1, 2):
        out = tmp_path / f"out{jobs}"
        options = [
            "--model",
            str(tiny_folder),
            "--device",
            "cpu",
            "--keep-unsure",
            "--threads",
            "1",
        ]
        files = ["--jobs", str(jobs), "-f", "txt,json", "-o", str(out)]
        assert run(["transcribe", str(tmp_path), *options, *files]) == 1
        told = capsys.readouterr()
        assert "1 of 4 files failed" in told.err
        failures = [line for line in told.err.splitlines() if line.startswith("avsr: ")]
        texts = {path.name: path.read_text() for path in out.glob("*.txt")}
        seen.append((told.out, failures, texts))
    assert seen[0] == seen[1]
    assert sorted(seen[0][2]) == ["a.txt", "c.txt", "d.txt"]
    assert "4/4" in told.err
    assert run(["transcribe", "-", "--jobs", "2", *options]) == 2
