"""Something else than media."""

import os
import socket
from pathlib import Path

import cv2
import numpy as np

from tests.hostile.makers import BAD, FACE, add, put


@add(BAD, "photo.jpg")
def _photo(folder: Path) -> Path:
    cv2.imwrite(str(folder / "photo.jpg"), FACE)
    return folder / "photo.jpg"


@add(BAD, "archive.npz")
def _archive(folder: Path) -> Path:
    np.savez(folder / "archive.npz", nothing=np.zeros(3))
    return folder / "archive.npz"


@add(BAD, "folder")
def _folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    return folder / "folder"


@add(BAD, "folder.mp4")
def _folder_like_a_file(folder: Path) -> Path:
    (folder / "folder.mp4").mkdir()
    return folder / "folder.mp4"


@add(BAD, "pipe.mp4")
def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


@add(BAD, "absent.mp4")
def _absent(folder: Path) -> Path:
    return folder / "absent.mp4"


@add(BAD, "nowhere.mp4")
def _dangling(folder: Path) -> Path:
    (folder / "nowhere.mp4").symlink_to("is_not_there.mp4")
    return folder / "nowhere.mp4"


@add(BAD, "circle.mp4")
def _circle(folder: Path) -> Path:
    (folder / "circle.mp4").symlink_to("circle.mp4")
    return folder / "circle.mp4"


@add(BAD, "device")
def _device(_folder: Path) -> Path:
    return Path("/dev/null")


for _name, _content in {
    "notes.mp4": b"these are words, not a film\n" * 50,
    "words.srt": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n",
    "damaged.npz": b"PK\x03\x04" + bytes(100),
    "empty.mp4": b"",
    "list.m3u8": b"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:9/a.ts\n",
    "list.pls": b"[playlist]\nFile1=a.mp3\n",
    "list.mp4": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "stream.mpd": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>\n',
    "session.sdp": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=audio 5004 RTP/AVP 96\r\n",
    "login_page.mp4": b"<!DOCTYPE html><html><body>Please log in</body></html>\n" * 20,
    "error.mp4": b'{"error": "quota exceeded"}\n',
    "paper.pdf": b"%PDF-1.7\n" + bytes(500),
    "program.exe": b"MZ" + bytes(500),
    "clips.zip": b"PK\x05\x06" + bytes(18),
    "clip.mp4.gz": b"\x1f\x8b\x08" + bytes(500),
    "drawing.svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "photo.heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(500),
    "notes.mid": b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x00\x00\x00\x00",
    "wide_text.mp4": "Hallo Welt\n".encode("utf-16") * 50,
    "one_byte.mp4": b"\x00",
}.items():

    def _with_content(folder: Path, name: str = _name, content: bytes = _content) -> Path:
        return put(folder / name, content)

    BAD[_name] = _with_content


@add(BAD, "picture.png")
def _picture(folder: Path) -> Path:
    cv2.imwrite(str(folder / "picture.png"), FACE)
    return folder / "picture.png"


@add(BAD, "socket.mp4")
def _socket(folder: Path) -> Path:
    """By a short name: those of sockets have a limit of their own."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket.mp4")
    finally:
        os.chdir(before)
    return folder / "socket.mp4"


@add(BAD, "link_to_folder.mp4")
def _link_to_folder(folder: Path) -> Path:
    (folder / "below").mkdir()
    (folder / "link_to_folder.mp4").symlink_to("below")
    return folder / "link_to_folder.mp4"
