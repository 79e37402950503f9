"""The controls of the page."""

from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from avsr.pretrained import LoadedModel
from avsr_demo.babble import LOUDEST_DB, QUIETEST_DB
from avsr_demo.samples import Sample, samples

_CAMERA = {
    "video": {
        "width": {"ideal": 1280},
        "height": {"ideal": 720},
        "frameRate": {"ideal": 25},
        "facingMode": "user",
    },
    "audio": True,
}


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What visitors operate.

    Attributes:
        recording: upload or webcam.
        samples: the buttons of the sample clips.
        reference: what is said.
        babble: level in dB relative to the voice.
        audio_rate: frames per token.
        video_rate: frames per token.
        read: starts the readings.
    """

    recording: gr.Video
    samples: list[tuple[Sample, gr.Button]]
    reference: gr.Textbox
    babble: gr.Slider
    audio_rate: gr.Radio
    video_rate: gr.Radio
    read: gr.Button

    @property
    def question(self) -> list[Any]:
        """The components whose values make a question."""
        return [self.recording, self.reference, self.babble, self.audio_rate, self.video_rate]


def build_controls(loaded: LoadedModel) -> Controls:
    """Lay the controls out, in the order in which they are used."""
    recording = gr.Video(
        label="Your recording",
        sources=["upload", "webcam"],
        include_audio=True,  # Gradio drops the sound of webcams otherwise
        webcam_options=gr.WebcamOptions(mirror=False, constraints=_CAMERA),
        elem_id="recording",
    )
    with gr.Row(elem_id="samples"):
        buttons = [
            (sample, gr.Button(sample.title, elem_id=f"sample-{sample.id}", size="sm"))
            for sample in samples()
        ]
    reference = gr.Textbox(
        label="What is said, if you know it",
        placeholder="set blue with t one please",
        info="Gives the word error rate and the words that differ.",
        max_lines=2,
        elem_id="reference",
    )
    babble = gr.Slider(
        QUIETEST_DB,
        LOUDEST_DB,
        value=QUIETEST_DB,
        step=1,
        label="Babble, in dB relative to the voice",
        info="Eight other voices. Far left: none.",
        elem_id="babble",
    )
    gr.HTML('<p id="babble-note" aria-live="polite">Babble: none</p>')
    with gr.Row():
        audio_rate = _rate_choice(loaded, "audio", "Sound rate")
        video_rate = _rate_choice(loaded, "video", "Lip rate")
    return Controls(
        recording=recording,
        samples=buttons,
        reference=reference,
        babble=babble,
        audio_rate=audio_rate,
        video_rate=video_rate,
        read=gr.Button("Read it three ways", variant="primary", elem_id="read"),
    )


def _rate_choice(loaded: LoadedModel, stream: Literal["audio", "video"], label: str) -> gr.Radio:
    rates = loaded.rates(stream)
    return gr.Radio(
        choices=rates,
        value=rates[0] if rates else None,
        label=label,
        info="encoder frames per token",
        visible=bool(rates),
        elem_id=f"{stream}-rate",
    )
