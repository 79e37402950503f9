"""The page: its panels, and what happens when a visitor uses its controls."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from avsr_demo import panels
from avsr_demo.controls import build_controls
from avsr_demo.endpoint import add_endpoint
from avsr_demo.findings import Findings
from avsr_demo.limits import RecordingError
from avsr_demo.live_tab import add_live_tab
from avsr_demo.samples import Sample
from avsr_demo.service import Service, question_of

QUEUE = "reading"  # page and API wait in one line
_MOST_WAITING = 32  # visitors in the queue; the next are told to come back
_KEEP_S = 900  # whatever is left of a visit is deleted after this time, in seconds
_N_PANELS = 6


def build_page(service: Service, n_workers: int) -> gr.Blocks:
    """Build the page.

    Args:
        service: answers the visitors.
        n_workers: visitors served at once; the others queue.
    """
    page = gr.Blocks(
        title="avsr: heard and lip-read", analytics_enabled=False, delete_cache=(60, _KEEP_S)
    )
    with page:
        gr.HTML(panels.header(service.recognizer.loaded))
        tabs = gr.Tabs()
    with page, tabs, gr.Tab("A recording"):
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320, elem_id="controls"):
                controls = build_controls(service.recognizer.loaded)
                status = gr.HTML(panels.waiting())
                gr.HTML(panels.consent(service.limits.duration_s))
            with gr.Column(scale=8, min_width=340, elem_id="results"):
                outputs = [status, gr.HTML(panels.readings(None)), gr.HTML(panels.film(None))]
                outputs += [gr.HTML() for _ in range(_N_PANELS - len(outputs))]
        reading: dict[str, Any] = {
            "fn": _reader(service),
            "inputs": controls.question,
            "outputs": outputs,
            "show_progress": "minimal",
            "show_progress_on": status,
            "concurrency_limit": n_workers,
            "concurrency_id": QUEUE,
            "api_visibility": "private",
        }
        gr.on([controls.read.click, controls.reference.submit], **reading)
        private: dict[str, Any] = {"queue": False, "api_visibility": "private"}
        for sample, button in controls.samples:
            chosen = [controls.recording, controls.reference]
            loaded = button.click(
                _sample_loader(sample), None, chosen, show_progress="hidden", **private
            )
            loaded.then(**reading)
        unseen: dict[str, Any] = {"outputs": status, "show_progress": "hidden", **private}
        controls.recording.upload(_holder(service), controls.recording, **unseen)
        controls.recording.clear(_clearer(service), None, **unseen)
        page.unload(_releaser(service))
        add_endpoint(service, n_workers, QUEUE)
    with page, tabs:
        add_live_tab(service.recognizer.loaded)
    page.queue(max_size=_MOST_WAITING, default_concurrency_limit=n_workers)
    return page


def _reader(service: Service) -> Callable[..., Iterator[tuple[Any, ...]]]:
    def read(
        path: str | None,
        reference: str,
        babble_db: float,
        audio_rate: int | None,
        video_rate: int | None,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        before: Findings | None = None
        try:
            question = question_of(path, reference, babble_db, audio_rate, video_rate)
            for findings in service.explore(_session(request), question):
                yield _update(findings, before)
                before = findings
        except RecordingError as error:
            empty = ("",) * (_N_PANELS - 3)
            yield panels.problem(str(error)), panels.readings(None), panels.film(None), *empty

    return read


def _update(findings: Findings, before: Findings | None) -> tuple[Any, ...]:
    """New content of the panels; one that has not changed is left alone, so that films play on."""

    def when_changed(render: Callable[[Any], str], *names: str) -> Any:
        same = before is not None and all(
            getattr(before, name) == getattr(findings, name) for name in names
        )
        return gr.skip() if same else render(findings)

    return (
        panels.status(findings),
        when_changed(panels.readings, "readings"),
        when_changed(lambda now: panels.film(now.films), "films"),
        when_changed(panels.facts, "face", "duration_s", "babble_db"),
        when_changed(panels.rate_table, "rates"),
        when_changed(lambda now: panels.downloads(now.films), "films"),
    )


def _sample_loader(sample: Sample) -> Callable[[], tuple[str, str]]:
    def load_sample() -> tuple[str, str]:
        return str(sample.path), sample.text

    return load_sample


def _holder(service: Service) -> Callable[..., str]:
    """Keeps a new upload; what was said of an earlier one goes."""

    def hold(path: str | None, request: gr.Request) -> str:
        if path is not None:
            question = question_of(path, "", 0, None, None)
            assert question.path is not None
            service.storage.hold(_session(request), question.path)
        return panels.waiting()

    return hold


def _clearer(service: Service) -> Callable[..., str]:
    release = _releaser(service)

    def clear(request: gr.Request) -> str:
        release(request)
        return panels.waiting()

    return clear


def _releaser(service: Service) -> Callable[..., None]:
    def release(request: gr.Request) -> None:
        service.storage.release(_session(request))

    return release


def _session(request: gr.Request) -> str:
    return request.session_hash or "no session"
