"""The command line in one process: exit codes, one-line errors, what goes where."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from avsr.cli import run
from avsr.commands import interruption
from avsr.errors import UsageError
from avsr.recognizer import Recognizer


def _transcribe(tiny_folder: Path, *arguments: object) -> int:
    """The tests' tones are no speech: what the tiny model reads from them is kept all the same."""
    return run(["transcribe", "--model", str(tiny_folder), "--keep-unsure", *map(str, arguments)])


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from avsr.cli import run; run(['--help']); "
        "print(sorted({'torch', 'transformers', 'mediapipe', 'av', 'numpy'} & set(sys.modules)))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1  # s of work
    assert "transcribe" in done.stdout
    assert "evaluate" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == run(["transcribe", "--version"]) == 0
    assert capsys.readouterr().out == "avsr 0.1.0\navsr 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["transcribe"], "Missing argument 'FILE'"),
        (["nonesuch"], "No such command 'nonesuch'"),
        (["transcribe", "a.mp4", "--modality", "lips"], "'lips' is not one of"),
        (["transcribe", "a.mp4", "--beam", "0"], "--beam"),
        (["transcribe", "x/a.mp4", "y/a.mp4", "-o", "out"], "several results would be written"),
        (["evaluate"], "give either --manifest FILE or --data DIR"),
        (["evaluate", "--manifest", "none.jsonl"], "none.jsonl: no such manifest"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_no_arguments_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "transcribe" in capsys.readouterr().out


def test_missing_model_is_code_3(media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["transcribe", str(media / "sound.wav"), "--model", "nonesuch"]) == 3
    assert capsys.readouterr().err.startswith("avsr: nonesuch: no such model; give a bundled name")


def test_untrained_rate_is_wrong_usage(
    tiny_folder: Path, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _transcribe(tiny_folder, media / "sound.wav", "--audio-rate", 5) == 2
    assert "not trained at audio rate 5; use 4 or 16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("av.mp4", "av (there are sound and a face), audio rate 4, video rate 2"),
        ("mute.mp4", "video (there is no sound), video rate 2"),
        ("silent.mp4", "video (the sound is silent), video rate 2"),
        ("no_face.mp4", "audio (no face was found in 25 frames), audio rate 4"),
        ("sound.wav", "audio (there is no picture), audio rate 4"),
    ],
)
def test_text_on_stdout_and_reason_on_stderr(
    tiny_folder: Path, media: Path, name: str, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _transcribe(tiny_folder, media / name) == 0
    captured = capfd.readouterr()
    assert captured.out.count("\n") == 1
    assert captured.out.strip()
    assert f"{media / name}: {how}, confidence 0." in captured.err


def test_silence_is_success_without_words(
    tiny_folder: Path, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _transcribe(tiny_folder, media / "silence.wav") == 0
    captured = capsys.readouterr()
    assert captured.out == "\n"
    assert "the sound is silent" in captured.err
    assert "no speech found" in captured.err


def test_one_bad_file_does_not_harm_the_others(
    tiny_folder: Path, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truncated = tmp_path / "truncated.mp4"
    truncated.write_bytes((media / "av.mp4").read_bytes()[:900])
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "text.mp4"
    text.write_text("this is no film\n" * 50)
    folder = tmp_path / "folder"
    folder.mkdir()
    bad = [tmp_path / "missing.mp4", empty, truncated, text, folder]
    out = tmp_path / "out"
    files = [bad[0], media / "sound.wav", *bad[1:], media / "mute.mp4"]
    assert _transcribe(tiny_folder, *files, "-f", "json", "-o", out) == 1
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 2
    assert sorted(path.name for path in out.iterdir()) == ["mute.json", "sound.json"]
    assert json.loads((out / "mute.json").read_text())["modality"] == "video"
    messages = [line for line in captured.err.splitlines() if line.startswith("avsr: ")]
    assert len(messages) == len(bad)
    for file, message in zip(bad, messages, strict=True):
        assert message.startswith(f"avsr: {file}: ")
    causes = [m.removeprefix(f"avsr: {f}: ") for f, m in zip(bad, messages, strict=True)]
    assert len(set(causes)) == len(bad)
    assert "5 of 7 files failed" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("name", "modality", "message"),
    [
        ("sound.wav", "video", "there is no picture, so modality 'video' is impossible"),
        ("sound.wav", "av", "there is no picture, so modality 'av' is impossible"),
        ("mute.mp4", "audio", "there is no sound, so modality 'audio' is impossible"),
        ("no_face.mp4", "video", "no face was found in 25 frames, so modality 'video'"),
        ("blind.mp4", "auto", "there is no sound and no face was found in 25 frames"),
    ],
)
def test_impossible_modality_fails_that_file(
    tiny_folder: Path,
    media: Path,
    name: str,
    modality: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = _transcribe(tiny_folder, media / name, "--modality", modality)
    captured = capsys.readouterr()
    assert code == 1
    assert captured.out == ""
    assert f"avsr: {media / name}: {message}" in captured.err


def test_json_on_stdout_is_one_object_a_line(
    tiny_folder: Path, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [media / "sound.wav", media / "silence.wav"]
    assert _transcribe(tiny_folder, *files, "--format", "json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["file"] == str(files[0])
    assert (first["modality"], first["audio_rate"], first["video_rate"]) == ("audio", 4, None)
    assert (second["text"], second["segments"]) == ("", [])


def test_timings_split_the_work(
    tiny_folder: Path, media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _transcribe(tiny_folder, media / "av.mp4", "--timings") == 0
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("timings: ")]
    for stage in ("imports", "model", "decode", "face", "encoders", "language model"):
        assert f"{stage} " in line
    assert "after imports" in line


def test_unwritable_output_is_reported(
    tiny_folder: Path, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert _transcribe(tiny_folder, media / "sound.wav", "-o", tmp_path / "file") == 2
    assert "cannot make this folder" in capsys.readouterr().err
    (tmp_path / "out" / "sound.txt").mkdir(parents=True)  # a folder where the file should go
    assert _transcribe(tiny_folder, media / "sound.wav", "-o", tmp_path / "out") == 2
    assert "is there already, and not as an earlier run left it" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sound.txt"]


def test_interruption_keeps_what_is_done(
    tiny_folder: Path,
    media: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = Recognizer.transcribe

    def interrupted(self: Recognizer, source: object, **options: object) -> object:
        if Path(str(getattr(source, "path", source))).name == "mute.mp4":
            raise KeyboardInterrupt
        return original(self, source, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Recognizer, "transcribe", interrupted)
    monkeypatch.setattr(interruption, "_said", set())
    files = [media / "sound.wav", media / "mute.mp4", media / "silence.wav"]
    assert _transcribe(tiny_folder, *files, "-o", tmp_path) == 130
    captured = capsys.readouterr()
    assert [path.name for path in tmp_path.iterdir()] == ["sound.txt"]
    assert (tmp_path / "sound.txt").read_text() == captured.out
    assert "avsr: stopped; the same command with --skip-existing goes on" in captured.err


def test_debug_shows_the_traceback(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _transcribe(tiny_folder, tmp_path / "none.mp4", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_unexpected_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("avsr.commands.evaluate._source", broken)
    assert run(["evaluate", "--manifest", str(tmp_path)]) == 1
    assert (
        capsys.readouterr().err == "avsr: unexpected RuntimeError: two lines; --debug shows where\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--noise", "babble"], "also give the ratio in dB, such as 10,5,0 (--snr)"),
        (["--snr", "0"], "also give babble or a sound file (--noise)"),
        (["--noise", "babble", "--snr", "loud"], "ratios are numbers in dB"),
        (["--noise", "babble", "--snr", "nan"], "ratios go from -100 to 100"),
        (["--modality", "av,lips"], "'lips' is not one of av, audio, video"),
        (["--audio-rate", "4,,16"], "give different values with commas between them"),
        (["--video-rate", "two"], "rates are whole numbers from 1 on"),
    ],
)
def test_evaluate_checks_its_options_before_any_work(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"id": "a", "path": "a.mp4", "text": "x"}\n')
    assert run(["evaluate", "--manifest", str(manifest), *options]) == UsageError.exit_code
    assert message in capsys.readouterr().err
