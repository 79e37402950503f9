"""The tab *Live*: captions under one's own picture while one speaks."""

from pathlib import Path

import gradio as gr

from avsr.pretrained import LoadedModel
from avsr.route import Modality
from avsr_demo.live_route import LIMITS

_ASSETS = Path(__file__).parent / "assets"
_WAYS: tuple[tuple[Modality, str], ...] = (
    ("av", "Sound and lips"),
    ("audio", "Sound only"),
    ("video", "Lips only"),
)
_SNRS_DB = (10, 5, 0, -5, -10)


def add_live_tab(loaded: LoadedModel) -> None:
    """Add the tab to the page being built."""
    with gr.Tab("Live", elem_id="live-tab"):
        gr.HTML(
            _html(loaded),
            elem_id="live",
            css_template=(_ASSETS / "live.css").read_text(encoding="utf-8"),
            js_on_load=(_ASSETS / "live.js").read_text(encoding="utf-8"),
        )


def _html(loaded: LoadedModel) -> str:
    ways = [(name, title) for name, title in _WAYS if name in loaded.modalities]
    choices = "".join(f'<option value="{name}">{title}</option>' for name, title in ways)
    if len(ways) > 1:
        every = ",".join(name for name, _ in ways)
        choices += f'<option value="{every}">All of them, side by side</option>'
    noises = "".join(
        f'<option value="{level}">{f"+{level}" if level > 0 else level} dB</option>'
        for level in _SNRS_DB
    )
    titles = "".join(f'<template data-way="{name}">{title}</template>' for name, title in ways)
    return (
        '<section class="live" aria-label="Live captions">'
        '<div class="stage"><video class="picture" muted playsinline aria-label="Your picture">'
        '</video><p class="hint">Your picture appears here, with what you say below it.</p></div>'
        '<div class="captions"></div>'
        '<div class="bar"><button type="button" class="toggle">Start</button>'
        f'<label>Read by <select class="way">{choices}</select></label>'
        '<label>Babble, signal-to-noise ratio <select class="noise">'
        f'<option value="">none</option>{noises}</select></label></div>'
        '<p class="told" role="status"></p>'
        '<ol class="said" aria-label="What was said"></ol>'
        '<p class="privacy"><strong>Ask first.</strong> Camera and microphone are sent to the '
        "machine that serves this page while you see <em>Stop</em>, and nowhere else. Nothing is "
        "kept: what you read here is gone when you leave. Solid words stand, grey ones may change. "
        f"Up to {LIMITS.duration_s / 60:g} minutes at a time; what you say is best read in the "
        f"words that {loaded.name} knows.</p>{titles}</section>"
    )
