"""Panels of the page: what visitors bring in is shown, never run."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from avsr.pretrained import load_model
from avsr.route import Route
from avsr.transcription import Segment, TranscriptionResult, Word
from avsr_demo import panels
from avsr_demo.findings import Findings, Reading
from avsr_demo.words import sureness, words_html
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
    fields = {"stage": "", "info": info, "duration_s": 9.0} | changes
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
    findings = _findings(reference=f"set {_HOSTILE}", readings={"av": reading})
    html = panels.readings(findings) + panels.problem(_HOSTILE)

    assert "img" not in _Tags(html).names


@pytest.mark.parametrize(("readability", "n_banners"), [(0.1, 1), (0.9, 0), (None, 0)])
def test_a_text_that_is_doubted_as_a_whole_has_a_banner(
    readability: float | None, n_banners: int
) -> None:
    result = replace(_result(("set", 0.998)), readability=readability)
    findings = _findings(readings={"av": Reading(result=result)})
    html = panels.status(findings)

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
    html = panels.facts(_findings(face=face, babble_db=5.0))

    assert "29.97 → 25 fps" in html
    assert "44.1 → 16 kHz" in html
    assert "80% of 225 frames" in html
    assert "SNR -5 dB" in html
    assert "left:20.0%;width:20.0%" in html


@pytest.mark.parametrize("stage", ["Listening", ""])
def test_status_is_spoken(stage: str) -> None:
    assert 'role="status"' in panels.status(_findings(stage=stage))
