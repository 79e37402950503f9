"""The panels of the page as HTML. Everything that visitors or files bring in is escaped."""

from html import escape
from pathlib import Path
from urllib.parse import quote

from avsr.pretrained import LoadedModel
from avsr.route import Modality
from avsr_demo.differences import word_errors
from avsr_demo.findings import Films, Findings, RateRow, Reading
from avsr_demo.words import FAIR, SURE, words_html
from avsr_frontends.media import MediaInfo
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

_WAYS: tuple[tuple[Modality, str, str], ...] = (
    ("audio", "Sound only", "what a speech recogniser hears"),
    ("video", "Lips only", "what a lip reader sees"),
    ("av", "Sound and lips", "both at once"),
)
_READS = {"audio": "sound", "video": "lips", "av": "both together"}
_HOW_TO = (
    '<section class="how-to" aria-label="How to begin"><ol>'
    "<li><strong>Choose</strong> a sample, upload a video, or record yourself with the webcam.</li>"
    "<li><strong>Disturb</strong> the sound: slide the babble to the right.</li>"
    "<li><strong>Compare</strong> what is heard, what is lip-read, and what both give together. "
    "You will see the face that was followed, the mouth as the model gets it, captions that follow "
    "the words, and what coarser compression costs.</li></ol></section>"
)
_STEPS = 7  # findings that reading one recording gives, for the progress bar


def header(loaded: LoadedModel) -> str:
    """Title, what the model can read, why it is not another, and its licence."""
    ways = ", ".join(_READS[modality] for modality in loaded.modalities)
    note = loaded.note.removeprefix(loaded.name).strip() or f"reads {ways}"
    licence = loaded.licence or "not stated; ask where it came from"
    warnings = "".join(f'<p class="model-line">{escape(line)}.</p>' for line in loaded.warnings)
    return (
        '<header class="masthead"><div class="wordmark" aria-hidden="true">'
        '<span class="wave"><i></i><i></i><i></i><i></i></span><span class="lips"></span></div>'
        "<div><h1>Heard and lip-read</h1>"
        "<p>When sound fails, lips still tell. Add babble and watch the three readings part.</p>"
        "</div></header>"
        f'<p class="model-line"><strong>{escape(loaded.name)}</strong> {escape(note)}. '
        f"<span>Licence of the model: {escape(licence)}.</span></p>{warnings}"
    )


def consent(limit_s: float) -> str:
    """The note on privacy under the controls."""
    return (
        '<aside class="consent" aria-label="Privacy"><strong>Ask first.</strong> Lip reading shows '
        "what people say out of earshot: use it only on people who know and agree. Recordings stay "
        "on the machine that serves this page, and are deleted when you replace them or leave. "
        f"Up to {limit_s:g} seconds, one face, looking at the camera.</aside>"
    )


def status(findings: Findings) -> str:
    """What is being done, spoken by screen readers as it changes; at the end, what is doubted."""
    if findings.stage:
        done = (
            1 + len(findings.readings) + (findings.face is not None) + (findings.films is not None)
        )
        return (
            f'<div class="status busy" role="status"><span>{escape(findings.stage)} …</span>'
            f'<progress max="{_STEPS}" value="{done}" aria-label="Progress"></progress></div>'
        )
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in findings.warnings)
    banner = "".join(
        f'<p class="banner" role="alert">{escape(text[:1].upper() + text[1:])}.</p>'
        for text in findings.doubts
    )
    return (
        f'<div class="status" role="status">{banner}'
        f"<span>Done in {findings.seconds:.1f} s.</span>{warnings}</div>"
    )


def problem(message: str) -> str:
    """A plain message in place of the status."""
    return f'<div class="status problem" role="alert">{escape(message)}</div>'


def waiting() -> str:
    """The status before anything was asked for."""
    return '<div class="status" role="status"></div>'


def readings(findings: Findings | None) -> str:
    """The three readings side by side, and what their marks mean."""
    cards = "".join(_card(way, findings) for way in _WAYS)
    legend = (
        '<p class="legend"><span class="word sure">sure</span> '
        f'<span class="word fair">fair<sup>{FAIR:.0%}+</sup></span> '
        f'<span class="word doubtful">doubtful<sup>&lt;{FAIR:.0%}</sup></span> '
        f"<span>Sure is {SURE:.0%} and more. Press a word to see its moment.</span></p>"
    )
    return f'<section aria-label="Readings"><div class="cards">{cards}</div>{legend}</section>'


def film(films: Films | None) -> str:
    """The film with captions, and the mouth in a loop; before there is one, what to do."""
    if films is None:
        return _HOW_TO
    mouth = ""
    if films.mouth is not None:
        mouth = (
            '<figure class="mouth"><button type="button" id="mouth-toggle" aria-pressed="false" '
            'aria-label="Pause the loop of the mouth">'
            f'<video id="mouth-loop" src="{_url(films.mouth)}" autoplay loop muted playsinline '
            'aria-hidden="true" tabindex="-1"></video></button>'
            "<figcaption>All that the lip reader is given: 96×96 grey pixels, "
            "aligned, 25 a second. Press to pause.</figcaption></figure>"
        )
    return (
        '<section class="film" aria-label="What the machine saw">'
        '<figure class="player"><video id="film-player" controls playsinline preload="auto" '
        f'src="{_url(films.player)}" aria-label="The recording as it was recognised">'
        f'<track kind="captions" srclang="en" label="Words" default '
        f'src="{_data_url(films.captions)}">'
        "</video><figcaption>Picture and sound as they were recognised, with the face that was "
        f"followed and the words as captions.</figcaption></figure>{mouth}</section>"
    )


def facts(findings: Findings | None) -> str:
    """Coverage, frame rates and sound of the recording."""
    if findings is None or findings.duration_s == 0:
        return ""
    info = findings.info
    items = [
        ("Face", *_face_fact(findings)),
        ("Picture", *_picture_fact(info)),
        ("Sound", *_sound_fact(findings)),
        ("Length", f"{findings.duration_s:.1f} s", info.container.split(",")[0]),
    ]
    rows = "".join(
        f'<div class="fact"><dt>{name}</dt><dd>{value}<small>{detail}</small></dd></div>'
        for name, value, detail in items
    )
    return f'<dl class="facts" aria-label="Facts about the recording">{rows}</dl>'


def rate_table(findings: Findings | None) -> str:
    """Compression rates against text and cost."""
    if findings is None or not findings.rates:
        return ""
    with_wer = any(row.wer is not None for row in findings.rates)
    wer_head = '<th scope="col" class="number">WER</th>' if with_wer else ""
    rows = "".join(_rate_row(row, with_wer) for row in findings.rates)
    return (
        '<section class="rates"><h2 id="rates-title">Coarser is cheaper</h2>'
        "<p>A rate is how many encoder frames become one token of the language model. "
        "Times run from waveform and mouth crops to text.</p>"
        '<div class="scroll" role="region" aria-labelledby="rates-title" tabindex="0"><table>'
        '<thead><tr><th scope="col">Sound</th><th scope="col">Lips</th><th scope="col">Text</th>'
        '<th scope="col" class="number">LLM tokens</th><th scope="col" class="number">ms</th>'
        '<th scope="col" class="number"><abbr title="real-time factor: seconds of work for each '
        f'second of recording">RTF</abbr></th>{wer_head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def downloads(films: Films | None) -> str:
    """Links to the best reading as files."""
    if films is None or not films.downloads:
        return ""
    titles = {"srt": "SubRip", "vtt": "WebVTT", "json": "JSON, with everything"}
    links = " ".join(
        f'<a class="download" href="{_url(path)}" download="{escape(path.name)}">'
        f"<strong>.{name}</strong> {titles[name]}</a>"
        for name, path in films.downloads.items()
    )
    return f'<nav class="downloads" aria-label="Downloads">{links}</nav>'


def _card(way: tuple[Modality, str, str], findings: Findings | None) -> str:
    modality, title, subtitle = way
    reading = None if findings is None else findings.readings.get(modality)
    if findings is None:
        body, busy = f'<p class="empty">{subtitle}</p>', "false"
    elif reading is None:
        body, busy = '<p class="empty pulse">reading …</p>', "true"
    else:
        body, busy = _reading_html(reading, title, findings.reference), "false"
    return (
        f'<article class="card {modality}" id="reading-{modality}" aria-busy="{busy}" '
        f'aria-label="{title}"><h2>{title}</h2>{body}</article>'
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


def _face_fact(findings: Findings) -> tuple[str, str]:
    face = findings.face
    if face is None or face.n_frames == 0:
        return "–", "no picture" if not findings.info.has_video else "looking …"
    if face.coverage == 0:
        return "none", f"in {face.n_frames} frames"
    gaps = "".join(
        f'<i style="left:{100 * start / findings.duration_s:.1f}%;'
        f'width:{100 * (end - start) / findings.duration_s:.1f}%"></i>'
        for start, end in face.gaps
    )
    return (
        f"{face.coverage:.0%} of {face.n_frames} frames",
        f'{face.face_width_px:.0f} pixels wide<span class="coverage" aria-hidden="true">'
        f"{gaps}</span>",
    )


def _picture_fact(info: MediaInfo) -> tuple[str, str]:
    if not info.has_video:
        return "none", ""
    fps = "?" if info.fps is None else f"{info.fps:.2f}".rstrip("0").rstrip(".")
    return f"{fps} → {VIDEO_FPS} fps", f"{info.width}×{info.height} pixels"


def _sound_fact(findings: Findings) -> tuple[str, str]:
    info = findings.info
    if not info.has_audio:
        return "none", ""
    babble = "as recorded"
    if findings.babble_db is not None:
        snr_db = -findings.babble_db or 0.0  # not -0
        babble = f"with babble, SNR {snr_db:+g} dB".replace("+0 dB", "0 dB")
    rate = "?" if info.sample_rate is None else f"{info.sample_rate / 1000:g}"
    return f"{rate} → {SAMPLE_RATE // 1000} kHz", babble


def _rate_row(row: RateRow, with_wer: bool) -> str:
    wer = "" if row.wer is None else f"{row.wer:.0%}"
    cells = [
        f"<td>{'–' if row.route.audio_rate is None else row.route.audio_rate}</td>",
        f"<td>{'–' if row.route.video_rate is None else row.route.video_rate}</td>",
        f'<td class="text">{escape(row.text) or "<em>nothing</em>"}</td>',
        f'<td class="number">{row.n_tokens}</td>',
        f'<td class="number">{1000 * row.seconds:.0f}</td>',
        f'<td class="number">{row.real_time_factor:.2f}</td>',
    ]
    if with_wer:
        cells.append(f'<td class="number">{wer}</td>')
    chosen = ' class="chosen" aria-current="true"' if row.chosen else ""
    return f"<tr{chosen}>{''.join(cells)}</tr>"


def _data_url(captions: str) -> str:
    return f"data:text/vtt;charset=utf-8,{quote(captions)}"


def _url(path: Path) -> str:
    """Address of a result, relative to the page so that it works behind a proxy too."""
    return f"gradio_api/file={quote(str(path))}"
