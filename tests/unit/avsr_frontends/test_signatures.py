"""What files are told to be by their content."""

from pathlib import Path

import pytest

from avsr_frontends.containers import MediaError, probe
from avsr_frontends.signatures import is_encrypted, is_playlist, looks_like_media
from tests.clips import write_clip
from tests.shared_inputs import shared_input
from tests.signals import portrait, tone


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "flv", "wav", "mp3", "ogg", "flac"])
def test_media(tmp_path: Path, suffix: str) -> None:
    frames = [portrait()] * 3 if suffix in ("mp4", "mkv", "ts", "avi", "flv") else []
    codec = {"mp3": "libmp3lame", "ogg": "libopus", "flac": "flac"}.get(suffix, "pcm_s16le")
    path = tmp_path / f"clip.{suffix}"
    write_clip(path, frames, sound=None if frames else tone(0.3), sound_codec=codec)
    assert looks_like_media(path)
    assert not is_playlist(path)
    assert not is_encrypted(path)


PLAYLISTS = {
    "a.m3u8": "#EXTM3U\nhttp://example.com/a.ts\n",
    "b.mp4": "\ufeff#EXTM3U\na.ts\n",
    "c.m3u": "a.mp3\nb.mp3\n",
    "d.pls": "[playlist]\nFile1=a.mp3\n",
    "e.txt": "ffconcat version 1.0\nfile a.mp4\n",
    "f.xml": '<?xml version="1.0"?>\n<!-- x -->\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">\n',
    "g.xspf": '<?xml version="1.0" encoding="UTF-8"?><playlist version="1">',
    "h.sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(PLAYLISTS[name])
    assert is_playlist(path)
    with pytest.raises(MediaError, match="is a playlist, which holds no sound"):
        probe(path)


def test_other_text_is_no_playlist(tmp_path: Path) -> None:
    for content in ("words", '<?xml version="1.0"?><note/>', "v=0 is an equation"):
        (tmp_path / "a.txt").write_text(content)
        assert not is_playlist(tmp_path / "a.txt")
        assert not looks_like_media(tmp_path / "a.txt")


def test_encrypted_tracks() -> None:
    path = shared_input("drm.mp4")
    assert is_encrypted(path)
    with pytest.raises(MediaError, match=r"drm\.mp4: is encrypted"):
        probe(path)


@pytest.mark.parametrize("name", ["a:b.wav", "2024-08-20T13:28:35Z.wav", "http:x.wav", "concat:a"])
def test_a_colon_in_a_name_is_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(Path("a.wav"), sound=tone(0.5)).rename(name)
    assert probe(name).has_audio
