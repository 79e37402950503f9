"""The part of the page that reads a recording: controls on the left, results on the right."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from avsr_demo import panels
from avsr_demo import status as line
from avsr_demo.controls import FILM, NO_BABBLE, build_controls
from avsr_demo.findings import Findings
from avsr_demo.limits import RecordingError
from avsr_demo.rate_table import rate_table
from avsr_demo.readings import readings
from avsr_demo.samples import Sample
from avsr_demo.service import Service, question_of
from avsr_demo.workers import Waiting

_log = logging.getLogger(__name__)
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_AT_ONCE: dict[str, Any] = {"queue": False, "show_progress": "hidden", **_PRIVATE}


def add_recording_part(service: Service) -> None:
    """Add it to the page or tab being built."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320, elem_id="controls"):
            controls = build_controls(service.recognizer.loaded, service.limits.duration_s)
            gr.HTML(panels.consent(service.limits.duration_s))
        with gr.Column(scale=8, min_width=340, elem_id="results"):
            status, *others = _nothing_yet()
            outputs = [gr.HTML(status, elem_id="status-bar"), *(gr.HTML(html) for html in others)]
    reading: dict[str, Any] = {
        "fn": _reader(service),
        "inputs": controls.question,
        "outputs": outputs,
        "show_progress": "hidden",  # the status tells it
        "concurrency_limit": None,  # the service has a line of its own
        **_PRIVATE,
    }
    gr.on([controls.read.click, controls.reference.submit], **reading)
    recordings = [controls.film, controls.sound]
    chosen = [*recordings, controls.kinds, controls.reference, controls.babble_note, outputs[0]]
    for sample, button in controls.samples:
        loaded = button.click(_sample_loader(service, sample), None, chosen, **_AT_ONCE)
        loaded.then(**reading)
    for recording, other in (recordings, recordings[::-1]):
        gr.on(
            [recording.upload, recording.stop_recording],
            _holder(service),
            recording,
            [other, controls.babble_note, *outputs],
            **_AT_ONCE,
        )
        recording.clear(_clearer(service), None, [controls.babble_note, *outputs], **_AT_ONCE)


def _nothing_yet() -> tuple[str, ...]:
    """The panels before anything was read."""
    return line.idle(), "", readings(None), panels.film(None), "", "", ""


def _reader(service: Service) -> Callable[..., Iterator[tuple[Any, ...]]]:
    def read(
        film: str | None,
        sound: str | None,
        babble: float | str,
        reference: str,
        audio_rate: int | None,
        video_rate: int | None,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        before: Findings | None = None
        nothing = _nothing_yet()[1:]
        try:
            snr_db = None if babble == NO_BABBLE else float(babble)
            question = question_of(film or sound, reference, snr_db, audio_rate, video_rate)
            for news in service.explore(_session(request), question):
                if isinstance(news, Waiting):
                    yield line.in_line(news), *nothing
                    continue
                yield _update(news, before)
                before = news
        except RecordingError as error:
            yield line.problem(str(error)), *nothing
        except Exception:  # a visitor is told in a sentence, the log has the rest
            _log.exception("a recording could not be read")
            sorry = "Reading this recording failed, and the reason is in the server's log."
            yield line.problem(sorry), *nothing

    return read


def _update(findings: Findings, before: Findings | None) -> tuple[Any, ...]:
    """New content of the panels; one that has not changed is left alone, so that films play on."""

    def when_changed(render: Callable[[Any], str], *names: str) -> Any:
        same = before is not None and all(
            getattr(before, name) == getattr(findings, name) for name in names
        )
        return gr.skip() if same else render(findings)

    return (
        line.status(findings),
        when_changed(line.notes, "stage", "warnings"),
        when_changed(readings, "readings"),
        when_changed(lambda now: panels.film(now.films), "films"),
        when_changed(panels.facts, "face", "duration_s", "snr_db"),
        when_changed(rate_table, "rates"),
        when_changed(lambda now: panels.downloads(now.films), "films"),
    )


def _sample_loader(service: Service, sample: Sample) -> Callable[..., tuple[Any, ...]]:
    """Puts a sample in place of what was there, and says at once that it will be read."""

    def load_sample(request: gr.Request) -> tuple[Any, ...]:
        service.release(_session(request))
        film = str(sample.path)
        tab = gr.Tabs(selected=FILM)
        return film, None, tab, sample.text, panels.babble_note(sample), line.taken_up()

    return load_sample


def _holder(service: Service) -> Callable[..., tuple[Any, ...]]:
    """Keeps a new recording; the other kind of recording and all earlier results go."""

    def hold(path: str | None, request: gr.Request) -> tuple[Any, ...]:
        service.release(_session(request))
        if path is not None:
            service.storage.hold(_session(request), Path(path))
        return None, "", *_nothing_yet()

    return hold


def _clearer(service: Service) -> Callable[..., tuple[Any, ...]]:
    def clear(request: gr.Request) -> tuple[Any, ...]:
        service.release(_session(request))
        return "", *_nothing_yet()

    return clear


def _session(request: gr.Request) -> str:
    return request.session_hash or ""
