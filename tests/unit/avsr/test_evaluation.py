"""Evaluation with a tiny random model: product, sharing, noise, failures, the command."""

import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avsr.evaluation.batch
from avsr.cli import run
from avsr.clips.cache import ClipCache
from avsr.clips.read import Clip
from avsr.errors import UsageError
from avsr.evaluation.conditions import Condition, plan_conditions
from avsr.evaluation.report import to_dict
from avsr.evaluation.run import run_evaluation
from avsr.manifest import Utterance
from avsr.noise import Babble
from avsr.pretrained import LoadedModel, load_model
from avsr.recognition.gates import loop_free
from avsr.recognition.hypotheses import decode, encode
from avsr.recognizer import Recognizer
from avsr.route import Route
from avsr_frontends.landmarks import TrackReport
from avsr_frontends.media import MediaError
from tests.clips import write_clip
from tests.signals import tone

SECONDS = {"a": 1.0, "b": 0.6, "c": 1.4, "d": 1.0}


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> LoadedModel:
    return load_model(tiny_folder, "cpu")


class _Clips(ClipCache):
    """Clips made of numbers: ``c`` has no face, ``d`` has no sound."""

    def clip(self, utterance: Utterance, *, sound: bool = True, picture: bool = True) -> Clip:
        name = utterance.id
        if name == "broken":
            raise MediaError("broken.mp4: is truncated")
        n_frames = round(25 * SECONDS[name])
        generator = np.random.default_rng(ord(name))
        mouth = generator.integers(0, 255, (n_frames, 96, 96), dtype=np.uint8)
        coverage = 0.0 if name == "c" else 1.0
        report = TrackReport(n_frames=n_frames, coverage=coverage, face_width_px=90.0)
        audio = tone(SECONDS[name], 20.0 * ord(name))
        return Clip(
            audio=audio if sound and name != "d" else None,
            mouth=mouth if picture and name != "c" else None,
            face=report if picture else None,
        )


def _utterances(*names: str) -> list[Utterance]:
    return [Utterance(id=name, path=Path(f"{name}.mp4"), text="bin blue at") for name in names]


@pytest.fixture
def clips(tmp_path: Path) -> _Clips:
    return _Clips(tmp_path)


def test_plan_multiplies_only_what_a_modality_uses(loaded: LoadedModel) -> None:
    conditions = plan_conditions(
        loaded, ["av", "audio", "video"], [4, 16], [2, 5], [(None, None), ("babble", 0.0)]
    )
    clean = [astuple(c.route) for c in conditions if c.noise is None]
    assert clean == [
        *[("av", a, v) for a in (4, 16) for v in (2, 5)],
        *[("audio", a, None) for a in (4, 16)],
        *[("video", None, v) for v in (2, 5)],
    ]
    noisy = [astuple(c.route) for c in conditions if c.snr_db == 0.0]
    assert noisy == clean
    assert plan_conditions(loaded, ["av"])[0] == Condition(route=Route.parse("A4 V2"))


def test_batches_give_what_single_clips_give(loaded: LoadedModel, clips: _Clips) -> None:
    conditions = plan_conditions(loaded, ["av", "audio", "video"], [4, 16], [2])
    utterances = _utterances(*SECONDS)
    together = run_evaluation(loaded, utterances, conditions, cache=clips, batch_size=4)
    alone = run_evaluation(loaded, utterances, conditions, cache=clips, batch_size=1)
    for one, many in zip(alone.outcomes, together.outcomes, strict=True):
        assert one.utterance == many.utterance
        assert one.hypotheses == many.hypotheses
    first = together.outcomes[0].hypotheses
    assert len(set(first.values())) == len(conditions)  # the model does tell them apart


def test_evaluation_gives_what_transcription_gives(loaded: LoadedModel, clips: _Clips) -> None:
    conditions = plan_conditions(loaded, ["av", "audio", "video"], [16], [5])
    utterances = _utterances(*SECONDS)
    result = run_evaluation(loaded, utterances, conditions, cache=clips)
    recognizer = Recognizer(loaded)
    for outcome in result.outcomes:
        clip = clips.clip(outcome.utterance)
        read = recognizer.transcribe(clip, audio_rate=16, video_rate=5, keep_unsure=True)
        assert _without_loops(outcome.hypotheses[conditions[0]]) == read.text
    spoken = recognizer.transcribe(
        clips.clip(utterances[1]), modality="audio", audio_rate=16, keep_unsure=True
    )
    assert _without_loops(result.outcomes[1].hypotheses[conditions[1]]) == spoken.text


def _without_loops(text: str) -> str:
    """Evaluation counts what the model says; transcription spares its readers the loops."""
    words = text.split()
    return " ".join(words[place] for place in loop_free(words))


def test_missing_streams_fall_back_or_count_as_deletions(
    loaded: LoadedModel, clips: _Clips
) -> None:
    av, audio, video = plan_conditions(loaded, ["av", "audio", "video"])
    result = run_evaluation(
        loaded, _utterances("a", "c", "d", "broken"), [av, audio, video], cache=clips
    )
    a, c, d, broken = result.outcomes
    assert [o.used[av] for o in (a, c, d)] == ["av", "audio", "video"]
    assert (c.hypotheses[av], d.hypotheses[av]) == (c.hypotheses[audio], d.hypotheses[video])
    assert (c.hypotheses[video], d.hypotheses[audio]) == ("", "")
    assert broken.failure == "broken.mp4: is truncated"
    row = to_dict(result, {})["rows"][2]
    assert row["modality"] == "video"
    assert (row["n_utterances"], row["n_unreadable"], row["n_without_input"]) == (4, 1, 1)
    assert row["n_words"] == 12
    assert row["deletions"] >= 6
    assert row["wer"] == (row["substitutions"] + row["deletions"] + row["insertions"]) / 12


def test_encoders_run_once_for_each_sound(
    loaded: LoadedModel, clips: _Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    batch = avsr.evaluation.batch
    encode, decode_fused = batch.encode, batch.decode_fused

    def counted_encode(loaded: LoadedModel, **streams: Any) -> Any:
        calls.extend(streams)
        return encode(loaded, **streams)

    def counted_decode(loaded: LoadedModel, jobs: list, **options: Any) -> Any:
        calls.extend("job" for _ in jobs)
        return decode_fused(loaded, jobs, **options)

    monkeypatch.setattr(batch, "encode", counted_encode)
    monkeypatch.setattr(batch, "decode_fused", counted_decode)
    utterances = _utterances("a", "b")
    babble = Babble(others=_utterances(*"bcd"), read=lambda u: tone(1.0, 33.0 * ord(u.id)), seed=0)
    sounds = [(None, None), ("babble", 0.0), ("babble", 5.0)]
    conditions = plan_conditions(loaded, ["av", "audio", "video"], [4, 16], [2, 5], sounds)
    result = run_evaluation(
        loaded, utterances, conditions, cache=clips, noises={"babble": babble}, batch_size=2
    )
    assert calls.count("mouths") == 1
    assert calls.count("waveforms") == 3  # one batch, three sounds, at all rates and modalities
    assert calls.count("job") == 3 * (4 + 2) + 2  # lips alone are read once, whatever the noise
    first, *_, last = [c for c in conditions if c.route.text == "V5"]
    assert last.noise == "babble"
    for outcome in result.outcomes:
        assert outcome.hypotheses[first] == outcome.hypotheses[last]


def test_noise_is_mixed_at_the_ratio_asked_for(loaded: LoadedModel, clips: _Clips) -> None:
    babble = Babble(others=_utterances(*"bcd"), read=lambda u: tone(1.0, 33.0 * ord(u.id)), seed=0)
    conditions = plan_conditions(loaded, ["audio"], sounds=[("babble", 0.0), ("babble", -5.0)])
    result = run_evaluation(
        loaded, _utterances("a", "b"), conditions, cache=clips, noises={"babble": babble}
    )
    rows = to_dict(result, {})["rows"]
    assert [row["snr_db_achieved"] for row in rows] == [[0.0, 0.0], [-5.0, -5.0]]
    clean, noisy = (
        run_evaluation(
            loaded, _utterances("a"), [condition], cache=clips, noises={"babble": babble}
        )
        for condition in (conditions[1].clean(), conditions[1])
    )
    heard = [run.outcomes[0].hypotheses[run.conditions[0]] for run in (clean, noisy)]
    assert heard[0] != heard[1]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    lines = []
    for name in SECONDS:
        write_clip(folder / f"{name}.wav", sound=tone(SECONDS[name], 20.0 * ord(name)))
        lines.append({"id": name, "path": f"{name}.wav", "text": "Bin blue, at", "speaker": name})
    path = folder / "test.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def _run(tiny_folder: Path, manifest: Path, output: Path, *options: str) -> int:
    arguments = ["--manifest", str(manifest), "--model", str(tiny_folder), "--output", str(output)]
    return run(["evaluate", *arguments, "--modality", "audio", *options])


def test_command_writes_rows_and_prints_a_table(
    tiny_folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--audio-rate", "4,16", "--noise", "clean,babble", "--snr", "0"]
    cache = tmp_path / "cache"
    first, second = tmp_path / "first.json", tmp_path / "deep" / "second.json"
    assert _run(tiny_folder, manifest, first, *options, "--cache", str(cache)) == 0
    captured = capsys.readouterr()
    results = json.loads(first.read_text())
    keys = {"modality", "audio_rate", "video_rate", "noise", "snr_db", "wer", "substitutions",
            "deletions", "insertions", "n_words", "n_utterances"}  # fmt: skip
    assert all(keys <= row.keys() for row in results["rows"])
    assert [(row["audio_rate"], row["noise"], row["snr_db"]) for row in results["rows"]] == [
        (4, None, None), (16, None, None), (4, "babble", 0.0), (16, "babble", 0.0),
    ]  # fmt: skip
    assert [(row["n_words"], row["n_utterances"]) for row in results["rows"]] == [(12, 4)] * 4
    assert [utterance["id"] for utterance in results["utterances"]] == list(SECONDS)
    assert all(len(utterance["hypotheses"]) == 4 for utterance in results["utterances"])
    table = captured.out.splitlines()
    assert len(table) == 5
    assert table[0].split()[:3] == ["modality", "audio", "rate"]
    row = results["rows"][3]
    assert f"{100 * row['wer']:.2f}" in table[4]
    assert f"{100 * row['whisper']['wer']:.2f}" in table[4]
    assert row["wer_interval"][0] <= row["wer"] <= row["wer_interval"][1]
    assert row["tokens_per_second"] == 50 / 16
    assert "readings: 16/16" in captured.err
    assert len(list(cache.iterdir())) == 4
    # Again, from the cache and in smaller batches: not one byte differs.
    again = ["--cache", str(cache), "--batch-size", "3"]
    assert _run(tiny_folder, manifest, second, *options, *again) == 0
    assert second.read_bytes() == first.read_bytes()
    assert sorted(path.name for path in second.parent.iterdir()) == [
        "second.card.md", "second.csv", "second.json", "second.md", "second.utterances.tsv",
    ]  # fmt: skip


def test_noise_does_not_depend_on_limit(tiny_folder: Path, manifest: Path, tmp_path: Path) -> None:
    options = ["--noise", "babble", "--snr", "-3"]
    assert _run(tiny_folder, manifest, tmp_path / "all.json", *options) == 0
    assert _run(tiny_folder, manifest, tmp_path / "two.json", *options, "--limit", "2") == 0
    everything = json.loads((tmp_path / "all.json").read_text())["utterances"]
    two = json.loads((tmp_path / "two.json").read_text())["utterances"]
    assert two == everything[:2]


def test_noise_file_and_unreadable_clip(
    tiny_folder: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = write_clip(tmp_path / "hum.wav", sound=tone(0.5, 50.0))
    copy = manifest.parent / "with_missing.jsonl"
    missing = {"id": "gone", "path": "gone.wav", "text": "set white"}
    copy.write_text(manifest.read_text() + "\n" + json.dumps(missing))
    output = tmp_path / "results.json"
    assert _run(tiny_folder, copy, output, "--noise", str(noise), "--snr", "5") == 0
    row = json.loads(output.read_text())["rows"][0]
    assert (row["noise"], row["n_utterances"], row["n_unreadable"]) == (str(noise), 5, 1)
    assert (row["n_words"], row["snr_db_achieved"]) == (14, [5.0, 5.0])
    said = capsys.readouterr().err
    assert "unreadable: gone: " in said
    assert "problems: 1 unreadable" in said


@pytest.mark.parametrize(
    ("noise", "message"), [("none.wav", "none.wav: no such file"), ("silent.wav", "is silent")]
)
def test_bad_noise_files(
    tiny_folder: Path,
    manifest: Path,
    tmp_path: Path,
    noise: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_clip(tmp_path / "silent.wav", sound=0 * tone(0.5))
    options = ["--noise", str(tmp_path / noise), "--snr", "0"]
    assert _run(tiny_folder, manifest, tmp_path / "x.json", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


def test_cache_notices_that_a_file_has_changed(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav", sound=tone(1.0))
    utterance = Utterance(id="odd/name: ?", path=path, text="x")
    cache = ClipCache(tmp_path / "cache")
    first = cache.clip(utterance)
    assert first.audio is not None
    (entry,) = cache.folder.iterdir()
    written = entry.stat().st_mtime_ns
    again = cache.clip(utterance)
    assert entry.stat().st_mtime_ns == written
    assert again.audio is not None
    np.testing.assert_array_equal(again.audio, first.audio)
    write_clip(path, sound=tone(2.0))
    changed = cache.clip(utterance)
    assert changed.duration_s == pytest.approx(2.0)
    entry.write_bytes(b"damaged")
    assert cache.clip(utterance).duration_s == pytest.approx(2.0)


def test_an_untrained_rate_needs_permission_and_is_doubted(tiny_folder: Path) -> None:
    strict = load_model(tiny_folder, "cpu")
    with pytest.raises(UsageError, match=r"rate 8; use 4 or 16 \(or allow untrained"):
        plan_conditions(strict, ["audio"], [8], [None], [(None, None)])
    lenient = load_model(tiny_folder, "cpu", allow_untrained_rate=True)
    (condition,) = plan_conditions(lenient, ["audio"], [8], [None], [(None, None)])
    decode(lenient, encode(lenient, waveforms=[tone(1.0, 200.0)]), condition.route)
    (doubt,) = lenient.doubts_about([condition.route, Route.parse("A4 V2")])
    assert "not trained at audio rate 8 (only at 4, 16)" in doubt
    assert "160 %" in doubt
