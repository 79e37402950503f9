"""The recogniser on arrays, with a tiny random model, and what its results hold."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import avsr
from avsr.clips.read import Clip
from avsr.decoding.options import SearchOptions
from avsr.errors import InputError, ModelUnavailableError, UsageError
from avsr.recognition.request import Request
from avsr.rendering import render
from avsr.route import Route
from avsr.transcription import Segment, TranscriptionResult
from avsr_frontends.landmarks import TrackReport
from tests.signals import tone


@pytest.fixture(scope="module")
def recognizer(tiny_folder: Path) -> avsr.Recognizer:
    return avsr.load(tiny_folder, device="cpu")


def _clip(seconds: float = 1.0, coverage: float = 1.0) -> Clip:
    n_frames = round(seconds * 25)
    mouth = np.random.default_rng(0).integers(0, 255, (n_frames, 96, 96), dtype=np.uint8)
    gaps = [] if coverage == 1 else [(0.0, 0.4)]
    report = TrackReport(n_frames=n_frames, coverage=coverage, face_width_px=90.0, gaps=gaps)
    return Clip(audio=tone(seconds), mouth=mouth, face=report)


def test_waveform(recognizer: avsr.Recognizer) -> None:
    result = recognizer.transcribe(tone(1.0), keep_unsure=True)
    assert (result.modality, result.reason) == ("audio", "there is no picture")
    assert result.rates == Route(modality="audio", audio_rate=4)
    assert result.duration_s == 1.0
    assert result.text == result.segments[0].text == " ".join(result.text.split())
    assert result.confidence is not None
    assert 0 < result.confidence <= 1
    assert set(result.timings) == {"encoders", "language model", "word times"}


def test_tensor_gives_the_same_as_array(recognizer: avsr.Recognizer) -> None:
    array, tensor = tone(1.0), torch.from_numpy(tone(1.0))
    first, second = recognizer.transcribe(array), recognizer.transcribe(tensor)
    assert first.segments == second.segments


def test_rates_and_modality_reach_the_model(recognizer: avsr.Recognizer) -> None:
    clip = _clip()
    seen = {}
    for modality, audio_rate, video_rate in [
        ("av", 4, 2), ("av", 16, 2), ("av", 4, 5), ("audio", 16, None), ("video", None, 5),
    ]:  # fmt: skip
        result = recognizer.transcribe(
            clip,
            modality=modality,
            audio_rate=audio_rate,
            video_rate=video_rate,
            keep_unsure=True,
        )
        assert (result.modality, result.reason) == (modality, "as asked")
        assert (result.rates.audio, result.rates.video) == (audio_rate, video_rate)
        seen[modality, audio_rate, video_rate] = result.segments[0].avg_logprob
    assert len(set(seen.values())) == len(seen)


def test_default_is_the_finest_trained_rate(recognizer: avsr.Recognizer) -> None:
    default = recognizer.transcribe(_clip())
    assert default.route == Route(modality="av", audio_rate=4, video_rate=2)
    explicit = recognizer.transcribe(_clip(), audio_rate=4, video_rate=2)
    assert default.segments == explicit.segments


def test_segments_come_as_the_result_has_them(recognizer: avsr.Recognizer) -> None:
    request = Request(modality="video", video_rate=5)
    lips = replace(_clip(20.0), audio=None)
    one_by_one = list(recognizer.segments(lips, request))
    result = recognizer.transcribe(lips, modality="video", video_rate=5)
    assert tuple(one_by_one) == result.segments
    assert [(s.start, s.end) for s in result.segments] == [(0.0, 10.0), (10.0, 20.0)]
    assert result.text == " ".join(s.text for s in result.segments)


def test_a_request_and_its_options_by_name_are_one(recognizer: avsr.Recognizer) -> None:
    request = Request(modality="audio", search=SearchOptions(num_beams=3), keep_unsure=True)
    whole = recognizer.transcribe(_clip(), request)
    named = recognizer.transcribe(_clip(), modality="audio", num_beams=3, keep_unsure=True)
    assert whole.segments == named.segments
    changed = list(recognizer.segments(_clip(), request, num_beams=1))
    greedy = recognizer.transcribe(_clip(), request, num_beams=1)
    assert tuple(changed) == greedy.segments
    with pytest.raises(TypeError, match="there is no option 'beams'"):
        recognizer.transcribe(_clip(), beams=3)
    with pytest.raises(TypeError, match="there is no option 'beams'"):
        next(recognizer.segments(_clip(), beams=3))
    with pytest.raises(UsageError, match="tiny: the model has no CTC head for audio"):
        recognizer.transcribe(_clip(), request, ctc_weight=0.5)


def test_sound_that_outlasts_the_picture_is_still_heard(recognizer: avsr.Recognizer) -> None:
    result = recognizer.transcribe(replace(_clip(2.0), mouth=_clip(1.0).mouth), keep_unsure=True)
    assert [(s.start, s.end) for s in result.segments] == [(0.0, 1.0), (1.0, 2.0)]
    alone = recognizer.transcribe(tone(2.0)[16_000:], keep_unsure=True)
    assert result.segments[1].avg_logprob == pytest.approx(alone.segments[0].avg_logprob, abs=1e-5)


def test_rare_face_is_doubted(recognizer: avsr.Recognizer) -> None:
    partly = recognizer.transcribe(_clip(coverage=0.6))
    assert partly.modality == "av"
    assert partly.warnings == ("face found in only 60% of the frames (none at 0.0-0.4 s)",)
    rarely = recognizer.transcribe(_clip(coverage=0.2), modality="video")
    assert "do not trust this text" in rarely.warnings[0]


def test_silence_gives_no_words(recognizer: avsr.Recognizer) -> None:
    result = recognizer.transcribe(0 * tone(1.0))
    assert (result.text, result.segments, result.confidence) == ("", (), None)
    assert result.reason == "the sound is silent"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio_rate": 3}, "tiny was not trained at audio rate 3; use 4 or 16 (or allow"),
        ({"video_rate": 3}, "tiny was not trained at video rate 3; use 2 or 5 (or allow"),
        ({"modality": "lips"}, "trained on (audio, video, av), got 'lips'"),
    ],
)
def test_untrained_requests(recognizer: avsr.Recognizer, options: dict, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        recognizer.transcribe(tone(1.0), **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((2, 16_000), np.float32), "one-dimensional floats at 16000 Hz"),
        (np.zeros(16_000, np.int16), "got int16 [16000]"),
        (np.full(16_000, np.nan, np.float32), "not finite"),
        (np.zeros(100, np.float32), "only 0.01 s long"),
    ],
)
def test_bad_arrays(recognizer: avsr.Recognizer, source: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as caught:
        recognizer.transcribe(source)
    assert message in str(caught.value)


def test_missing_models(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="no such model; give a bundled name"):
        avsr.load("nonesuch")
    with pytest.raises(
        ModelUnavailableError, match=r"not a model folder \(it has no config.json\)"
    ):
        avsr.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelUnavailableError, match="cannot load this model"):
        avsr.load(tmp_path)


def test_hub_ids(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(hub_id: str, *, local_files_only: bool, **_: object) -> str:
        assert not local_files_only
        if hub_id == "owner/name":
            return str(tiny_folder)
        raise OSError("no\nnetwork")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    result = avsr.load("owner/name", device="cpu").transcribe(tone(1.0))
    assert result.model == "owner/name"
    with pytest.raises(ModelUnavailableError, match="cannot be fetched from the hub: no network"):
        avsr.load("owner/other")
    with pytest.raises(ModelUnavailableError, match="no such model"):
        avsr.load("./owner/name")


def test_missing_device(tiny_folder: Path) -> None:
    with pytest.raises(UsageError, match="device cuda:99: not usable here"):
        avsr.load(tiny_folder, device="cuda:99")


def test_json_has_the_usual_keys_and_ours() -> None:
    result = TranscriptionResult(
        text="bin blue",
        segments=(
            Segment(start=0.0, end=1.0, text="bin", avg_logprob=math.log(0.5)),
            Segment(start=1.0, end=4.0, text="blue", avg_logprob=0.0),
        ),
        route=Route(modality="av", audio_rate=4, video_rate=2),
        reason="there are sound and a face",
        duration_s=4.0,
        face=TrackReport(n_frames=100, coverage=0.9, face_width_px=80.0, gaps=[(1.0, 1.4)]),
        path=Path("clip.mp4"),
        model="tiny",
    )
    values = json.loads(render(result, "json"))
    assert values["text"] == "bin blue"
    assert values["segments"][1]["text"] == "blue"
    assert (values["modality"], values["audio_rate"], values["video_rate"]) == ("av", 4, 2)
    assert values["confidence"] == pytest.approx(0.5**0.25, abs=1e-4)
    assert values["face"]["gaps"] == [[1.0, 1.4]]
    assert render(result, "txt") == "bin blue\n"


def test_an_untrained_rate_is_used_where_allowed_and_doubted(tiny_folder: Path) -> None:
    lenient = avsr.load(tiny_folder, "cpu", allow_untrained_rate=True)
    result = lenient.transcribe(tone(1.0, 200.0), modality="audio", audio_rate=8, keep_unsure=True)
    assert result.rates.audio == 8
    assert "not trained at audio rate 8 (only at 4, 16)" in result.warnings[0]
