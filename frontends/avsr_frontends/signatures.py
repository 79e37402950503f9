"""What a file is by its content, before anything decodes it: media, a playlist, encrypted."""

import re
from pathlib import Path

_HEAD_BYTES = 4096
_STARTS = (
    b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"FLV", b"ID3", b"caff", b"RF64", b"#!AMR", b".RMF",
    b".snd", b"MAC ", b"wvpk", b"DKIF", b"YUV4MPEG2",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF
    b"\x06\x0e\x2b\x34",  # MXF
    b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3",  # MPEG program and video streams
    b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2",  # MP3
    b"\xff\xf1", b"\xff\xf9",  # ADTS
)  # fmt: skip
_CHUNKED = {b"RIFF": (b"AVI ", b"WAVE", b"CDXA"), b"FORM": (b"AIFF", b"AIFC")}
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
_PICTURES = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"crx ")  # brands
_TS_BYTES = (188, 192, 204)  # sizes of a transport stream's packets
_PLAYLIST = re.compile(
    rb"#EXTM3U|\[playlist\]|ffconcat version|v=0\r?\no=|<asx|<smil|<MPD"
    rb"|<\?xml[^>]*>\s*(<!--.*?-->\s*)?<(MPD|playlist|smil|asx)\b",
    re.IGNORECASE | re.DOTALL,
)
_PLAYLIST_SUFFIXES = frozenset((".m3u", ".m3u8", ".pls", ".xspf", ".asx", ".mpd", ".smil", ".sdp"))
_SCHEMES = re.compile(rb"schm.{4}(cenc|cbc1|cens|cbcs|itun|piff|adkm|odkm)", re.DOTALL)
_ENCRYPTED_ENTRIES = re.compile(rb"stsd.{8}.{4}(drms|drmi|aavd|encv|enca)", re.DOTALL)
_LARGEST_INDEX = 1 << 26  # bytes of an MP4's index that are looked at


def looks_like_media(path: Path) -> bool:
    """Whether a file begins as a well-known container of sound or moving pictures does.

    Raises:
        OSError: if it cannot be read.
    """
    head = _head(path)
    if head[4:8] in _BOXES:
        return head[8:12] not in _PICTURES
    if head.startswith(_STARTS) or head[8:12] in _CHUNKED.get(head[:4], ()):
        return True
    return any(_is_transport_stream(head, size) for size in _TS_BYTES)


def is_playlist(path: Path) -> bool:
    """Whether a file only names other files or addresses.

    Raises:
        OSError: if it cannot be read.
    """
    head = _head(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    if _PLAYLIST.match(head):
        return True
    return path.suffix.lower() in _PLAYLIST_SUFFIXES and b"\x00" not in head


def is_encrypted(path: Path) -> bool:
    """Whether the index of an MP4 file says that its tracks are encrypted (DRM).

    Raises:
        OSError: if it cannot be read.
    """
    index = _mp4_index(path)
    return bool(_SCHEMES.search(index) or _ENCRYPTED_ENTRIES.search(index))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _is_transport_stream(head: bytes, size: int) -> bool:
    first = 4 if size == 192 else 0  # M2TS: a time before each packet
    marks = head[first::size][:5]
    return len(marks) == 5 and set(marks) == {0x47}


def _mp4_index(path: Path) -> bytes:
    """The box ``moov``; empty where there is none."""
    with path.open("rb") as file:
        place = 0
        while len(head := file.read(16)) == 16:
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if size == 1:
                size = int.from_bytes(head[8:16], "big")
            if kind == b"moov":
                file.seek(place)
                return file.read(min(size or _LARGEST_INDEX, _LARGEST_INDEX))
            if size < 8:  # to the end of the file, or damaged
                break
            place += size
            file.seek(place)
    return b""
