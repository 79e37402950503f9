"""What a transcription looks like in each output format."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from avsr.rendering import FORMATS, clock, cues
from avsr.route import Route
from avsr.transcription import Segment, TranscriptionResult, Word


def _words(start: float, *words: str) -> tuple[Word, ...]:
    return tuple(
        Word(word=word, start=start + 0.5 * i, end=start + 0.5 * i + 0.4, probability=0.9)
        for i, word in enumerate(words)
    )


def _segment(start: float, text: str, timed: bool = True) -> Segment:
    words = _words(start + 0.2, *text.split()) if timed else ()
    return Segment(start=start, end=start + 3, text=text, avg_logprob=-0.1, words=words)


def _result(*segments: Segment) -> TranscriptionResult:
    return TranscriptionResult(
        text=" ".join(segment.text for segment in segments if segment.text),
        segments=segments,
        route=Route(modality="av", audio_rate=4, video_rate=2),
        reason="there are sound and a face",
        duration_s=10.0,
    )


RESULT = _result(_segment(0.0, "bin <b> blue"), _segment(3661.5, "", timed=False))


def test_srt() -> None:
    assert RESULT.render("srt") == "1\n00:00:00,200 --> 00:00:01,600\nbin <b> blue\n"
    two = _result(_segment(0.0, "bin"), _segment(5.0, "a --> b", timed=False))
    assert two.render("srt").split("\n\n")[1] == "2\n00:00:05,000 --> 00:00:08,000\na -> b\n"


def test_vtt_has_a_header_and_escapes_tags() -> None:
    assert RESULT.render("vtt") == ("WEBVTT\n\n00:00:00.200 --> 00:00:01.600\nbin &lt;b&gt; blue\n")
    assert _result().render("vtt") == "WEBVTT\n"


def test_tsv_is_in_milliseconds() -> None:
    assert RESULT.render("tsv") == "start\tend\ttext\n0\t3000\tbin <b> blue\n"


def test_json_has_the_keys_of_openai_whisper() -> None:
    values = json.loads(RESULT.render("json"))
    first = values["segments"][0]
    assert {"id", "start", "end", "text", "avg_logprob", "no_speech_prob", "words"} <= set(first)
    assert first["words"][0] == {"word": "bin", "start": 0.2, "end": 0.6, "probability": 0.9}
    assert values["segments"][1]["words"] == []


def test_nothing_said_is_still_a_file() -> None:
    empty = _result()
    texts = {name: empty.render(name) for name in FORMATS}
    assert (texts["txt"], texts["srt"], texts["tsv"]) == ("\n", "", "start\tend\ttext\n")


def test_long_segments_become_several_subtitles() -> None:
    long = _segment(0.0, " ".join(["seventeen"] * 40))
    parts = list(cues(_result(long)))
    assert " ".join(cue.text.replace("\n", " ") for cue in parts) == long.text
    for cue in parts:
        assert cue.end - cue.start <= 7.0
        assert all(len(line) <= 42 for line in cue.text.split("\n"))
        assert cue.text.count("\n") <= 1
    assert all(a.end <= b.start for a, b in pairwise(parts))


def test_clock() -> None:
    assert clock(3661.5) == "01:01:01.500"
    assert clock(59.9996, ",") == "00:01:00,000"
    assert clock(-1e-9) == "00:00:00.000"


def test_unknown_format() -> None:
    with pytest.raises(ValueError, match="txt, srt, vtt, tsv, json, got 'doc'"):
        replace(RESULT).render("doc")


def test_subtitles_tell_whose_face_it_is() -> None:
    said = [("yes", 1, 0.0), ("no", 2, 1.0)]
    segments = tuple(
        Segment(start=at, end=at + 1, text=text, avg_logprob=0.0, face=face)
        for text, face, at in said
    )
    route = Route(modality="video", video_rate=2)
    result = TranscriptionResult(
        text="yes no", segments=segments, route=route, reason="", duration_s=2.0
    )
    assert [cue.text for cue in cues(result)] == ["face 1: yes", "face 2: no"]
    assert [segment["face"] for segment in result.to_dict()["segments"]] == [1, 2]
