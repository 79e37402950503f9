"""The endpoint of the demo for programs: one call, all readings."""

import secrets
from inspect import cleandoc
from typing import Any

import gradio as gr

from avsr import Request
from avsr.errors import AvsrError
from avsr_demo.limits import RecordingError
from avsr_demo.service import Service, question_of

ENDPOINT = "transcribe"


def add_endpoint(service: Service) -> None:
    """Add ``/transcribe`` to the page being built."""
    loaded = service.recognizer.loaded
    audio_rates, video_rates = loaded.rates("audio"), loaded.rates("video")

    def transcribe(
        video: str | None,
        reference: str,
        snr_db: float | None = None,
        audio_rate: float | None = None,
        video_rate: float | None = None,
    ) -> dict[str, Any]:
        """Read a recording from its sound, from its lips, and from both.

        The upload is deleted when the call returns. Errors say what is wrong in one sentence.

        Args:
            video: the recording, a film or only sound, within the limits that the page states.
            reference: what is said, for word error rates; may be empty.
            snr_db: mixes babble in, at this ratio of the voice to it in dB; default none at all.
            audio_rate: audio encoder frames per token, of the trained ones; default the finest.
            video_rate: video encoder frames per token, of the trained ones; default the finest.

        Returns:
            text and modality of the best reading; readings with words, times and probabilities by
            modality ("audio", "video", "av"); rates, the table of compression rates; warnings.
        """
        session = secrets.token_urlsafe(16)  # of this call: a client may make several at once
        try:
            question = question_of(video, reference, snr_db, audio_rate, video_rate)
            service.storage.hold(session, question.path)
            rates = question.route
            service.recognizer.check(
                Request(audio_rate=rates.audio_rate, video_rate=rates.video_rate)
            )
            return service.answer(session, question)
        except (RecordingError, AvsrError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        finally:
            service.release(session)

    with gr.Column(visible=False):
        inputs = [
            gr.Video(label="recording", include_audio=True),
            gr.Textbox("", label="what is said; may be empty"),
            gr.Number(None, label="SNR of the babble in dB; none without"),
            gr.Number(_finest(audio_rates), label=f"audio frames per token, of {audio_rates}"),
            gr.Number(_finest(video_rates), label=f"video frames per token, of {video_rates}"),
        ]
        output = gr.JSON(label="all readings")
        gr.Button("Transcribe").click(
            transcribe,
            inputs,
            output,
            api_name=ENDPOINT,
            api_description=cleandoc(transcribe.__doc__ or ""),
            concurrency_limit=None,  # the service has a line of its own
        )


def _finest(rates: list[int]) -> int | None:
    return rates[0] if rates else None
