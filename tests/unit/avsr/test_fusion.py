"""Whom to believe where sound and lips say different things."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avsr
from avsr.clips.clip import Clip
from avsr.clips.read import read_clip
from avsr.model_files.fusion import FUSION_FILE, read_fusion
from avsr.pretrained import LoadedModel
from avsr.recognition.fusion import HeadOpinion, Judgement, can_fuse, decode_fused, fuse
from avsr.recognition.hypotheses import Hypothesis, decode, encode
from avsr.recognition.joint_decoding import DecodingJob, decode_jobs
from avsr.route import Modality
from avsr.text import count_word_errors

SAMPLE = Path(__file__).parents[3] / "demo" / "samples" / "clean.mp4"
SAID = "set blue with t one please"
WEIGHTS = {
    "av": 1.0,
    "av_log_prob": 0.5,
    "audio_log_prob": 0.5,
    "video_log_prob": 0.5,
    "audio_gap": 2.0,
    "video_gap": 2.0,
}
READINGS: dict[Modality, Hypothesis] = {
    "audio": Hypothesis(text="heard", avg_logprob=-0.1, token_ids=(1,)),
    "video": Hypothesis(text="seen", avg_logprob=-0.1, token_ids=(2,)),
    "av": Hypothesis(text="mixed", avg_logprob=-0.1, token_ids=(3,)),
}


def _judgement(sound: float, lips: float, *, in_step: float = 1.0) -> Judgement:
    opinions = {
        "audio": HeadOpinion(sureness=sound, gaps={(1,): 0.0, (2,): 6.0, (3,): 4.0}),
        "video": HeadOpinion(sureness=lips, gaps={(1,): 6.0, (2,): 0.0, (3,): 4.0}),
    }
    return Judgement(opinions=opinions, in_step=in_step)


def test_the_surer_head_decides_and_the_share_tells_it() -> None:
    heard = fuse(READINGS, _judgement(0.9, 0.1), WEIGHTS)
    seen = fuse(READINGS, _judgement(0.1, 0.9), WEIGHTS)
    assert (heard.text, seen.text) == ("heard", "seen")
    assert heard.sound_share is not None
    assert heard.sound_share > 0.9
    assert seen.sound_share == pytest.approx(1 - heard.sound_share)


def test_both_is_kept_where_the_streams_are_equally_sure() -> None:
    fused = fuse(READINGS, _judgement(0.5, 0.5), {**WEIGHTS, "av": 3.0})
    assert fused.text == "mixed"
    assert fused.sound_share == pytest.approx(0.5)


def test_both_is_followed_only_where_sound_and_lips_go_together() -> None:
    weights = {**WEIGHTS, "av": 10.0}
    together = fuse(READINGS, _judgement(0.6, 0.4, in_step=0.9), weights)
    apart = fuse(READINGS, _judgement(0.6, 0.4, in_step=0.0), weights)
    assert (together.text, apart.text) == ("mixed", "heard")


def test_a_text_that_two_readings_give_has_the_reading_of_both() -> None:
    both = replace(READINGS["av"], token_ids=(1,), text="heard", n_drafted=4)
    fused = fuse({**READINGS, "av": both}, _judgement(0.5, 0.5), WEIGHTS)
    assert (fused.text, fused.n_drafted) == ("heard", 4)


def test_where_sound_and_both_agree_the_heads_tell_which_stream_carries_it() -> None:
    agreed: dict[Modality, Hypothesis] = {
        name: replace(READINGS[name], text="said", token_ids=(1,)) for name in ("audio", "av")
    }
    heard = fuse(agreed, _judgement(0.5, 0.5), WEIGHTS)
    assert heard.text == "said"
    assert heard.sound_share == pytest.approx(1 / (1 + np.exp(-6.0)))  # the lips' head objects
    for gap in (0.0, -0.2):  # less than nothing: many paths give what the best one gives
        opinion = HeadOpinion(sureness=0.5, gaps={(1,): gap})
        both = Judgement(opinions={"audio": opinion, "video": opinion}, in_step=1.0)
        assert fuse(agreed, both, WEIGHTS).sound_share == 0.5


@pytest.fixture(scope="module")
def recognizer() -> avsr.Recognizer:
    return avsr.load("grid-tiny", "cpu")


@pytest.fixture(scope="module")
def clip() -> Clip:
    return read_clip(SAMPLE)


def _fused(recognizer: avsr.Recognizer, sound: np.ndarray, mouth: np.ndarray) -> Hypothesis:
    loaded = recognizer.loaded
    streams = encode(loaded, waveforms=[sound], mouths=[mouth])
    job = DecodingJob(streams=streams, route=loaded.route("av"))
    return decode_fused(loaded, [job], max_rows=3)[0][0]


@pytest.mark.parametrize("grain", [0.0, 1.0])
def test_frozen_lips_leave_it_to_sound(
    recognizer: avsr.Recognizer, clip: Clip, grain: float
) -> None:
    assert clip.audio is not None
    assert clip.mouth is not None
    generator = np.random.default_rng(1)
    noise = generator.normal(0, 0.2, len(clip.audio)).astype(np.float32)
    pictures = np.repeat(clip.mouth[40:41], len(clip.mouth), axis=0)
    pictures = np.clip(pictures + generator.normal(0, grain, pictures.shape), 0, 255)
    frozen = pictures.astype(np.uint8)
    loaded = recognizer.loaded
    for sound in (clip.audio, clip.audio + noise):
        heard = decode(loaded, encode(loaded, waveforms=[sound]), loaded.route("audio"))[0]
        fused = _fused(recognizer, sound, frozen)
        assert fused.text == heard.text
        assert fused.sound_share == 1.0


def test_ruined_sound_is_known_for_it(recognizer: avsr.Recognizer, clip: Clip) -> None:
    assert clip.audio is not None
    assert clip.mouth is not None
    loudness = float(clip.audio.std())
    hiss = np.random.default_rng(0).normal(0, 4 * loudness, len(clip.audio)).astype(np.float32)
    loaded = recognizer.loaded
    ruined = clip.audio + hiss
    heard = decode(loaded, encode(loaded, waveforms=[ruined]), loaded.route("audio"))[0]
    assert heard.text != SAID
    fused = _fused(recognizer, ruined, clip.mouth)
    assert count_word_errors([SAID], [fused.text]).n_errors < (
        count_word_errors([SAID], [heard.text]).n_errors
    )
    assert fused.sound_share is not None
    assert fused.sound_share < 0.2


def test_lips_are_read_where_sound_and_both_differ(
    recognizer: avsr.Recognizer, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert clip.audio is not None
    assert clip.mouth is not None
    asked: list[tuple[str, int]] = []

    def noted(loaded: LoadedModel, jobs: Sequence[DecodingJob], **rest: Any) -> Any:
        asked.extend((job.route.modality, job.streams.n_clips) for job in jobs)
        return decode_jobs(loaded, jobs, **rest)

    monkeypatch.setattr("avsr.recognition.fusion.decode_jobs", noted)
    noise = np.random.default_rng(0).normal(0, 0.5, len(clip.audio)).astype(np.float32)
    loaded = recognizer.loaded
    sounds = [clip.audio, clip.audio + noise]
    streams = encode(loaded, waveforms=sounds, mouths=[clip.mouth] * 2)
    job = DecodingJob(streams=streams, route=loaded.route("av"))
    (fused,) = decode_fused(loaded, [job], max_rows=6)
    assert asked == [("av", 2), ("audio", 2), ("video", 1)]
    assert fused[0] == _fused(recognizer, clip.audio, clip.mouth)
    assert fused[1].text == _fused(recognizer, sounds[1], clip.mouth).text


def test_the_plain_reading_stays(recognizer: avsr.Recognizer, clip: Clip) -> None:
    assert can_fuse(recognizer.loaded)
    assert not can_fuse(replace(recognizer.loaded, fusion={}))
    fused = recognizer.transcribe(clip)
    plain = recognizer.transcribe(clip, fusion=False)
    assert 0 <= fused.to_dict()["segments"][0]["sound_share"] <= 1
    assert "sound_share" not in plain.to_dict()["segments"][0]
    alone = recognizer.transcribe(clip, modality="audio")
    assert "sound_share" not in alone.to_dict()["segments"][0]


def test_weights_are_read_with_all_their_names(tmp_path: Path) -> None:
    assert read_fusion(tmp_path) == {}
    (tmp_path / FUSION_FILE).write_text(json.dumps(WEIGHTS))
    assert read_fusion(tmp_path) == WEIGHTS
    for content in ('{"av": 1.0}', "[]", json.dumps({**WEIGHTS, "av": "much"})):
        (tmp_path / FUSION_FILE).write_text(content)
        with pytest.raises(ValueError, match=f"{FUSION_FILE} is no table of fusion weights"):
            read_fusion(tmp_path)
