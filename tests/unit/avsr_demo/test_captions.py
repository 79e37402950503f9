"""Captions that follow the words."""

from avsr.route import Route
from avsr.transcription import Segment, TranscriptionResult, Word
from avsr_demo.captions import following_captions


def _result(*segments: Segment) -> TranscriptionResult:
    return TranscriptionResult(
        text=" ".join(segment.text for segment in segments),
        segments=segments,
        route=Route(modality="av", audio_rate=4, video_rate=2),
        reason="",
        duration_s=3.0,
    )


def _word(word: str, start: float, end: float) -> Word:
    return Word(word=word, start=start, end=end, probability=0.9)


def test_each_word_lights_up_until_the_next_one() -> None:
    words = (_word("set", 0.4, 0.6), _word("<blue>", 0.7, 0.9))
    segment = Segment(start=0, end=3, text="set <blue>", avg_logprob=-0.1, words=words)

    assert following_captions(_result(segment)).split("\n\n") == [
        "WEBVTT",
        "00:00:00.400 --> 00:00:00.700\n<b>set</b> &lt;blue&gt;",
        "00:00:00.700 --> 00:00:00.900\nset <b>&lt;blue&gt;</b>\n",
    ]


def test_without_word_times_a_segment_is_one_caption() -> None:
    segment = Segment(start=61.0, end=62.5, text="set blue", avg_logprob=-0.1)

    assert "00:01:01.000 --> 00:01:02.500\nset blue\n" in following_captions(_result(segment))


def test_nothing_read_gives_an_empty_track() -> None:
    assert following_captions(None).strip() == "WEBVTT"
