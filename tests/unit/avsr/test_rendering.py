"""What a transcription looks like in each output format."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from avsr.rendering import FORMATS, SubtitleStyle, clock, render
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
    assert render(RESULT, "srt") == "1\n00:00:00,200 --> 00:00:01,600\nbin <b> blue\n"
    two = _result(_segment(0.0, "bin"), _segment(5.0, "a --> b", timed=False))
    assert render(two, "srt").split("\n\n")[1] == "2\n00:00:05,000 --> 00:00:08,000\na -> b\n"


def test_vtt_has_a_header_and_escapes_tags() -> None:
    assert render(RESULT, "vtt") == (
        "WEBVTT\n\n00:00:00.200 --> 00:00:01.600\nbin &lt;b&gt; blue\n"
    )
    assert render(_result(), "vtt") == "WEBVTT\n"


def test_tsv_is_in_milliseconds() -> None:
    assert render(RESULT, "tsv") == "start\tend\ttext\n200\t1600\tbin <b> blue\n"


def test_json_has_the_keys_of_openai_whisper() -> None:
    values = json.loads(render(RESULT, "json"))
    first = values["segments"][0]
    assert set(first) == {
        "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob",
        "compression_ratio", "no_speech_prob", "words",
    }  # fmt: skip
    assert (first["seek"], first["temperature"], first["tokens"]) == (0, 0.0, [])
    assert first["compression_ratio"] == pytest.approx(12 / 20)
    assert values["language"] == "en"
    assert first["words"][0] == {"word": "bin", "start": 0.2, "end": 0.6, "probability": 0.9}
    assert values["segments"][1]["words"] == []


def test_nothing_said_is_still_a_file() -> None:
    empty = _result()
    texts = {name: render(empty, name) for name in FORMATS}
    assert (texts["txt"], texts["srt"], texts["tsv"]) == ("\n", "", "start\tend\ttext\n")


def _blocks(subtitles: str) -> list[tuple[float, float, list[str]]]:
    """Start, end and lines of each cue of an SRT file."""
    found = []
    for block in subtitles.strip().split("\n\n") if subtitles else []:
        _, times, *lines = block.split("\n")
        start, end = (_seconds(time) for time in times.split(" --> "))
        found.append((start, end, lines))
    return found


def _seconds(time: str) -> float:
    hours, minutes, seconds = time.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("face", [None, 12])
@pytest.mark.parametrize(("width", "count"), [(42, 2), (30, 1), (60, 3), (5, 2)])
def test_long_segments_become_several_subtitles(
    timed: bool, face: int | None, width: int, count: int
) -> None:
    text = " ".join(["seventeen", "a", "words-that-do-not-fit-anywhere", "of"] * 10)
    words = _words(0.2, *text.split()) if timed else ()
    long = Segment(start=0.0, end=25.0, text=text, avg_logprob=0.0, words=words, face=face)
    style = SubtitleStyle(max_line_width=width, max_line_count=count, labels=True)
    blocks = _blocks(render(_result(long), "srt", style))
    label = "" if face is None else f"face {face}: "
    assert all(lines[0].startswith(label) for _, _, lines in blocks)
    shown = [" ".join(lines).removeprefix(label) for _, _, lines in blocks]
    assert " ".join(shown) == text
    for start, end, lines in blocks:
        assert 0 < end - start <= 7.0
        assert len(lines) <= count
        for line in lines:
            assert len(line) <= width or len(line.removeprefix(label).split()) == 1
    assert all(a[1] <= b[0] for a, b in pairwise(blocks))


def _said(start: float, end: float, text: str, face: int | None = None) -> Segment:
    """A segment whose piece begins half a second before its words."""
    texts = text.split()
    each_s = (end - start) / len(texts)
    words = tuple(
        Word(word=word, start=start + each_s * i, end=start + each_s * (i + 1), probability=0.9)
        for i, word in enumerate(texts)
    )
    return Segment(
        start=start - 0.5, end=end + 0.7, text=text, avg_logprob=0.0, words=words, face=face
    )


def test_a_pause_ends_a_cue() -> None:
    words = (*_words(0.5, "set", "blue"), *_words(3.0, "with", "t"))
    segment = Segment(start=0, end=5, text="set blue with t", avg_logprob=0.0, words=words)
    times = [(block[0], block[1]) for block in _blocks(render(_result(segment), "srt"))]
    assert times == [(0.5, 1.5), (3.0, 4.0)]  # the words end at 1.4 and 3.9


def test_cues_are_never_without_length_and_stay_a_second_where_there_is_room() -> None:
    words = tuple(
        Word(word=word, start=at, end=end, probability=1.0)
        for word, at, end in [
            ("one", 1.0, 1.0), ("two", 1.8, 1.8), ("three", 4.0, 4.2),
        ]
    )  # fmt: skip
    segment = Segment(start=0, end=5, text="one two three", avg_logprob=0.0, words=words)
    times = [(block[0], block[1]) for block in _blocks(render(_result(segment), "srt"))]
    assert times == [(1.0, 1.8), (1.8, 2.8), (4.0, 5.0)]
    at_once = tuple(Word(word="w" * 40, start=1.0, end=1.0, probability=1.0) for _ in range(5))
    crowded = Segment(start=1, end=1, text="x", avg_logprob=0.0, words=at_once)
    blocks = _blocks(render(_result(crowded), "srt"))
    assert len(blocks) == 3
    assert all(start < end for start, end, _ in blocks)
    assert all(a[1] <= b[0] for a, b in pairwise(blocks))


MEETING = _result(
    _said(5.0, 8.0, "what do you think", 2),
    _said(0.0, 4.0, "good morning to all of you", 1),
    _said(7.0, 10.0, "i think so too", 1),
    _said(11.0, 12.5, "fine", 2),
)


def test_cues_are_in_the_order_of_their_starts() -> None:
    for style in (SubtitleStyle(), SubtitleStyle(labels=True), SubtitleStyle(highlight_words=True)):
        starts = [start for start, _, _ in _blocks(render(MEETING, "srt", style))]
        assert starts == sorted(starts)
        assert len(starts) >= 4


def test_labels_stand_only_where_two_talk_at_once_or_are_asked_for() -> None:
    lines = [" ".join(lines) for _, _, lines in _blocks(render(MEETING, "srt"))]
    assert lines == [
        "good morning to all of you",
        "face 2: what do you think",
        "face 1: i think so too",
        "fine",
    ]
    asked = _blocks(render(MEETING, "srt", SubtitleStyle(labels=True)))
    assert [block[2][0][:8] for block in asked] == ["face 1: ", "face 2: ", "face 1: ", "face 2: "]
    in_turn = _result(_said(0, 4, "yes", 1), _said(5, 6, "no", 2), _said(6, 9, "yes", 1))
    assert "face" not in render(in_turn, "srt")
    assert "<v" not in render(in_turn, "vtt")


def test_webvtt_names_voices() -> None:
    lines = render(MEETING, "vtt").splitlines()
    assert "<v face 2>what do you think" in lines
    assert "good morning to all of you" in lines
    asked = render(MEETING, "vtt", SubtitleStyle(labels=True))
    assert asked.count("<v face ") == 4
    assert "face 1:" not in asked


def test_warnings_are_notes_of_webvtt() -> None:
    doubtful = replace(RESULT, warnings=("lips --> sound\nare apart",))
    assert render(doubtful, "vtt").startswith(
        "WEBVTT\n\nNOTE warning: lips --&gt; sound are apart\n\n00:00:00.200"
    )


def test_tables_span_the_words_and_name_speakers() -> None:
    rows = [line.split("\t") for line in render(MEETING, "tsv").splitlines()]
    assert rows == [
        ["start", "end", "text", "speaker"],
        ["0", "4000", "good morning to all of you", "face 1"],
        ["5000", "8000", "what do you think", "face 2"],
        ["7000", "10000", "i think so too", "face 1"],
        ["11000", "12500", "fine", "face 2"],
    ]
    torn = Segment(start=0, end=1, text="a\tb\nc", avg_logprob=0.0)
    assert render(_result(torn), "tsv") == "start\tend\ttext\n0\t1000\ta b c\n"


def test_json_spans_the_words_in_order() -> None:
    segments = json.loads(render(MEETING, "json"))["segments"]
    spans = [(one["id"], one["start"], one["end"], one["face"]) for one in segments]
    assert spans == [(0, 0.0, 4.0, 1), (1, 5.0, 8.0, 2), (2, 7.0, 10.0, 1), (3, 11.0, 12.5, 2)]
    assert segments[1]["seek"] == 450


def test_each_word_is_underlined_while_it_is_said() -> None:
    style = SubtitleStyle(highlight_words=True)
    said = _result(_segment(0.0, "bin <b> blue"))
    assert _blocks(render(said, "srt", style)) == [
        (0.2, 0.6, ["<u>bin</u> <b> blue"]),
        (0.6, 0.7, ["bin <b> blue"]),
        (0.7, 1.1, ["bin <u><b></u> blue"]),
        (1.1, 1.2, ["bin <b> blue"]),
        (1.2, 1.6, ["bin <b> <u>blue</u>"]),
    ]
    assert "<u>&lt;b&gt;</u>" in render(said, "vtt", style)


def test_a_style_without_room() -> None:
    with pytest.raises(ValueError, match="got 0 lines of 42"):
        SubtitleStyle(max_line_count=0)


def test_clock() -> None:
    assert clock(3661.5) == "01:01:01.500"
    assert clock(59.9996, ",") == "00:01:00,000"
    assert clock(-1e-9) == "00:00:00.000"


def test_unknown_format() -> None:
    with pytest.raises(ValueError, match="txt, srt, vtt, tsv, json, got 'doc'"):
        render(RESULT, "doc")
