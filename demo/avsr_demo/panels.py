"""The panels of the page as HTML. Everything that visitors or files bring in is escaped."""

from html import escape
from pathlib import Path
from urllib.parse import quote

from avsr.pretrained import LoadedModel
from avsr_demo.findings import Films, Findings
from avsr_demo.samples import Sample
from avsr_frontends.media import MediaInfo
from avsr_frontends.rates import SAMPLE_RATE, VIDEO_FPS

_READS = {"audio": "sound", "video": "lips", "av": "both together"}
_HOW_TO = (
    '<section class="how-to" aria-label="How to begin"><ol>'
    "<li><strong>Press a sample</strong>, or upload a recording, or record yourself.</li>"
    "<li><strong>Add babble</strong>: eight other voices, at 0 dB as loud as the one.</li>"
    "<li><strong>Compare</strong> what is heard, what is lip-read, and what both give together. "
    "You will see the face that was followed, the mouth as the model gets it, captions that follow "
    "the words, and what coarser compression costs.</li></ol></section>"
)


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


def babble_note(sample: Sample) -> str:
    """That a sample has babble of its own; empty for one that has none."""
    if sample.snr_db is None:
        return ""
    return (
        f'<p class="own-babble" role="status">“{escape(sample.title)}” has babble of its own, '
        f"SNR {sample.snr_db:g} dB; what you add here comes on top.</p>"
    )


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
    width, height = films.size or (16, 2)  # sound alone needs room for captions only
    return (
        '<section class="film" aria-label="What the machine saw">'
        f'<figure class="player" style="--tall: {height / width:.4f}">'
        '<video id="film-player" controls playsinline preload="auto" '
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
    own = None if findings.sample is None else findings.sample.snr_db
    babble = [] if own is None else [f"babble of its own, SNR {own:g} dB"]
    babble += [] if findings.snr_db is None else [f"babble added, SNR {findings.snr_db:g} dB"]
    rate = "?" if info.sample_rate is None else f"{info.sample_rate / 1000:g}"
    return f"{rate} → {SAMPLE_RATE // 1000} kHz", "; ".join(babble) or "as recorded"


def _data_url(captions: str) -> str:
    return f"data:text/vtt;charset=utf-8,{quote(captions)}"


def _url(path: Path) -> str:
    """Address of a result, relative to the page so that it works behind a proxy too."""
    return f"gradio_api/file={quote(str(path))}"
