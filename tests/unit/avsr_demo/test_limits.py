"""Recordings that are refused, and what the visitor is told."""

from pathlib import Path

import pytest

from avsr_demo.limits import Limits, RecordingError


def _refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(RecordingError) as caught:
        (limits or Limits()).check_file(path)
    return str(caught.value)


def test_a_fitting_recording_is_described(media: Path) -> None:
    info = Limits(duration_s=5).check_file(media / "av.mp4")

    assert info.has_audio
    assert info.has_video


def test_plain_messages(media: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a film")

    assert "no longer on the server" in _refusal(tmp_path / "gone.mp4")
    assert "too long: 1 s, and the limit is 0.5 s" in _refusal(
        media / "av.mp4", Limits(duration_s=0.5)
    )
    assert "too large" in _refusal(media / "av.mp4", Limits(megabytes=0.001))
    assert _refusal(text) == "This file is not a media file that can be decoded."


def test_messages_do_not_show_the_server_s_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()

    assert str(tmp_path) not in _refusal(empty)
