"""Kinds of files that people really have, read from beginning to end to the right words."""

import json
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

import avsr
from avsr.clips.reader import ClipReader
from avsr_frontends.media import iter_video, read_audio
from tests.clips import write_clip
from tests.shared_inputs import grid_clip, shared_input

SAMPLE = Path(__file__).parents[2] / "demo" / "samples" / "clean.mp4"
SAID = "set blue with t one please"


@pytest.fixture(scope="module")
def recognizer() -> avsr.Recognizer:
    return avsr.load("grid-tiny", "cpu")


@pytest.mark.parametrize(
    ("name", "modality", "text"),
    [
        ("cat.ts", "av", f"{SAID} bin blue in e eight now bin blue in r nine again"),
        ("sar_255_1.mp4", "av", SAID),
        ("twoaudio_default2.mkv", "av", SAID),
        ("antiphase.mov", "av", SAID),
        ("adts_a.aac", "audio", " ".join([SAID] * 3)),
        ("ratechange.aac", "audio", f"{SAID} bin blue in e eight now"),
    ],
)
def test_a_file_that_people_sent(
    recognizer: avsr.Recognizer, name: str, modality: str, text: str
) -> None:
    result = recognizer.transcribe(shared_input(name))
    assert result.text == text
    assert result.modality == modality
    assert not any("truncated" in warning or "corrupt" in warning for warning in result.warnings)


def test_a_chain_of_sound_is_read_as_its_parts_are(recognizer: avsr.Recognizer) -> None:
    parts = [grid_clip(f"s1/{name}.mp4") for name in ("bbie8n", "bbir9a")]
    alone = [SAID, *(recognizer.transcribe(part, modality="audio").text for part in parts)]
    result = recognizer.transcribe(shared_input("chain.ogg"))
    assert result.text == " ".join(alone)
    assert len(result.segments) == 3


def test_a_picture_that_ends_early_cuts_no_word(recognizer: avsr.Recognizer) -> None:
    result = recognizer.transcribe(shared_input("short_video.mp4"))
    assert result.text == SAID
    assert [segment.modality for segment in result.segments] == ["audio"]


@pytest.mark.parametrize("n_seen", [25, 40])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_picture_that_ends_early_or_begins_late(
    recognizer: avsr.Recognizer, tmp_path: Path, n_seen: int, is_late: bool
) -> None:
    frames, sound = list(iter_video(SAMPLE)), read_audio(SAMPLE)
    shown = frames[-n_seen:] if is_late else frames[:n_seen]
    begin_s = (len(frames) - n_seen) / 25 if is_late else 0.0
    times = begin_s + np.arange(n_seen) / 25
    path = write_clip(tmp_path / "clip.mkv", shown, times, sound=sound)
    result = recognizer.transcribe(path)
    assert result.text == SAID
    assert {segment.modality or result.modality for segment in result.segments} == {"audio"}


def test_a_joined_stream_is_read_to_its_end(recognizer: avsr.Recognizer, tmp_path: Path) -> None:
    part = tmp_path / "part.ts"
    frames, sound = list(iter_video(SAMPLE)), read_audio(SAMPLE)
    write_clip(part, frames, sound=sound, sound_codec="aac")
    path = tmp_path / "joined.ts"
    path.write_bytes(part.read_bytes() * 3)
    result = recognizer.transcribe(path)
    assert result.text == " ".join([SAID] * 3)
    assert result.modality == "av"
    assert result.warnings == ()
    starts = [segment.words[0].start for segment in result.segments]
    np.testing.assert_allclose(np.diff(starts), 3.07, atol=0.15)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.3, 1.6])
def test_sentences_stay_apart_whatever_a_face_tracker_makes_of_the_pause(
    recognizer: avsr.Recognizer, factor: float
) -> None:
    """Trackers differ a little from processor to processor; pauses hang on no threshold."""
    with ClipReader(SAMPLE) as reader:
        one = reader.read()
    assert one is not None
    assert one.audio is not None
    assert one.mouth is not None
    assert one.lip_motion is not None
    assert one.face is not None
    n_frames = min(len(one.mouth), len(one.audio) // 640)
    clip = replace(
        one,
        audio=np.tile(one.audio[: 640 * n_frames], 3),
        mouth=np.tile(one.mouth[:n_frames], (3, 1, 1)),
        lip_motion=np.tile(one.lip_motion[:n_frames], 3) * np.float32(factor),
        face=replace(one.face, n_frames=3 * n_frames),
    )
    result = recognizer.transcribe(clip)
    assert result.modality == "av"
    assert result.text == " ".join([SAID] * 3)


def grid_people() -> dict[str, list[tuple[Path, str]]]:
    """Clips of three speakers, with what they say."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for name in ("s1_dev.jsonl", "more.jsonl", "unseen.jsonl"):
        for line in grid_clip(name).read_text().splitlines():
            one = json.loads(line)
            found.setdefault(one["speaker"], []).append((grid_clip(one["path"]), one["text"]))
    return {who: found[who] for who in ("s4", "s1", "s11")}


def test_no_sentence_is_lost_at_a_cut_between_people(
    recognizer: avsr.Recognizer, tmp_path: Path
) -> None:
    clips = [clips[0] for clips in grid_people().values()]
    frames = [list(iter_video(path)) for path, _ in clips]
    sounds = [read_audio(path)[: 640 * len(f)] for (path, _), f in zip(clips, frames, strict=True)]
    path = write_clip(
        tmp_path / "cut.mkv", [f for clip in frames for f in clip], sound=np.concatenate(sounds)
    )
    result = recognizer.transcribe(path)
    cuts = [n / 25 for n in accumulate(map(len, frames))]
    assert len(result.segments) == 3
    assert [segment.face for segment in result.segments] == [1, 2, 3]
    for segment, end, (_, text) in zip(result.segments, cuts, clips, strict=True):
        assert segment.end <= end + 0.25
        wrong = [a for a, b in zip(segment.text.split(), text.split(), strict=True) if a != b]
        assert len(wrong) <= 2


def test_a_cut_within_a_sentence_leaves_it_to_the_sound(
    recognizer: avsr.Recognizer, tmp_path: Path
) -> None:
    people = grid_people()
    (speaker, _), (other, _) = people["s1"][3], people["s4"][0]
    frames = [*list(iter_video(speaker))[:38], *list(iter_video(other))[38:]]
    path = write_clip(tmp_path / "cut.mkv", frames, sound=read_audio(speaker))
    result = recognizer.transcribe(path)
    assert result.text == recognizer.transcribe(path, modality="audio").text
    assert [segment.modality for segment in result.segments] == ["audio"]
