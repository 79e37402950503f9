"""The controls of the page."""

from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from avsr.pretrained import LoadedModel
from avsr_demo.babble import CHOICES_DB
from avsr_demo.samples import Sample, samples

NO_BABBLE = "none"
FILM, SOUND = "film", "sound"  # ids of the two tabs
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
        samples: the buttons of the sample clips.
        kinds: the tabs of film and sound.
        film: upload or webcam.
        sound: upload or microphone, for a recording without a picture.
        babble: ratio of the voice to the babble in dB, or ``NO_BABBLE``.
        babble_note: what is to be known of the recording's own babble, as HTML.
        read: starts the readings.
        reference: what is said.
        audio_rate: frames per token.
        video_rate: frames per token.
    """

    samples: list[tuple[Sample, gr.Button]]
    kinds: gr.Tabs
    film: gr.Video
    sound: gr.Audio
    babble: gr.Radio
    babble_note: gr.HTML
    read: gr.Button
    reference: gr.Textbox
    audio_rate: gr.Radio
    video_rate: gr.Radio

    @property
    def question(self) -> list[Any]:
        """The components whose values make a question."""
        recordings = [self.film, self.sound]
        return [*recordings, self.babble, self.reference, self.audio_rate, self.video_rate]


def build_controls(loaded: LoadedModel, limit_s: float) -> Controls:
    """Lay the controls out, in the order in which they are used."""
    buttons = _sample_buttons(loaded)
    with gr.Tabs(elem_id="recording") as kinds:
        with gr.Tab("Film", id=FILM):
            film = gr.Video(
                label="Your recording",
                show_label=False,
                sources=["upload", "webcam"],
                include_audio=True,  # Gradio drops the sound of webcams otherwise
                webcam_options=gr.WebcamOptions(mirror=False, constraints=_CAMERA),
                elem_id="film",
            )
        with gr.Tab("Only sound", id=SOUND):
            sound = gr.Audio(
                label="Your recording",
                show_label=False,
                sources=["upload", "microphone"],
                type="filepath",
                elem_id="sound",
            )
    gr.HTML(f'<p id="camera-note" role="status" data-limit-s="{limit_s:g}"></p>')
    babble = gr.Radio(
        choices=[NO_BABBLE, *((str(level), level) for level in CHOICES_DB)],
        value=NO_BABBLE,
        label="Add babble: signal-to-noise ratio (SNR) in dB",
        info="Eight other voices; at 0 dB as loud as the voice, below louder.",
        elem_id="babble",
    )
    babble_note = gr.HTML(elem_id="babble-note")
    read = gr.Button("Read it three ways", variant="primary", elem_id="read")
    reference = gr.Textbox(
        label="What is said, if you know it",
        placeholder="set blue with t one please",
        info="Gives the word error rate and the words that differ.",
        max_lines=2,
        elem_id="reference",
    )
    with gr.Row():
        audio_rate = _rate_choice(loaded, "audio", "Sound rate")
        video_rate = _rate_choice(loaded, "video", "Lip rate")
    return Controls(
        samples=buttons,
        kinds=kinds,
        film=film,
        sound=sound,
        babble=babble,
        babble_note=babble_note,
        read=read,
        reference=reference,
        audio_rate=audio_rate,
        video_rate=video_rate,
    )


def _sample_buttons(loaded: LoadedModel) -> list[tuple[Sample, gr.Button]]:
    """A button for each sample, with the model that it is for; the loaded model's come first."""
    gr.HTML(
        '<p class="samples-head"><strong>Press a sample</strong> '
        "– below each, the model it is made for</p>"
    )
    ordered = sorted(samples(), key=lambda sample: sample.model != loaded.name)
    with gr.Row(elem_classes="samples"):
        return [
            (sample, gr.Button(f"{sample.title}\n{sample.model}", elem_id=f"sample-{sample.id}"))
            for sample in ordered
        ]


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
