"""The line that is always in sight: what is being done, what went wrong, whether it still holds."""

import json
from html import escape

from avsr_demo.findings import Findings, Question
from avsr_demo.workers import Waiting

_STEPS = 7  # findings that reading one recording gives, for the progress bar


def idle() -> str:
    """Before anything was asked for."""
    return '<div class="status" role="status"></div>'


def taken_up() -> str:
    """As soon as something was asked for."""
    return _busy("Starting", '<progress aria-label="Progress"></progress>')


def in_line(waiting: Waiting) -> str:
    """While others are read: how many come before."""
    before = "You are next" if waiting.before == 0 else f"{waiting.before} before you"
    return _busy(
        f"Waiting: other recordings are being read. {before}",
        '<progress aria-label="Waiting"></progress>',
    )


def status(findings: Findings) -> str:
    """The stage, spoken by screen readers as it changes; at the end, the time that it took.

    The end carries what was asked, so that the page can tell when its controls say otherwise.
    """
    if findings.stage:
        done = (
            1 + len(findings.readings) + (findings.face is not None) + (findings.films is not None)
        )
        return _busy(
            findings.stage,
            f'<progress max="{_STEPS}" value="{done}" aria-label="Progress"></progress>',
        )
    return (
        f'<div class="status done" role="status" data-asked="{_asked(findings.question)}">'
        f'<span class="fresh">Done in {findings.seconds:.1f} s.</span>'
        '<span class="stale">These readings are old: you have changed what they depend on. '
        '<button type="button" class="again">Read again</button></span></div>'
    )


def problem(message: str) -> str:
    """A plain message in place of the status."""
    return f'<div class="status problem" role="alert">{escape(message)}</div>'


def notes(findings: Findings) -> str:
    """What may have harmed the readings, and at the end what is doubted as a whole."""
    doubts = [] if findings.stage else findings.doubts
    banners = "".join(
        f'<p class="banner" role="alert">{escape(text[:1].upper() + text[1:])}.</p>'
        for text in doubts
    )
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in findings.warnings)
    return f'<div class="notes">{banners}{warnings}</div>' if banners or warnings else ""


def _busy(stage: str, bar: str) -> str:
    return f'<div class="status busy" role="status"><span>{escape(stage)} …</span>{bar}</div>'


def _asked(question: Question) -> str:
    """The values of the controls by their names on the page, as JSON for an attribute."""
    values = {
        "babble": "none" if question.snr_db is None else f"{question.snr_db:g}",
        "audio-rate": question.route.audio_rate,
        "video-rate": question.route.video_rate,
        "reference": question.reference,
    }
    return escape(json.dumps(values))
