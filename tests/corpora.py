"""Corpora in the layouts people have them in, arranged around any media files."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LRS_HEADER = "WORD START END ASDSCORE"


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A clip to arrange: its files, its text, and (word, start, end) in seconds."""

    media: Path
    text: str
    words: Sequence[tuple[str, float, float]] = ()
    mouth: Path | None = None
    sound: Path | None = None


def lrs_text(spoken: Spoken) -> str:
    """A text file of LRS2 and LRS3, with the word table where times are known."""
    lines = [f"Text:  {spoken.text.upper()}", "Conf:  4"]
    if spoken.words:
        rows = (f"{word.upper()} {start:.2f} {end:.2f} 5.1" for word, start, end in spoken.words)
        lines += ["", LRS_HEADER, *rows]
    return "\n".join(lines) + "\n"


def put_lrs_clip(folder: Path, number: str, spoken: Spoken) -> None:
    """``FOLDER/NUMBER.mp4`` and ``.txt``."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(spoken.media, folder / f"{number}.mp4")
    (folder / f"{number}.txt").write_text(lrs_text(spoken))


def arrange_lrs3(root: Path, splits: Mapping[str, Sequence[Spoken]]) -> Path:
    """``{pretrain,trainval,test}/<video>/<number>.{mp4,txt}``."""
    for split, clips in splits.items():
        for number, spoken in enumerate(clips):
            put_lrs_clip(root / split / "0Fi83BHQsMA", f"{number:05d}", spoken)
    return root


def arrange_lrs2(root: Path, splits: Mapping[str, Sequence[Spoken]]) -> Path:
    """``mvlrs_v1/{main,pretrain}/<video>/<number>.{mp4,txt}`` and the list files."""
    root.mkdir(parents=True, exist_ok=True)
    for split, clips in splits.items():
        part = "pretrain" if split == "pretrain" else "main"
        names = []
        for number, spoken in enumerate(clips):
            video = f"55354157{len(split)}"
            put_lrs_clip(root / "mvlrs_v1" / part / video, f"{number:05d}", spoken)
            names.append(f"{video}/{number:05d}" + (" NF" if split == "test" else ""))
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


def arrange_autoavsr(root: Path, clips: Sequence[Spoken], *, columns: int = 4) -> Path:
    """``labels/lrs3_test_transcript...csv``, videos of mouth crops, sounds and texts."""
    (root / "labels").mkdir(parents=True)
    rows = []
    for number, spoken in enumerate(clips):
        name = f"test/0Fi83BHQsMA/{number:05d}"
        video = root / "lrs3" / "lrs3_video_seg16s" / f"{name}.mp4"
        text = root / "lrs3" / "lrs3_text_seg16s" / f"{name}.txt"
        for path in (video, text):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(spoken.mouth or spoken.media, video)
        if spoken.sound is not None:
            shutil.copy(spoken.sound, video.with_suffix(".wav"))
        row = f"lrs3,lrs3_video_seg16s/{name}.mp4,75,12 7 9"
        if columns == 5:
            row += f",{spoken.text.lower()}"
        else:
            text.write_text(spoken.text.upper())
        rows.append(row)
    stem = "lrs3_test_transcript_lengths_seg16s" if columns == 4 else "lrs3_test_transcript"
    (root / "labels" / f"{stem}.csv").write_text("\n".join(rows) + "\n")
    return root


def arrange_fairseq(root: Path, clips: Sequence[Spoken]) -> Path:
    """``test.tsv`` and ``test.wrd``, with the root of another machine in the first line."""
    rows, texts = ["/"], []
    for number, spoken in enumerate(clips):
        name = f"test/0Fi83BHQsMA/{number:05d}"
        video, sound = root / "video" / f"{name}.mp4", root / "audio" / f"{name}.wav"
        for path in (video, sound):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(spoken.mouth or spoken.media, video)
        shutil.copy(spoken.sound or spoken.media, sound)
        rows.append(f"{name}\t/video/{name}.mp4\t/audio/{name}.wav\t75\t48000")
        texts.append(spoken.text.lower())
    (root / "test.tsv").write_text("\n".join(rows) + "\n")
    (root / "test.wrd").write_text("\n".join(texts) + "\n")
    return root


def arrange_grid(root: Path, clips: Mapping[str, Spoken]) -> Path:
    """``s1/CODE.mpg`` and ``alignments/s1/CODE.align``."""
    for code, spoken in clips.items():
        video, align = root / "s1" / f"{code}.mpg", root / "alignments" / "s1" / f"{code}.align"
        for path in (video, align):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(spoken.media, video)
        ticks = [(round(s * 25_000), round(e * 25_000), word) for word, s, e in spoken.words]
        rows = [(0, ticks[0][0], "sil"), *ticks, (ticks[-1][1], 75_000, "sil")]
        align.write_text("".join(f"{start} {end} {word}\n" for start, end, word in rows))
    return root
