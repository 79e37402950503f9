"""The synthetic corpus: times, closed lips, separate splits, repeatable files, a face to find."""

import importlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="needs the extra 'recipes'")
pytest.importorskip("skimage", reason="needs the extra 'recipes'")

RECIPE = Path(__file__).parents[2] / "recipes" / "synthetic"
MODULES = (
    "articulation",
    "clips",
    "crops",
    "face",
    "looks",
    "portrait",
    "sentences",
    "skin",
    "speech",
)
SENTENCE = ["place", "blue", "by", "m", "two", "please"]


@pytest.fixture(scope="module")
def recipe() -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        modules = {
            name: importlib.import_module(name)
            for name in (*MODULES, "generate", "video", "voices")
        }
        yield SimpleNamespace(**modules)


def manifest(folder: Path) -> list[dict]:
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_phones_fill_their_words_and_stay_inside_the_clip(recipe):
    rng = random.Random(0)
    sentences = recipe.sentences.grid_sentences("train", rng)
    for words in (next(sentences) for _ in range(10)):
        voice = recipe.voices.sample_voice("train", rng)
        spoken = recipe.sentences.grid_spoken(words)
        speech = recipe.clips.say(words, voice, rng, spoken=spoken, duration_s=3.0)
        assert len(speech.samples) == 48_000
        assert [word.label for word in speech.words] == words
        edges = [edge for phone in speech.phones for edge in (phone.start, phone.end)]
        assert edges == sorted(edges)
        assert edges[0] > 0
        assert edges[-1] < 3.0
        starts = {phone.start for phone in speech.phones}
        assert all(word.start in starts for word in speech.words)


def test_sound_is_where_the_phones_are(recipe):
    speech = recipe.speech.synthesise(SENTENCE, recipe.speech.Voice(variant="m1"))
    loud = np.abs(speech.samples) > 0.05
    times = np.flatnonzero(loud) / recipe.speech.SAMPLE_RATE
    assert speech.words[0].start - 0.01 <= times[0] <= speech.words[0].end
    assert speech.words[-1].start <= times[-1] <= speech.words[-1].end + 0.01


def test_letters_have_british_names(recipe):
    american = recipe.speech.Voice(variant="m1", accent="en-us")
    for letter, phones in (("a", ["eI"]), ("z", ["z", "E", "d"])):
        words = ["bin", "blue", "at", letter, "two", "now"]
        speech = recipe.speech.synthesise(
            words, american, spoken=recipe.sentences.grid_spoken(words)
        )
        word = speech.words[3]
        inside = [p.label for p in speech.phones if word.start <= p.start < word.end]
        assert inside == phones


def test_speech_does_not_depend_on_what_was_spoken_before(recipe):
    voice = recipe.speech.Voice(variant="f2")
    first = recipe.speech.synthesise(SENTENCE, voice)
    recipe.speech.synthesise(["again"], voice)
    np.testing.assert_array_equal(recipe.speech.synthesise(SENTENCE, voice).samples, first.samples)


def test_unknown_voice_is_an_error(recipe):
    with pytest.raises(ValueError, match="no voice en\\+nobody"):
        recipe.speech.synthesise(SENTENCE, recipe.speech.Voice(variant="nobody"))


def test_splits_share_no_voice_and_no_sentence(recipe):
    variants = recipe.voices.VARIANTS
    everyone = [name for names in variants.values() for name in names]
    assert len(everyone) == len(set(everyone))
    texts = {}
    for split in ("train", "dev", "test"):
        sentences = recipe.sentences.grid_sentences(split, random.Random(0))
        texts[split] = {" ".join(next(sentences)) for _ in range(300)}
        assert recipe.voices.sample_voice(split, random.Random(0)).variant in variants[split]
    assert not texts["train"] & texts["test"]
    assert not texts["train"] & texts["dev"]
    assert not texts["dev"] & texts["test"]


@pytest.mark.parametrize("phone", ["p", "b", "m"])
@pytest.mark.parametrize("start", [0.400, 0.413, 0.427])  # wherever it falls between frames
def test_lips_touch_in_every_closure(recipe, phone, start):
    span = recipe.speech.Span
    phones = [
        span("A:", 0.2, start),
        span(phone, start, start + 0.08),
        span("A:", start + 0.08, 0.9),
    ]
    habits = recipe.articulation.Habits(amplitude=1.4)
    shape = recipe.articulation.mouth_motion(phones, 25, 25, habits)
    inside = [t for t in range(25) if start <= t / 25 <= start + 0.06]
    assert inside
    assert np.all(shape.open[inside] == 0)
    assert shape.open[7] > 0.3
    assert shape.open[17] > 0.3
    look = recipe.looks.sample_look(random.Random(1), {"drawn": 1})
    curves = recipe.face.outline(look, shape, np.zeros(1, np.float32))
    gap = (curves.inner_lower - curves.inner_upper)[:, 0]
    assert np.all(gap[inside] == 0)
    assert gap[7] > 8


def test_rounded_vowels_narrow_the_mouth(recipe):
    span = recipe.speech.Span
    look = recipe.looks.sample_look(random.Random(1), {"drawn": 1})
    widths = {}
    for vowel in ("i:", "u:"):
        shape = recipe.articulation.mouth_motion([span(vowel, 0.2, 0.8)], 25, 25, look.habits)
        widths[vowel] = recipe.face.half_width(look, shape)[12]
    assert widths["u:"] < 0.9 * widths["i:"]


def test_crops_show_the_opening(recipe):
    look = recipe.looks.sample_look(random.Random(4), {"drawn": 1})
    span = recipe.speech.Span
    shape = recipe.articulation.mouth_motion([span("A:", 0.4, 0.8)], 25, 25, look.habits)
    crops = recipe.crops.render_crops(recipe.skin.draw_skin(look.skin, look.seed), look, shape)
    assert crops.shape == (25, 96, 96)
    assert crops.dtype == np.uint8
    frames = crops.astype(float)
    still = np.abs(frames[1] - frames[2])[40:64, 28:68].mean()
    moved = np.abs(frames[15] - frames[2])[40:64, 28:68].mean()
    assert moved > 2 * still


def test_mp4_has_a_face_in_every_frame_and_the_lips_of_the_crops(recipe, tmp_path):
    from avsr_frontends.media import probe, read_audio
    from avsr_frontends.mouth_clip import extract_mouth

    plan = recipe.clips.ClipPlan(
        id="clip",
        words=("by", "m"),
        spoken=("by", "m"),
        split="test",
        seed=0,
        media="mp4",
        duration_s=1.6,
    )
    clip = recipe.clips.make_clip(plan, tmp_path)
    path = tmp_path / "clip.mp4"
    assert path.stat().st_size < 300_000
    assert probe(path).duration_s == pytest.approx(1.6, abs=0.1)
    sound = read_audio(path)[: len(clip.speech.samples)]
    assert np.corrcoef(sound, clip.speech.samples[: len(sound)])[0, 1] > 0.9
    mouth = extract_mouth(path)
    assert mouth.track.coverage == 1.0
    shape = recipe.clips.motion(clip.speech, clip.look)
    points = mouth.points68
    opening = np.linalg.norm(points[:, 62] - points[:, 66], axis=1)
    n_frames = min(len(opening), len(shape))
    assert np.corrcoef(opening[:n_frames], shape.open[:n_frames])[0, 1] > 0.8


def test_generate_writes_what_it_would_have_written_in_one_go(recipe, tmp_path, capsys):
    def generate(*arguments: object) -> int:
        return recipe.generate.main([str(argument) for argument in arguments])

    sentences = tmp_path / "sentences.txt"
    sentences.write_text("Hello, you!\n\nA day.\n", encoding="utf-8")
    common = ("--sentences", sentences, "--split", "dev", "--seed", 3)
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert generate("--out", once, "--n", 2, *common) == 0
    assert generate("--out", twice, "--n", 1, *common) == 0
    with open(twice / "manifest.jsonl", "a", encoding="utf-8") as file:
        file.write('{"id": "cut off')
    assert generate("--out", twice, "--n", 2, *common) == 0
    entries = manifest(twice)
    assert entries == manifest(once)
    assert [entry["text"] for entry in entries] == ["hello you", "a day"]
    for entry in entries:
        assert (once / entry["path"]).read_bytes() == (twice / entry["path"]).read_bytes()
    assert generate("--out", twice, "--n", 2, "--split", "test") == 2
    assert "other options" in capsys.readouterr().err


def test_generate_names_a_missing_sentence_file(recipe, tmp_path, capsys):
    missing = tmp_path / "none.txt"
    assert recipe.generate.main(["--out", str(tmp_path / "x"), "--sentences", str(missing)]) == 2
    assert "none.txt" in capsys.readouterr().err


@pytest.mark.slow
def test_generate_crops_by_two_processes(tmp_path):
    command = [sys.executable, str(RECIPE / "generate.py"), "--n", "2", "--crops"]
    alone, both = tmp_path / "alone", tmp_path / "both"
    subprocess.run([*command, "--out", str(alone)], check=True)
    subprocess.run([*command, "--out", str(both), "--jobs", "2"], check=True)
    assert manifest(alone) == manifest(both)
    mouth, audio = (np.load(both / f"{name}.npy") for name in ("mouth", "audio"))
    assert mouth.shape == (2, 75, 96, 96)
    assert audio.shape == (2, 48_000)
    np.testing.assert_array_equal(mouth, np.load(alone / "mouth.npy"))
    np.testing.assert_array_equal(audio, np.load(alone / "audio.npy"))
