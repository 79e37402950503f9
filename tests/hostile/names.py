"""Names."""

import os
from pathlib import Path

from tests.clips import write_clip
from tests.hostile.makers import GOOD, VOICE, add, add_clip, put, whole_clip

add_clip(GOOD, "line\nbreak and \N{MOUTH}.wav", sound=VOICE)
add_clip(GOOD, "[draft] what*?.wav", sound=VOICE)
add_clip(GOOD, "-rf.wav", sound=VOICE)
add_clip(GOOD, "n" * 240 + ".wav", sound=VOICE)


@add(GOOD, "latin1.wav")
def _latin1(folder: Path) -> Path:
    path = Path(os.fsdecode(bytes(folder) + b"/caf\xe9.wav"))  # no UTF-8
    write_clip(folder / "_latin1.wav", sound=VOICE).rename(path)
    return path


@add(GOOD, "video_called.wav")
def _wrong_extension(folder: Path) -> Path:
    return put(folder / "video_called.wav", whole_clip(folder))


@add(GOOD, "no_extension")
def _no_extension(folder: Path) -> Path:
    return put(folder / "no_extension", whole_clip(folder))


@add(GOOD, "link.mp4")
def _link(folder: Path) -> Path:
    whole_clip(folder)
    path = folder / "link.mp4"
    path.symlink_to("_whole.mp4")
    return path


add_clip(GOOD, "at 12:30:05.wav", sound=VOICE)
add_clip(GOOD, "http:not.wav", sound=VOICE)
add_clip(GOOD, "part%03d.wav", sound=VOICE)
add_clip(GOOD, ".hidden.wav", sound=VOICE)
add_clip(GOOD, "two\ttabs and 'quotes\" $HOME.wav", sound=VOICE)
add_clip(GOOD, "\N{RIGHT-TO-LEFT OVERRIDE}vaw.wav", sound=VOICE)
