"""What the page answers where the service cannot."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("gradio")
import gradio as gr

import avsr
from avsr_demo.limits import Limits, LineFullError
from avsr_demo.page import build_page
from avsr_demo.service import Service
from avsr_demo.storage import Storage
from avsr_demo.workers import Workers


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(
        recognizer=avsr.load("grid-tiny", "cpu"),
        limits=Limits(),
        storage=Storage(),
        workers=Workers(1),
    )
    yield made
    made.close()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LineFullError("2 visitors wait already. Please try again."), "2 visitors wait already."),
        (RuntimeError("tensor 0x7f"), "failed, and the reason is in the server&#x27;s log."),
    ],
)
def test_an_error_is_one_plain_sentence(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def fail(*given: Any) -> Iterator[Any]:
        raise error
        yield

    monkeypatch.setattr(Service, "explore", fail)
    read = next(fn.fn for fn in build_page(service).fns.values() if fn.name == "read")
    assert read is not None
    status, notes, *panels = list(read("clip.mp4", None, "none", "", 4, 2, gr.Request()))[-1]

    assert told in status
    assert 'role="alert"' in status
    assert "0x7f" not in status
    assert notes == ""
    assert "what a lip reader sees" in panels[0]


def test_without_a_recording_the_visitor_is_told_at_once(service: Service) -> None:
    read = next(fn.fn for fn in build_page(service).fns.values() if fn.name == "read")
    assert read is not None
    (told,) = read(None, None, "none", "", 4, 2, gr.Request())

    assert "Choose a sample, upload a recording, or record yourself first." in told[0]
