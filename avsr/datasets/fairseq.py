"""Label files of fairseq and AV-HuBERT: ``test.tsv`` with the clips, ``test.wrd`` with the texts.

The first line of a ``.tsv`` is the root of its paths; each further line is an id, a video of mouth
crops, a sound file, and their lengths in frames and samples. Line n of the ``.wrd`` is the text of
clip n.
"""

from pathlib import Path

from avsr.datasets.dataset import (
    Dataset,
    DatasetBuilder,
    SourceClip,
    choose_split,
    read_label_lines,
)
from avsr.errors import UsageError
from avsr.manifest import Utterance

NAME = "fairseq"
LOOKED_FOR = "NAME.tsv (root, then id, video, audio, frames, samples) with NAME.wrd beside"


def recognises(source: Path) -> bool:
    """Whether a path is such a table, or a folder with one, that has its texts beside it."""
    return bool(_tables(source))


def read(source: Path, split: str | None = None) -> Dataset:
    """Read one table or, where no split is named, all of a folder.

    Raises:
        UsageError: if there is none, or the numbers of clips and texts differ.
    """
    tables = _tables(source)
    builder = DatasetBuilder(NAME)
    for name in choose_split(source, list(tables), split):
        _add_table(builder, tables[name])
    return builder.finish(source)


def _tables(source: Path) -> dict[str, Path]:
    found = [source] if source.is_file() else sorted(source.glob("*.tsv"))
    return {
        path.stem: path
        for path in found
        if path.suffix == ".tsv" and path.with_suffix(".wrd").is_file()
    }


def _add_table(builder: DatasetBuilder, table: Path) -> None:
    root, *lines = read_label_lines(table) or [""]
    lines = [line for line in lines if line.strip()]
    texts = read_label_lines(table.with_suffix(".wrd"))
    while len(texts) > len(lines) and not texts[-1].strip():
        texts.pop()
    if len(texts) != len(lines):
        raise UsageError(
            f"{table}: {len(lines)} clips but {len(texts)} texts in {table.stem}.wrd; they must "
            "belong together line by line"
        )
    for number, (line, text) in enumerate(zip(lines, texts, strict=True), start=2):
        fields = line.split("\t")
        if len(fields) < 3:
            place = f"{table.name} line {number}"
            builder.note("bad label", place, f"{table}: expected id, video, audio: {line!r}")
            continue
        clip_id, video, sound = fields[:3]
        sound_path = _locate(sound, root, table.parent)
        video_path = _locate(video, root, table.parent)
        parts = clip_id.split("/")
        utterance = Utterance(
            id=clip_id,
            path=video_path or sound_path or table.parent / clip_id,
            text=text.strip(),
            speaker=parts[-2] if len(parts) > 1 else None,
            audio_path=sound_path,
            cropped=video_path is not None,
        )
        builder.add(SourceClip(utterance=utterance, split=table.stem))


def _locate(name: str, root: str, folder: Path) -> Path | None:
    """A path of the table; beside the table where the root of the table is not on this machine."""
    if not name.strip():
        return None
    path = Path(root.strip()) / name
    beside = folder / Path(name).relative_to(Path(name).anchor)
    return beside if not path.exists() and beside.exists() else path
