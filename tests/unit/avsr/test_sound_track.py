"""Which of several sound tracks is read, and that it is said."""

from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition

from avsr.cli import run
from avsr.clips.reader import ClipReader
from avsr.clips.sound_track import choose_sound_track
from avsr.clips.wanted import Wanted
from avsr_frontends.media import probe
from tests.shared_inputs import shared_input
from tests.unit.avsr_frontends.test_odd_sound import DEFAULT, NONE, write_tracks

Track = tuple[float, str, Disposition]


@pytest.mark.parametrize(
    ("tracks", "number", "said"),
    [
        ([(300.0, "eng", NONE)], None, ""),
        ([(300.0, "eng", NONE), (500.0, "deu", DEFAULT)], 2, "2 sound tracks, number 2 (deu)"),
        (
            [(0.0, "eng", DEFAULT), (500.0, "deu", NONE)],
            2,
            "number 2 (deu) was read: track 1 (eng)",
        ),
        ([(0.0, "eng", NONE), (0.0, "eng", NONE), (500.0, "", NONE)], 3, "of 3 sound tracks"),
        ([(0.0, "eng", DEFAULT), (0.0, "deu", NONE)], 1, "number 1 (eng) was read: the default"),
    ],
)
def test_silent_tracks_are_passed_over(
    tmp_path: Path, tracks: list[Track], number: int | None, said: str
) -> None:
    path = write_tracks(tmp_path / "clip.mkv", tracks)
    chosen, sentence = choose_sound_track(path, probe(path))
    assert chosen == number
    assert said in sentence
    with ClipReader(path, Wanted(picture=False)) as reader:
        clip = reader.read()
        assert clip is not None
        assert clip.audio is not None
        assert (np.abs(clip.audio).max() > 0.1) == any(pitch for pitch, _, _ in tracks)
        assert reader.warnings == [sentence] * bool(sentence)


def test_a_track_is_chosen_on_the_command_line(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracks = [(300.0, "deu", NONE), (500.0, "eng", DEFAULT)]
    path = write_tracks(tmp_path / "clip.mkv", tracks)
    command = ["transcribe", "--model", str(tiny_folder), "--keep-unsure", str(path)]
    texts = {}
    for wish in ("1", "2", "de", "en"):
        assert run([*command, "--audio-track", wish]) == 0
        captured = capsys.readouterr()
        assert "sound tracks" not in captured.err
        texts[wish] = captured.out
    assert texts["1"] == texts["de"] != texts["2"] == texts["en"]
    assert run(command) == 0
    captured = capsys.readouterr()
    assert captured.out == texts["2"]
    assert "warning: of 2 sound tracks, number 2 (eng) was read: the default" in captured.err
    assert run([*command, "--audio-track", "fr"]) == 1
    complaint = f"avsr: {path}: has no sound track fr; there are: 1 (deu), 2 (eng)\n"
    assert complaint in capsys.readouterr().err


def test_the_default_track_of_a_film_that_people_sent() -> None:
    path = shared_input("twoaudio_default2.mkv")
    assert choose_sound_track(path, probe(path))[0] == 2
