"""The server as OpenAI's own client sees it, and how it bears many at once."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from avsr.recognizer import Recognizer, load
from avsr.rendering import render
from avsr.serving.server import Server
from avsr_frontends.media import read_audio
from tests.clips import write_clip
from tests.serving import SAMPLES, ask, running_server, stored, wait_until

CLEAN = SAMPLES / "clean.mp4"
SENTENCE = "set blue with t one please"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load("grid-tiny", "cpu")


@pytest.fixture(scope="module")
def server(recognizer: Recognizer) -> Iterator[Server]:
    with running_server(recognizer, workers=4, queue=16, aliases=("whisper-1",)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Recordings of different lengths and texts."""
    folder = tmp_path_factory.mktemp("sounds")
    heard = [read_audio(SAMPLES / f"{name}.mp4") for name in ("clean", "babble_0db")]
    paths = []
    for number in range(10):
        path = folder / f"{number}.wav"
        sound = heard[number % 2][: 16_000 + 3_200 * number]
        write_clip(path, sound=sound, sound_codec="pcm_s16le")
        paths.append(path)
    return paths


def test_sound(client: Any, sounds: list[Path], recognizer: Recognizer) -> None:
    with sounds[-1].open("rb") as file:
        answer = client.audio.transcriptions.create(file=file, model="whisper-1")
    expected = recognizer.transcribe(sounds[-1])
    assert answer.text == expected.text != ""
    assert answer.modality == "audio"
    assert answer.usage.type == "duration"


def test_video_with_our_fields_beside(client: Any) -> None:
    answer = client.audio.transcriptions.create(
        file=CLEAN,
        model="grid-tiny",
        prompt="a film",
        extra_body={"modality": "video", "video_rate": 5},
    )
    assert answer.text == SENTENCE
    assert (answer.modality, answer.video_rate, answer.audio_rate) == ("video", 5, None)
    assert answer.warnings == ["the prompt is not used: this model takes none"]


def test_verbose(client: Any, recognizer: Recognizer) -> None:
    answer = client.audio.transcriptions.create(
        file=CLEAN,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
        temperature=0,
    )
    assert (answer.text, answer.language) == (SENTENCE, "english")
    assert answer.duration == pytest.approx(3.0, abs=0.1)
    expected = recognizer.transcribe(CLEAN).segments[0]
    assert [segment.text for segment in answer.segments] == [SENTENCE]
    assert [word.word for word in answer.words] == SENTENCE.split()
    assert [word.start for word in answer.words] == [round(w.start, 3) for w in expected.words]


def test_only_the_times_that_were_asked_for(client: Any) -> None:
    asked = {"file": CLEAN, "model": "whisper-1", "response_format": "verbose_json"}
    segments = client.audio.transcriptions.create(**asked)
    words = client.audio.transcriptions.create(**asked, timestamp_granularities=["word"])
    assert (segments.words, words.segments) == (None, None)
    assert segments.segments
    assert words.words


@pytest.mark.parametrize(
    ("response_format", "own"), [("text", "txt"), ("srt", "srt"), ("vtt", "vtt")]
)
def test_texts(client: Any, recognizer: Recognizer, response_format: str, own: str) -> None:
    answer = client.audio.transcriptions.create(
        file=CLEAN, model="whisper-1", response_format=response_format
    )
    assert answer == render(recognizer.transcribe(CLEAN), own)


def test_a_stream(client: Any, tmp_path: Path, recognizer: Recognizer) -> None:
    """Of half a minute: several stretches, so that words come before the end."""
    sound = read_audio(CLEAN)
    long = tmp_path / "long.wav"
    write_clip(long, sound=np.tile(sound, 11), sound_codec="pcm_s16le")
    events = list(client.audio.transcriptions.create(file=long, model="whisper-1", stream=True))
    kinds = [event.type for event in events]
    assert kinds[-1] == "transcript.text.done"
    assert set(kinds[:-1]) == {"transcript.text.delta"}
    assert len(kinds) > 3
    text = recognizer.transcribe(long).text
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == text


def test_what_goes_wrong_has_its_class(client: Any, tmp_path: Path) -> None:
    notes = tmp_path / "notes.mp4"
    notes.write_text("not a film")
    create = client.audio.transcriptions.create
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match=r"notes\.mp4: is not a media") as refused:
            list(create(file=notes, model="whisper-1", stream=stream))
        assert refused.value.code == "unreadable_file"
        assert refused.value.param == "file"
    with pytest.raises(openai.NotFoundError, match="does not exist") as unknown:
        create(file=CLEAN, model="gpt-5")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="/v1/chat/completions"):
        client.chat.completions.create(model="whisper-1", messages=[])


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["grid-tiny", "whisper-1"]
    assert client.models.retrieve("grid-tiny").owned_by == "avsr"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


def test_many_at_once_are_read_together_as_alone(server: Server, sounds: list[Path]) -> None:
    recognizer = server.service.transcriber.recognizer
    expected = {path: recognizer.transcribe(path).text for path in sounds}
    assert len(set(expected.values())) > 5, "nothing could be mixed up"
    before = recognizer.joint.n_batches, recognizer.joint.n_pieces
    asked = [*sounds, *sounds]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda path: ask(server, path), asked))
    assert [answer.status_code for answer in answers] == [200] * len(asked)
    assert [answer.json()["text"] for answer in answers] == [expected[path] for path in asked]
    n_batches = recognizer.joint.n_batches - before[0]
    assert n_batches < (recognizer.joint.n_pieces - before[1]) / 1.5
    assert stored(server) == []


def test_watching(server: Server) -> None:
    assert httpx.get(f"{server.address}/health").json() == {"status": "ok"}
    assert httpx.get(f"{server.address}/ready").json() == {"status": "ready"}
    metrics = httpx.get(f"{server.address}/metrics").text
    for name in ('avsr_requests_total{status="200"}', "avsr_batches_total", "avsr_speech_seconds"):
        assert name in metrics
    assert "clean" not in metrics


def test_keys(recognizer: Recognizer) -> None:
    with running_server(recognizer, workers=1, keys=("first", "second")) as closed:
        url = f"{closed.address}/v1"
        for key in ("first", "second"):
            assert list(openai.OpenAI(base_url=url, api_key=key).models.list())
        wrong = openai.OpenAI(base_url=url, api_key="third")
        with pytest.raises(openai.AuthenticationError) as refused:
            wrong.audio.transcriptions.create(file=CLEAN, model="grid-tiny")
        assert refused.value.code == "invalid_api_key"
        for path in ("/v1/models", "/v1/models/grid-tiny"):
            assert httpx.get(closed.address + path).status_code == 401
        assert httpx.get(f"{closed.address}/ready").status_code == 200


def test_a_full_line_refuses(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    transcribe = Recognizer.transcribe

    def held_up(self: Recognizer, *arguments: Any, **options: Any) -> Any:
        assert goes_on.wait(60)
        return transcribe(self, *arguments, **options)

    with running_server(recognizer, workers=1, queue=1) as small:
        monkeypatch.setattr(Recognizer, "transcribe", held_up)
        with ThreadPoolExecutor(2) as pool:
            inside = [pool.submit(ask, small, CLEAN) for _ in range(2)]
            wait_until(lambda: small.service.transcriber.line.n_inside == 2)
            refused = ask(small, CLEAN)
            ready = httpx.get(f"{small.address}/ready")
            goes_on.set()
            assert [one.result().json()["text"] for one in inside] == [SENTENCE] * 2
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert json.loads(refused.text)["error"]["code"] == "queue_full"
        assert ready.status_code == 503
        assert ask(small, CLEAN).status_code == 200


def test_stopping_finishes_what_runs(recognizer: Recognizer) -> None:
    with running_server(recognizer, workers=1) as ending, ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, ending, CLEAN) for _ in range(3)]
        wait_until(lambda: ending.service.transcriber.line.n_inside == 3)
        ending.stop()
        assert [one.result().json()["text"] for one in asked] == [SENTENCE] * 3
        wait_until(lambda: not ending.is_running)
    with pytest.raises(httpx.ConnectError):
        ask(ending, CLEAN)
