"""Pieces of several inputs are read together, each as it is read alone."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import avsr
from avsr.clips.clip import Clip
from avsr.clips.read import read_clip
from avsr.errors import InputError
from avsr.recognition import joint_reading
from avsr.recognition.joint_reading import JointReader
from avsr.recognition.reading import Reading, read_groups
from avsr.recognition.request import Request
from avsr.route import Route
from avsr.timings import Timings

SAMPLES = Path(__file__).parents[3] / "demo" / "samples"
FINE = Route(modality="audio", audio_rate=4)
COARSE = Route(modality="audio", audio_rate=16)


@pytest.fixture(scope="module")
def loaded() -> Any:
    return avsr.load("grid-tiny", device="cpu").loaded


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Nineteen pieces of different lengths and texts."""
    sounds = [read_clip(SAMPLES / f"{name}.mp4", picture=False) for name in ("clean", "babble_0db")]
    return [sounds[n % 2].cut(0.0, 1.0 + 0.1 * n) for n in range(19)]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Group sizes of each batch that is read; gathering goes on until nobody is missing."""
    seen: list[list[int]] = []

    def counted(loaded: Any, groups: Any, *rest: Any) -> Any:
        seen.append([len(group.clips) for group in groups])
        return read_groups(loaded, groups, *rest)

    monkeypatch.setattr(joint_reading, "read_groups", counted)
    monkeypatch.setattr(joint_reading, "GATHER_S", 60.0)
    return seen


def _read_at_once(
    reader: JointReader,
    inputs: Sequence[Sequence[Clip]],
    routes: Sequence[Route],
    requests: Sequence[Request],
) -> list[Any]:
    """Read each input in a thread of its own; its readings, or what it was refused with."""
    found: list[Any] = [None] * len(inputs)
    all_there = threading.Barrier(len(inputs))

    def work(number: int) -> None:
        with reader.at_work():
            all_there.wait()
            try:
                found[number] = reader.read(
                    inputs[number], routes[number], requests[number], Timings()
                )
            except Exception as error:
                found[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _values(readings: Sequence[Reading]) -> list[tuple[str, float, int]]:
    return [
        (one.hypothesis.text, round(one.hypothesis.avg_logprob, 3), len(one.words))
        for one in readings
    ]


def test_what_waits_together_is_read_together_as_alone(
    loaded: Any, clips: list[Clip], batches: list[list[int]]
) -> None:
    inputs = [clips[:1], clips[1:3], clips[3:6]]
    alone = [JointReader(loaded).read(one, FINE, Request(), Timings()) for one in inputs]
    assert batches == [[1], [2], [3]]
    batches.clear()
    cut = [Request(), Request(start=1.0), Request(keep_unsure=True)]  # nothing to the reading
    together = _read_at_once(JointReader(loaded), inputs, [FINE] * 3, cut)
    assert [sorted(sizes) for sizes in batches] == [[1, 2, 3]]
    assert [_values(one) for one in together] == [_values(one) for one in alone]
    texts = [reading.hypothesis.text for one in together for reading in one]
    assert len(set(texts)) > 3, "nothing could be mixed up"


def test_what_is_read_otherwise_is_read_apart(
    loaded: Any, clips: list[Clip], batches: list[list[int]]
) -> None:
    greedy = Request().changed({"num_beams": 1})
    inputs, routes = [clips[:1], clips[1:2], clips[2:3]], [FINE, COARSE, FINE]
    requests = [Request(), Request(), greedy]
    alone = [
        JointReader(loaded).read(one, route, request, Timings())
        for one, route, request in zip(inputs, routes, requests, strict=True)
    ]
    batches.clear()
    together = _read_at_once(JointReader(loaded), inputs, routes, requests)
    assert batches == [[1], [1], [1]]
    assert [_values(one) for one in together] == [_values(one) for one in alone]


def test_a_batch_is_never_too_large_and_an_input_is_cut_as_alone(
    loaded: Any, clips: list[Clip], batches: list[list[int]]
) -> None:
    _read_at_once(JointReader(loaded), [clips, clips[:2]], [FINE] * 2, [Request()] * 2)
    assert sorted(size for sizes in batches for size in sizes) == [2, 3, 16]
    assert max(sum(sizes) for sizes in batches) <= joint_reading.MAX_BATCH


@pytest.mark.usefixtures("batches")
def test_who_is_alone_does_not_wait(loaded: Any, clips: list[Clip]) -> None:
    reader = JointReader(loaded)
    started = time.monotonic()
    with reader.at_work():
        assert len(reader.read(clips[:2], FINE, Request(), Timings())) == 2
    assert time.monotonic() - started < joint_reading.GATHER_S / 2


def test_an_input_that_fails_does_not_harm_the_others(
    loaded: Any, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(loaded: Any, groups: Any, *rest: Any) -> Any:
        if any(len(group.clips) == 2 for group in groups):
            raise InputError("two are too many")
        return read_groups(loaded, groups, *rest)

    monkeypatch.setattr(joint_reading, "read_groups", picky)
    monkeypatch.setattr(joint_reading, "GATHER_S", 60.0)
    reader = JointReader(loaded)
    found = _read_at_once(reader, [clips[:1], clips[1:3]], [FINE] * 2, [Request()] * 2)
    assert len(found[0]) == 1
    assert isinstance(found[1], InputError)
    assert len(reader.read(clips[:1], FINE, Request(), Timings())) == 1
