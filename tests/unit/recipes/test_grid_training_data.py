"""What the GRID recipe makes its training batches of: pictures, sound, voices, schedules."""

import argparse
import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

GRID = Path(__file__).parents[3] / "recipes" / "grid"
SENTENCE = ("bin", "blue", "at", "f", "two", "now")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch):
    """Imports a script of the recipe, which finds its neighbours by their plain names."""
    monkeypatch.syspath_prepend(str(GRID))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


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
