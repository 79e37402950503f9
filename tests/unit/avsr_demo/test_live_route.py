"""The demo's live route: captions for its own page, babble, and nothing for other sites."""

import io
import json
import wave
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gradio", reason="needs the extra demo")

from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from avsr.live.sources import Sound
from avsr.live.wire import pack_sound
from avsr.recognizer import load
from avsr_demo.babble import babble
from avsr_demo.live_route import LiveRoute
from avsr_frontends.media import read_audio
from tests.demo_site import SAMPLES, SENTENCE

HERE = {"host": "localhost:7860"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    route = LiveRoute(load("grid-tiny", "cpu"))
    with TestClient(Starlette(routes=route.routes)) as made:
        yield made
    route.close()


@pytest.mark.parametrize("origin", ["http://localhost", "http://127.0.0.1:7860", None])
def test_the_page_is_captioned(client: TestClient, origin: str | None) -> None:
    wave_s = read_audio(SAMPLES / "clean.mp4")
    headers = HERE if origin is None else HERE | {"origin": origin}
    events: list[dict[str, Any]] = []
    with client.websocket_connect("/live", headers=headers) as socket:
        socket.send_text(json.dumps({"event": "start", "modality": "audio"}))
        events.append(socket.receive_json())
        for first in range(0, len(wave_s), 1600):
            sound = Sound(samples=wave_s[first : first + 1600], rate=16_000, time_s=first / 16_000)
            socket.send_bytes(pack_sound(sound))
        socket.send_text('{"event": "finish"}')
        while events[-1]["event"] != "done":
            events.append(socket.receive_json())
    words = [word["word"] for event in events for word in event.get("committed", ())]
    assert events[0]["event"] == "ready"
    assert " ".join(words) == SENTENCE


def test_another_site_is_refused(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/live", headers=HERE | {"origin": "https://elsewhere.example"}),
    ):
        pass


def test_a_wrong_wish_is_told(client: TestClient) -> None:
    with client.websocket_connect("/live") as socket:
        socket.send_text('{"event": "start", "modality": "smell"}')
        error = socket.receive_json()
    assert "modality must be one of" in error["error"]["message"]


def test_the_babble_is_the_one_of_recordings(client: TestClient) -> None:
    with wave.open(io.BytesIO(client.get("/live/babble.wav").content)) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (16_000, 1)
        heard = np.frombuffer(sound.readframes(sound.getnframes()), dtype=np.int16) / 32767
    np.testing.assert_allclose(heard, babble(), atol=1e-4)
