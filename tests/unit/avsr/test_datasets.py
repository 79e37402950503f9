"""Reading corpora in each layout: ids, texts, files, and what is wrong with labels."""

import json
from pathlib import Path

import pytest

from avsr.datasets import LAYOUTS, read_dataset
from avsr.datasets.detect import detect_layout
from avsr.errors import UsageError
from tests.corpora import (
    Spoken,
    arrange_autoavsr,
    arrange_fairseq,
    arrange_grid,
    arrange_lrs2,
    arrange_lrs3,
)

WORDS = [("bin", 0.92, 1.1), ("blue", 1.1, 1.3), ("at", 1.3, 1.4), ("f", 1.4, 1.52),
         ("two", 1.52, 1.72), ("now", 1.72, 2.2)]  # fmt: skip


@pytest.fixture
def spoken(tmp_path: Path) -> Spoken:
    """A clip whose media are empty files: readers of labels must not open them."""
    for name in ("clip.mp4", "clip.wav"):
        (tmp_path / name).touch()
    return Spoken(
        media=tmp_path / "clip.mp4",
        text="bin blue at f two now",
        words=WORDS,
        sound=tmp_path / "clip.wav",
    )


def _problems(source: Path, split: str | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in read_dataset(source, split=split).problems:
        found.setdefault(problem.kind, []).append(problem.id)
    return found


def test_lrs3_splits_and_word_times(tmp_path: Path, spoken: Spoken) -> None:
    splits = {"pretrain": [spoken], "trainval": [spoken], "test": [spoken, spoken]}
    root = arrange_lrs3(tmp_path / "lrs3", splits)
    dataset = read_dataset(root)
    assert dataset.layout == "lrs3"
    assert [clip.utterance.id for clip in dataset.clips] == [
        "pretrain/0Fi83BHQsMA/00000",
        "trainval/0Fi83BHQsMA/00000",
        "test/0Fi83BHQsMA/00000",
        "test/0Fi83BHQsMA/00001",
    ]
    first = dataset.clips[0]
    assert first.utterance.text == "BIN BLUE AT F TWO NOW"
    assert first.utterance.speaker == "0Fi83BHQsMA"
    assert [(w.text.lower(), w.start, w.end) for w in first.words] == WORDS
    assert [clip.is_long for clip in dataset.clips] == [True, False, False, False]
    assert len(read_dataset(root, split="test").clips) == 2
    alone = read_dataset(root / "test")
    assert [clip.utterance.id for clip in alone.clips] == [
        "test/0Fi83BHQsMA/00000",
        "test/0Fi83BHQsMA/00001",
    ]
    with pytest.raises(UsageError, match=r"no split 'dev' here; there are: pretrain, trainval"):
        read_dataset(root, split="dev")


def test_lrs3_labels_that_cannot_be_used_are_listed(tmp_path: Path, spoken: Spoken) -> None:
    root = arrange_lrs3(tmp_path / "lrs3", {"test": [spoken] * 5})
    folder = root / "test" / "0Fi83BHQsMA"
    (folder / "00001.txt").unlink()
    (folder / "00002.txt").write_text("Text:  \nConf: 4\n")
    (folder / "00003.txt").write_text("Text: {LG} A\n\nWORD START END ASDSCORE\nA 0.x 1 2\n")
    (folder / "00004.txt").write_text("Text:  {LG} IT'S\n")
    assert _problems(root) == {
        "missing label": ["test/0Fi83BHQsMA/00001"],
        "empty text": ["test/0Fi83BHQsMA/00002"],
        "bad label": ["test/0Fi83BHQsMA/00003"],
    }
    last = read_dataset(root).clips[-1].utterance
    assert last.text == "LG IT'S"  # as the published labels
    last.path.unlink()  # a clip without its video still counts: it fails later, visibly
    assert read_dataset(root).utterances[-1] == last


def test_lrs2_follows_its_lists(tmp_path: Path, spoken: Spoken) -> None:
    splits = {"pretrain": [spoken], "train": [spoken], "val": [spoken], "test": [spoken] * 2}
    root = arrange_lrs2(tmp_path / "lrs2", splits)
    assert detect_layout(root) == "lrs2"
    test = read_dataset(root, split="test")
    assert [clip.utterance.id for clip in test.clips] == [
        "main/553541574/00000",
        "main/553541574/00001",
    ]
    pretrain = read_dataset(root, "lrs2", "pretrain").clips
    assert [(c.utterance.id, c.is_long) for c in pretrain] == [("pretrain/553541578/00000", True)]
    test.clips[0].utterance.path.unlink()  # the list still counts it: it fails later, visibly
    assert len(read_dataset(root, split="test").clips) == 2
    with (root / "test.txt").open("a") as lines:
        lines.write("553541574/00000 NF\n")
    assert _problems(root, "test") == {"duplicate id": ["main/553541574/00000"]}


@pytest.mark.parametrize("columns", [4, 5])
def test_autoavsr_labels(tmp_path: Path, spoken: Spoken, columns: int) -> None:
    root = arrange_autoavsr(tmp_path / "root", [spoken], columns=columns)
    (label,) = (root / "labels").glob("*.csv")
    for source in (root, label):
        dataset = read_dataset(source, split="test")
        assert dataset.layout == "autoavsr"
        (utterance,) = dataset.utterances
        assert utterance.id == "test/0Fi83BHQsMA/00000"
        assert utterance.text.lower() == spoken.text
        assert utterance.cropped
        assert utterance.audio_path == utterance.path.with_suffix(".wav")
        assert utterance.path.exists()


def test_autoavsr_text_may_have_commas_and_needs_one_label_file(
    tmp_path: Path, spoken: Spoken
) -> None:
    root = arrange_autoavsr(tmp_path / "root", [spoken], columns=5)
    (label,) = (root / "labels").glob("*.csv")
    label.write_text(label.read_text().replace("bin blue", "bin, blue"))
    assert read_dataset(root).utterances[0].text == "bin, blue at f two now"
    (root / "labels" / "lrs3_train_transcript.csv").write_text("lrs3,a.mp4,75,1,x\n")
    with pytest.raises(UsageError, match=r"several label files .*name a split"):
        read_dataset(root)
    assert read_dataset(root, split="train").utterances[0].text == "x"
    label.write_text("lrs3,a.mp4,75,1\nlrs3\n")
    with pytest.raises(UsageError, match="1 missing label, 1 bad label"):
        read_dataset(root, split="test")


def test_fairseq_tables(tmp_path: Path, spoken: Spoken) -> None:
    root = arrange_fairseq(tmp_path / "data", [spoken, spoken])
    dataset = read_dataset(root)
    assert dataset.layout == "fairseq"
    second = dataset.utterances[1]
    assert (second.id, second.text) == ("test/0Fi83BHQsMA/00001", spoken.text)
    assert second.cropped
    assert second.path == root / "video/test/0Fi83BHQsMA/00001.mp4"  # its first line names "/"
    assert second.audio_path == root / "audio/test/0Fi83BHQsMA/00001.wav"
    assert read_dataset(root / "test.tsv").utterances == dataset.utterances
    (root / "test.wrd").write_text("one text\n")
    with pytest.raises(UsageError, match="2 clips but 1 texts"):
        read_dataset(root)


def test_grid_sentences_and_word_times(tmp_path: Path, spoken: Spoken) -> None:
    root = arrange_grid(tmp_path / "grid", {"bbaf2n": spoken})
    (root / "s2").mkdir()
    (root / "s2" / "lwiz9a.mpg").touch()
    dataset = read_dataset(root)
    assert dataset.layout == "grid"
    first, second = dataset.clips
    assert (first.utterance.id, first.utterance.text) == ("s1_bbaf2n", "bin blue at f two now")
    assert [(w.text, w.start, w.end) for w in first.words] == WORDS
    assert second.utterance.text == "lay white in z nine again"
    assert second.utterance.speaker == "s2"
    assert len(read_dataset(root, split="s2").clips) == 1
    assert len(read_dataset(root / "s1").clips) == 1


def test_plain_folders(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    (root / "anna").mkdir(parents=True)
    for name in ("a.mp4", "anna/b.MOV", "anna/b.wav", "c.wav", "d.mp4"):
        (root / name).touch()
    (root / "a.txt").write_text("Text: one two\n")
    (root / "anna" / "b.txt").write_text("three\nfour\n")
    (root / "c.txt").write_text(" \n")
    dataset = read_dataset(root)
    assert dataset.layout == "folder"
    assert [(u.id, u.text, u.speaker) for u in dataset.utterances] == [
        ("a", "one two", None),
        ("anna/b", "three four", "anna"),
        ("c", "", None),
    ]
    assert [u.id for u in dataset.spoken] == ["a", "anna/b"]
    assert dataset.utterances[1].audio_path == root / "anna" / "b.wav"
    assert _problems(root) == {"empty text": ["c"], "missing label": ["d"]}
    assert [u.id for u in read_dataset(root, split="anna").utterances] == ["anna/b"]


def test_manifests_with_bad_lines(tmp_path: Path) -> None:
    lines = [
        {"id": "a", "path": "a.mp4", "text": "x", "words": [["x", 0, 1]], "split": "dev"},
        {"id": "a", "path": "b.mp4", "text": "x"},
        {"id": "c", "path": "c.mp4", "text": " "},
        {"id": "d", "path": "d.mp4"},
        {"id": "e", "text": "x"},
        {"id": "f", "path": "f.mp4", "text": "x", "audio": "f.wav", "cropped": True},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join([*map(json.dumps, lines), "{"]))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "jsonl"
    first, silent, last = dataset.clips
    assert (silent.utterance.id, silent.utterance.text.strip()) == ("c", "")
    assert (first.split, first.words[0].end) == ("dev", 1.0)
    assert (last.utterance.audio_path, last.utterance.cropped) == (tmp_path / "f.wav", True)
    assert _problems(manifest) == {
        "duplicate id": ["a"],
        "empty text": ["c"],
        "missing label": ["d"],
        "bad label": ["e", "manifest.jsonl line 7"],
    }
    (tmp_path / "test.jsonl").write_text(json.dumps(lines[4] | {"path": "t.mp4"}))
    assert [u.id for u in read_dataset(tmp_path, split="test").utterances] == ["e"]


def test_nothing_recognised_lists_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(UsageError, match="no layout recognised") as caught:
        read_dataset(tmp_path)
    assert all(f"{name}: {layout.looked_for}" in str(caught.value)
               for name, layout in LAYOUTS.items())  # fmt: skip
    with pytest.raises(UsageError, match="layout must be one of auto, jsonl"):
        read_dataset(tmp_path, "kaldi")
    with pytest.raises(UsageError, match="no such file or folder"):
        read_dataset(tmp_path / "none")
