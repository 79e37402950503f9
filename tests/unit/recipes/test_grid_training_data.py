"""What the GRID recipe trains on, pictures, sound, voices, schedules, and its last stage."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avsr.cli import run
from avsr.clips.clip import Clip, load_clip, save_clip
from avsr.manifest import read_manifest
from avsr.pretrained import load_model
from avsr.training.trained_weights import part_of

GRID = Path(__file__).parents[3] / "recipes" / "grid"
SENTENCE = ("bin", "blue", "at", "f", "two", "now")
RECIPE_FOLDERS = ("grid",)


@pytest.fixture
def corpus_folder(tmp_path: Path) -> Path:
    """Two clips of a buzzing voice and of pictures whose pixels count the frames."""
    times = np.arange(48_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 20))
    audio = np.stack([buzz, buzz * 0.5]) * 6000
    np.save(tmp_path / "audio.npy", audio.astype(np.int16))
    frames = np.arange(75, dtype=np.uint8)[None, :, None, None] * np.ones((2, 1, 96, 96), np.uint8)
    np.save(tmp_path / "mouth.npy", frames)
    words = [[word, 0.5 + 0.3 * i, 0.8 + 0.3 * i] for i, word in enumerate(SENTENCE)]
    line = {"text": " ".join(SENTENCE), "speaker": "s1", "words": words}
    rows = [json.dumps({"id": f"clip{i}"} | line) for i in range(2)]
    (tmp_path / "manifest.jsonl").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_pictures_of_full_strength_differ_and_of_none_are_the_centre(recipe) -> None:
    pictures = recipe("video_augmentation")
    clips = np.random.default_rng(0).integers(0, 255, (2, 5, 96, 96), dtype=np.uint8)
    plain = pictures.augment_pictures(clips, 0.0, np.random.default_rng(1))
    centre = (clips[:, :, None, 16:80, 16:80] / 255 - pictures.GREY_MEAN) / pictures.GREY_STD
    np.testing.assert_allclose(plain.numpy(), centre, atol=1e-5)
    once = pictures.augment_pictures(clips, 1.0, np.random.default_rng(1))
    again = pictures.augment_pictures(clips, 1.0, np.random.default_rng(1))
    assert once.shape == plain.shape
    assert (once == again).all()
    assert not np.allclose(once.numpy(), plain.numpy())


def test_an_identity_view_takes_the_centre(recipe) -> None:
    pictures = recipe("video_augmentation")

    class Still:
        """The tenth of all clips that is neither moved nor turned, unmirrored."""

        def random(self) -> float:
            return 0.99

        def uniform(self, low: float, high: float, size: int | None = None):
            return high if size is None else np.full(size, high)

    view = pictures._random_view(1.0, Still())
    np.testing.assert_allclose(view, [[1, 0, 16], [0, 1, 16]], atol=1e-9)


def test_a_batch_labels_the_frames_of_its_words(recipe, corpus_folder: Path) -> None:
    corpora, streams = recipe("corpus"), recipe("streams")
    corpus = corpora.load_corpus(corpus_folder)
    sampler = streams.StreamSampler("video", [corpus], {}, None, seed=0)
    batch = sampler.draw(0, 3, [1.0], strength=0.0)
    again = sampler.draw(0, 3, [1.0], strength=0.0)
    assert (batch.inputs == again.inputs).all()
    assert batch.inputs.shape[:2] == batch.words.shape
    for row in batch.words.tolist():
        heard = [corpora.WORDS[label] for label in row]
        order = [word for word, before in zip(heard[1:], heard, strict=False) if word != before]
        assert [word for word in order if word != "<silence>"] == list(SENTENCE)


def test_a_second_cycle_starts_anew_and_only_after_the_first(recipe) -> None:
    training = recipe("train_encoder")
    args = argparse.Namespace(
        steps=1000, restart_at=0, shares=[0.5, 0.5], first=1, learning_rate=1.0
    )
    assert training.schedule(0, args)[1:] == (0.0, [0.0, 1.0])
    assert training.schedule(500, args)[0] == 1.0
    assert training.schedule(999, args)[0] < 0.05
    args.restart_at, args.steps = 1000, 2000
    assert training.schedule(1500, args) == (1.0, 1.0, [0.5, 0.5])
    with pytest.raises(SystemExit, match="train 1000 steps before"):
        training.schedule(400, args)


def test_other_voices_keep_the_words_and_share_the_pictures(
    recipe, corpus_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    pytest.importorskip("pyworld", reason="pip install pyworld for the voices of the GRID recipe")
    revoice = recipe("revoice")
    out = tmp_path / "voices"
    words = ["--corpus", str(corpus_folder), "--out", str(out), "--voices", "3", "--jobs", "1"]
    monkeypatch.setattr("sys.argv", ["revoice.py", *words])
    revoice.main()
    voices, real = recipe("corpus").load_corpus(out), recipe("corpus").load_corpus(corpus_folder)
    assert len(voices) == 6
    assert [line["words"] for line in voices.lines[:2]] == [line["words"] for line in real.lines]
    assert (voices.pictures(3) == real.pictures(1)).all()
    peaks = [np.abs(np.fft.rfft(voices.audio[2 * v])[60:900]).argmax() / 3 + 20 for v in range(3)]
    assert len({round(peak) for peak in peaks}) == 3, "each voice has a pitch of its own"
    assert all(75 < peak < 280 for peak in peaks)


def test_prepared_clips_become_a_corpus(recipe, tmp_path: Path, capsys) -> None:
    clips, out = tmp_path / "clips", tmp_path / "corpus"
    clips.mkdir()
    mouth = np.arange(74, dtype=np.uint8)[:, None, None] * np.ones((1, 96, 96), np.uint8)
    sound = np.linspace(-0.5, 0.5, 50_000, dtype=np.float32)
    lines = []
    for name, contents in {
        "s1_bbaf2n": Clip(audio=sound, mouth=mouth),
        "s1_bbaf3s": Clip(audio=sound, mouth=mouth),
        "s1_bbaf4p": Clip(audio=sound),
    }.items():
        save_clip(clips / f"{name}.npz", contents, [name])
        line = {"id": name, "path": f"{name}.npz", "text": " ".join(SENTENCE), "speaker": "s1"}
        lines.append(json.dumps(line | ({"words": [["bin", 0.5, 0.8]]} if "2n" in name else {})))
    (clips / "manifest.jsonl").write_text("\n".join(lines))
    table = tmp_path / "alignments.tsv"
    table.write_text(
        "speaker\tcode\twords\ttimings\ns1\tbbaf3s\tbin\t0:25000:sil 25000:50000:bin\n"
    )
    collecting = recipe("collect")
    out.mkdir()
    left_out = collecting.collect(clips, collecting.load_alignments(table), out)
    assert left_out == ["s1_bbaf4p: lacks sound, lips or word times"]
    corpus = recipe("corpus").load_corpus(out)
    assert [line["words"] for line in corpus.lines] == [[["bin", 0.5, 0.8]], [["bin", 1.0, 2.0]]]
    assert corpus.audio.shape == (2, 48_000)
    assert corpus.pictures(1)[[0, 73, 74], 0, 0].tolist() == [0, 73, 73]  # the last one stays
    np.testing.assert_allclose(corpus.audio[0] / 32767, sound[:48_000], atol=1e-4)


def test_the_adapter_stage_trains_on_exported_clips(
    recipe, corpus_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    sets = {"clips": "2", "dev": "1"}
    for name, count in sets.items():
        words = ["--corpora", str(corpus_folder), "--counts", count, "--jobs", "1"]
        monkeypatch.setattr("sys.argv", ["export_clips.py", *words, "--out", str(tmp_path / name)])
        recipe("export_clips").main()
    utterances = read_manifest(tmp_path / "clips" / "manifest.jsonl")
    assert [utterance.text for utterance in utterances] == [" ".join(SENTENCE)] * 2
    exported = load_clip(utterances[0].path)
    assert exported.mouth is not None
    assert (exported.mouth == recipe("corpus").load_corpus(corpus_folder).pictures(0)).all()
    changes = [f"output={tmp_path / 'run'}", "init.model=grid-tiny", "device=cpu",
               f"data.train=[{tmp_path / 'clips' / 'manifest.jsonl'}]",
               f"data.dev={tmp_path / 'dev' / 'manifest.jsonl'}",
               "optimizer.max_steps=1", "checkpoint.every=1", "optimizer.warmup_steps=0",
               "checkpoint.average=1", "augmentation.noise=[]"]  # fmt: skip
    assert run(["train", str(GRID / "adapters.yaml"), *changes]) == 0
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"ce_asr", "ce_vsr", "ce_avsr", "decorrelation_avsr", "ctc_audio", "ctc_video"} <= set(
        log[0]
    )
    before, after = (load_model(name, device="cpu") for name in
                     ("grid-tiny", tmp_path / "run" / "model"))  # fmt: skip
    changed = {
        part_of(name)
        for name, tensor in after.model.named_parameters()
        if not torch.equal(tensor, before.model.get_parameter(name))
    }
    assert changed == {"projectors", "lora", "ctc_heads"}


def test_a_second_cycle_keeps_the_phones_of_the_first(recipe, tmp_path: Path) -> None:
    number = recipe("corpus").phone_inventory
    first = [{"phones": [["b", 0.0, 0.1], ["I", 0.1, 0.2]]}]
    assert number(first, tmp_path / "audio" / "phones.json") == {"I": 1, "b": 2}
    more = [*first, {"phones": [["a", 0.0, 0.1]]}, {}]
    assert number(more, tmp_path / "audio" / "phones.json") == {"I": 1, "b": 2}
