"""The three readings side by side, as HTML."""

from html import escape

from avsr.route import Modality
from avsr_demo.differences import word_errors
from avsr_demo.findings import Findings, Reading
from avsr_demo.words import FAIR, SURE, words_html

_WAYS: tuple[tuple[Modality, str, str], ...] = (
    ("audio", "Sound only", "what a speech recogniser hears"),
    ("video", "Lips only", "what a lip reader sees"),
    ("av", "Sound and lips", "both at once"),
)


def readings(findings: Findings | None) -> str:
    """The three readings, and what their marks mean."""
    cards = "".join(_card(way, findings) for way in _WAYS)
    legend = (
        '<p class="legend"><span class="word sure">sure</span> '
        f'<span class="word fair">fair<sup>{FAIR:.0%}+</sup></span> '
        f'<span class="word doubtful">doubtful<sup>&lt;{FAIR:.0%}</sup></span> '
        f"<span>Sure is {SURE:.0%} and more. Press a word to see its moment.</span></p>"
    )
    return f'<section aria-label="Readings"><div class="cards">{cards}</div>{legend}</section>'


def _card(way: tuple[Modality, str, str], findings: Findings | None) -> str:
    modality, title, subtitle = way
    reading = None if findings is None else findings.readings.get(modality)
    copy, busy = "", "false"
    if findings is None:
        body = f'<p class="empty">{subtitle}</p>'
    elif reading is None:
        body, busy = '<p class="empty pulse">reading …</p>', "true"
    else:
        body = _reading_html(reading, title, findings.question.reference)
        copy = _copy_button(reading, title)
    return (
        f'<article class="card {modality}" id="reading-{modality}" aria-busy="{busy}" '
        f'aria-label="{title}"><header><h2>{title}</h2>{copy}</header>{body}</article>'
    )


def _copy_button(reading: Reading, title: str) -> str:
    """Copies the text, a line for each segment; nothing where there is no text."""
    if reading.result is None or not reading.result.text:
        return ""
    text = "\n".join(segment.text for segment in reading.result.segments if segment.text)
    return (
        f'<button type="button" class="copy" data-text="{escape(text)}" '
        f'aria-label="Copy the text of {title.lower()}">Copy</button>'
    )


def _reading_html(reading: Reading, title: str, reference: str) -> str:
    result = reading.result
    if result is None:
        return f'<p class="closed">{escape(reading.problem)}</p>'
    errors = word_errors(reference, result.text)
    said = reference if errors is not None else ""
    text = words_html(result, said, f"Words, {title.lower()}")
    if not result.text:
        text = f'<p class="empty">No speech found.</p>{text if said else ""}'
    score = ""
    if errors is not None:
        plural = "word" if errors.n_words == 1 else "words"
        score = (
            f'<p class="score"><strong>{errors.wer:.0%}</strong> word error rate '
            f"<small>{errors.n_errors} of {errors.n_words} {plural}</small></p>"
        )
    return f"{text}{score}"
