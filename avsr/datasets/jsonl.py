"""Our own manifests, JSON Lines: a file, or a folder with ``manifest.jsonl`` or one per split."""

import json
from pathlib import Path

from avsr.datasets.dataset import (
    Dataset,
    DatasetBuilder,
    SourceClip,
    TimedWord,
    choose_split,
    read_label_lines,
)
from avsr.manifest import parse_line

NAME = "jsonl"
LOOKED_FOR = "manifest.jsonl, or NAME.jsonl for each split (id, path, text)"
_DEFAULT = "manifest"


def recognises(source: Path) -> bool:
    """Whether a path is a manifest or a folder with one."""
    if source.is_file() and source.suffix != ".jsonl":
        with source.open("rb") as file:
            head = file.read(200).lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
        return head.startswith((b"{", b"["))
    return bool(_manifests(source))


def read(source: Path, split: str | None = None) -> Dataset:
    """Read a manifest; unlike :func:`avsr.manifest.read_manifest`, bad lines are noted and left.

    Args:
        source: the manifest, or the folder with it.
        split: reads ``SPLIT.jsonl``; None reads ``manifest.jsonl`` or, without one, all there are.

    Raises:
        UsageError: if there is no such manifest or it holds no clip.
    """
    manifests = _manifests(source)
    if split is None and _DEFAULT in manifests:
        split = _DEFAULT
    builder = DatasetBuilder(NAME)
    for name in choose_split(source, list(manifests), split):
        _add_manifest(builder, manifests[name], None if name == _DEFAULT else name)
    return builder.finish(source)


def _manifests(source: Path) -> dict[str, Path]:
    """Manifests by name: the file itself, or those in the folder that are called so."""
    found = [source] if source.is_file() else sorted(source.glob("*.jsonl"))
    return {path.stem: path for path in found}


def _add_manifest(builder: DatasetBuilder, path: Path, split: str | None) -> None:
    for number, line in enumerate(read_label_lines(path), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        known = entry if isinstance(entry, dict) else {}
        place = str(known.get("id", f"{path.name} line {number}"))
        if known.get("text") is None and "id" in known:
            builder.note("missing label", place, f"{path} line {number}: no text")
            continue
        try:
            utterance = parse_line(line, path.parent)
            words = tuple(
                TimedWord(text=str(word), start=float(start), end=float(end))
                for word, start, end in known.get("words") or ()
            )
        except (ValueError, TypeError) as error:
            builder.note("bad label", place, f"{path} line {number}: {error}")
            continue
        builder.add(SourceClip(utterance=utterance, words=words, split=known.get("split") or split))
