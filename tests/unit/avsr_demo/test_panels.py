"""Panels of the page: what visitors bring in is shown, never run."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from avsr.pretrained import load_model
from avsr.route import Route
from avsr.transcription import Segment, TranscriptionResult, Word
from avsr_demo import panels, status
from avsr_demo.findings import Findings, Question, RateRow, Reading
from avsr_demo.rate_table import rate_table
from avsr_demo.readings import readings
from avsr_demo.samples import samples
from avsr_demo.words import sureness, words_html
from avsr_demo.workers import Waiting
from avsr_frontends.landmarks import TrackReport
from avsr_frontends.media import MediaInfo

_HOSTILE = '<img src=x onerror="alert(1)">'


def _result(*words: tuple[str, float]) -> TranscriptionResult:
    timed = tuple(
        Word(word=word, start=index, end=index + 0.5, probability=probability)
        for index, (word, probability) in enumerate(words)
    )
    text = " ".join(word for word, _ in words)
    segment = Segment(start=0, end=9, text=text, avg_logprob=-0.1, words=timed)
    return TranscriptionResult(
        text=text,
        segments=(segment,),
        route=Route(modality="av", audio_rate=4, video_rate=2),
        reason="",
        duration_s=9.0,
    )


def test_the_head_tells_why_another_model_reads() -> None:
    loaded = load_model("grid-tiny", "cpu")
    assert "in place of" not in panels.header(loaded)
    head = panels.header(replace(loaded, warnings=(f"it reads in place of {_HOSTILE}",)))
    assert "it reads in place of &lt;img" in head
    assert _HOSTILE not in head


def _findings(**changes: object) -> Findings:
    info = MediaInfo(
        path=Path("clip.mp4"),
        container="mov,mp4",
        duration_s=9.0,
        has_audio=True,
        has_video=True,
        fps=29.97,
        width=640,
        height=480,
        sample_rate=44_100,
        audio_start_s=0.0,
        video_start_s=0.0,
    )
    question = Question(path=info.path, route=Route(modality="av", audio_rate=4, video_rate=2))
    fields = {"question": question, "stage": "", "info": info, "duration_s": 9.0} | changes
    return Findings(**fields)  # pyright: ignore[reportArgumentType]


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)


def test_hostile_text_stays_text() -> None:
    reading = Reading(result=_result((_HOSTILE.replace(" ", "_"), 0.9), ("blue", 0.4)))
    route = Route(modality="av", audio_rate=4, video_rate=2)
    question = Question(path=Path("clip.mp4"), route=route, reference=f"set {_HOSTILE}")
    findings = _findings(question=question, readings={"av": reading}, warnings=(_HOSTILE,))
    html = readings(findings) + status.problem(_HOSTILE) + status.notes(findings)
    html += status.status(findings)

    assert "img" not in _Tags(html).names


@pytest.mark.parametrize(("readability", "n_banners"), [(0.1, 1), (0.9, 0), (None, 0)])
def test_a_text_that_is_doubted_as_a_whole_has_a_banner(
    readability: float | None, n_banners: int
) -> None:
    result = replace(_result(("set", 0.998)), readability=readability)
    findings = _findings(readings={"av": Reading(result=result)})
    html = status.notes(findings)

    assert html.count('class="banner" role="alert"') == n_banners
    assert len(findings.doubts) == n_banners


def test_sureness_shows_without_colour() -> None:
    html = words_html(_result(("set", 0.97), ("blue", 0.7), ("now", 0.2)), "", "Words")

    assert [sureness(p) for p in (0.97, 0.7, 0.2)] == ["sure", "fair", "doubtful"]
    assert "70%</sup>" in html
    assert ", doubtful, 20%</span>" in html
    assert "97%</sup>" not in html


def test_differences_name_what_was_said() -> None:
    html = words_html(_result(("set", 0.9), ("blew", 0.9), ("now", 0.9)), "set blue", "Words")

    assert '<span class="spoken-only">instead of: </span>blue' in html
    assert html.count("<del>") == 2  # one wrong, one that nobody said


def test_one_tab_stop_for_each_reading() -> None:
    html = words_html(_result(("set", 0.9), ("blue", 0.9)), "", "Words")

    assert html.count('tabindex="0"') == 1


def test_facts_tell_rates_coverage_and_babble() -> None:
    face = TrackReport(n_frames=225, coverage=0.8, face_width_px=120.0, gaps=[(1.8, 3.6)])
    html = panels.facts(_findings(face=face, snr_db=-5.0))

    assert "29.97 → 25 fps" in html
    assert "44.1 → 16 kHz" in html
    assert "80% of 225 frames" in html
    assert "SNR -5 dB" in html
    assert "left:20.0%;width:20.0%" in html


@pytest.mark.parametrize("stage", ["Listening", ""])
def test_status_is_spoken(stage: str) -> None:
    assert 'role="status"' in status.status(_findings(stage=stage))


def _two_segments() -> TranscriptionResult:
    """One of two stretches with a pause between, carried by sound; one of one word, by lips."""
    at = {"good": 0.5, "morning": 0.9, "thank": 2.4, "you": 62.5}
    first, second = (
        tuple(Word(word=name, start=at[name], end=at[name] + 0.3, probability=1) for name in names)
        for names in (("good", "morning", "thank"), ("you",))
    )
    segments = (
        Segment(
            start=0, end=9, text="good morning thank", avg_logprob=0, words=first, sound_share=0.9
        ),
        Segment(start=60, end=64, text="you", avg_logprob=0, words=second, sound_share=0.254),
    )
    return replace(_result(("good", 1)), text="good morning thank you", segments=segments)


def test_text_breaks_at_pauses_and_segments_and_tells_times() -> None:
    html = words_html(_two_segments(), "", "Words")

    assert [part[:6] for part in html.split('class="when">')[1:]] == ["0:00.5", "0:02.4", "1:02.5"]
    assert html.count('<p class="said">') == 3
    assert 'class="when"' not in words_html(_result(("set", 1), ("blue", 1)), "", "Words")


def test_a_bar_tells_which_stream_carried_each_segment() -> None:
    html = words_html(_two_segments(), "", "Words")

    assert html.count('class="share"') == 2  # one a segment, not one a line
    assert html.index("sound 90%, lips 10%") < html.index("sound 25%, lips 75%")
    assert "width:25%" in html
    assert 'class="share"' not in words_html(_result(("set", 1)), "", "Words")


def test_a_word_that_was_missed_stands_on_the_line_before_it() -> None:
    lines = words_html(_two_segments(), "good morning dear thank you", "Words").split("<p")

    assert "missed: </span>dear" in lines[1]
    assert "thank" in lines[2]


def test_the_copy_of_a_text_has_a_line_for_each_segment() -> None:
    html = readings(_findings(readings={"av": Reading(result=_two_segments())}))

    assert 'data-text="good morning thank\nyou"' in html
    assert html.count('class="copy"') == 1  # the others have no text yet


def test_a_sample_s_own_babble_is_told() -> None:
    by_id = {sample.id: sample for sample in samples()}
    own = panels.facts(_findings(sample=by_id["babble_0db"]))
    both = panels.facts(_findings(sample=by_id["babble_0db"], snr_db=5.0))

    assert "babble of its own, SNR 0 dB" in own
    assert "babble of its own, SNR 0 dB; babble added, SNR 5 dB" in both
    assert "as recorded" in panels.facts(_findings(sample=by_id["clean"]))
    assert "SNR 0 dB" in panels.babble_note(by_id["babble_0db"])
    assert panels.babble_note(by_id["clean"]) == ""


def test_the_end_carries_what_was_asked() -> None:
    route = Route(modality="av", audio_rate=16, video_rate=5)
    question = Question(path=Path("clip.mp4"), route=route, snr_db=-5.0, reference='say "set"')

    class Asked(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update({name: value for name, value in attrs if name == "data-asked"})

    found: dict[str, str | None] = {}
    Asked().feed(status.status(_findings(question=question)))

    expected = {"babble": "-5", "audio-rate": 16, "video-rate": 5, "reference": 'say "set"'}
    assert json.loads(found["data-asked"] or "") == expected


@pytest.mark.parametrize(("before", "text"), [(0, "You are next"), (3, "3 before you")])
def test_who_waits_is_told_the_place(before: int, text: str) -> None:
    assert text in status.in_line(Waiting(before=before))


def test_cells_of_the_table_say_what_they_are() -> None:
    route = Route(modality="av", audio_rate=4, video_rate=2)
    row = RateRow(
        route=route,
        text="set",
        n_tokens=74,
        seconds=0.5,
        real_time_factor=0.1,
        wer=0.5,
        chosen=True,
    )
    html = rate_table(_findings(rates=(row,)))

    assert '<td class="number" data-name="tokens">74</td>' in html
    assert '<td class="number" data-name="WER">50%</td>' in html
