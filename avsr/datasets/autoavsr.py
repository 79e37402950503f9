"""The tree that Auto-AVSR's preparation writes: ``labels/*.csv`` and videos of mouth crops.

A line of a label file is ``dataset,path,frames,tokens`` or, as Llama-AVSR and Omni-AVSR have it,
``dataset,path,frames,tokens,text``. The video is ``<dataset>/<path>`` below the root and the sound
a ``.wav`` beside it. Token ids belong to one tokenizer and are not used: where the text is not in
the line, it is read from the tree of texts (``..._text_...`` beside ``..._video_...``).
"""

import re
from pathlib import Path

from avsr.datasets.dataset import Dataset, DatasetBuilder, SourceClip, read_label_lines
from avsr.errors import UsageError
from avsr.manifest import Utterance

NAME = "autoavsr"
LOOKED_FOR = "labels/*.csv (dataset,path,frames,tokens[,text]) with the videos below the same root"


def recognises(source: Path) -> bool:
    """Whether a path is such a label file, or a root with some."""
    return any(_is_label_file(path) for path in _label_files(source))


def read(source: Path, split: str | None = None) -> Dataset:
    """Read one label file of such a tree; ids are like those of the raw corpora, ``test/...``.

    Args:
        source: the root, or a label file in its folder ``labels``.
        split: the label file whose name has this part, such as ``test`` for
            ``lrs3_test_transcript.csv``; None where there is only one.

    Raises:
        UsageError: if no single label file is meant or it holds no text.
    """
    labels = _choose_label_file(source, split)
    root = labels.parent.parent if labels.parent.name == "labels" else labels.parent
    builder = DatasetBuilder(NAME)
    for number, line in enumerate(read_label_lines(labels), start=1):
        if not line.strip():
            continue
        fields = line.split(",", 4)  # a text may have commas of its own
        if len(fields) < 4:
            place = f"{labels.name} line {number}"
            builder.note("bad label", place, f"{labels}: expected at least 4 columns: {line!r}")
            continue
        corpus, name = fields[0], fields[1]
        media = root / corpus / name
        clip_id = _clip_id(name)
        text = fields[4] if len(fields) == 5 else _text_beside(root / corpus, name)
        if text is None:
            builder.note("missing label", clip_id, f"{media}: no text in {labels.name}, no .txt")
            continue
        sound = media.with_suffix(".wav")
        utterance = Utterance(
            id=clip_id,
            path=media,
            text=" ".join(text.split()),
            speaker=media.parent.name,
            audio_path=sound if sound.exists() else None,
            cropped=True,
        )
        builder.add(SourceClip(utterance=utterance, split=split))
    return builder.finish(labels)


def _clip_id(name: str) -> str:
    parts = Path(name).with_suffix("").parts
    return "/".join(parts[1:] if len(parts) > 1 and "_video_" in parts[0] else parts)


def _text_beside(corpus: Path, name: str) -> str | None:
    path = (corpus / name.replace("_video_", "_text_", 1)).with_suffix(".txt")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None


def _label_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".csv" else []
    return sorted((source / "labels").glob("*.csv")) or sorted(source.glob("*.csv"))


def _is_label_file(path: Path) -> bool:
    first = next((line for line in read_label_lines(path) if line.strip()), "")
    fields = first.split(",", 4)
    return len(fields) >= 4 and Path(fields[1]).suffix in (".mp4", ".avi", ".mkv")


def _choose_label_file(source: Path, split: str | None) -> Path:
    there = _label_files(source)
    if not there:
        raise UsageError(f"{source}: no label file here; expected {LOOKED_FOR}")
    chosen = [
        path for path in there if split is None or split in re.split(r"[_\-.]", path.stem.lower())
    ]
    if len(chosen) != 1:
        names = ", ".join(path.name for path in chosen or there)
        raise UsageError(
            f"{source}: {'several label files' if chosen else f'no label file for {split!r}'} "
            f"({names}); name a split that one of them is of, or give the file itself",
            settings=("split",),
        )
    return chosen[0]
