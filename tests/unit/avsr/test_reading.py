"""Batches that shrink where memory runs out, and loops that are cut from what is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import avsr
from avsr.clips.clip import Clip
from avsr.errors import InputError
from avsr.recognition import reading
from avsr.recognition.hypotheses import Hypothesis
from avsr.recognition.request import Request
from avsr.route import Route
from avsr.timings import Timings
from tests.signals import tone

ROUTE = Route(modality="audio", audio_rate=4)


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> Any:
    return avsr.load(tiny_folder, device="cpu").loaded


def _read(loaded: Any, pieces: Sequence[Clip]) -> list[reading.Reading]:
    groups = [reading.PieceGroup(clips=pieces)]
    return reading.read_groups(loaded, groups, ROUTE, Request(), Timings())[0]


def test_batches_shrink_until_they_fit(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [Clip(audio=tone(0.5 + 0.1 * index, 150 + 40 * index)) for index in range(5)]
    calm = _read(loaded, pieces)
    encode = reading.encode
    sizes: list[int] = []

    def crowded(loaded: Any, *, waveforms: Sequence[np.ndarray], mouths: None) -> Any:
        sizes.append(len(waveforms))
        if len(waveforms) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(loaded, waveforms=waveforms)

    monkeypatch.setattr(reading, "encode", crowded)
    cramped = _read(loaded, pieces)
    assert sizes == [5, 2, 3, 1, 2]
    assert [one.hypothesis.text for one in cramped] == [one.hypothesis.text for one in calm]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_a_piece_that_never_fits_is_an_input_error(
    loaded: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*arguments: object, **streams: object) -> None:
        raise error

    monkeypatch.setattr(reading, "encode", full)
    with pytest.raises(InputError, match="memory is too small for a piece of 1 s"):
        _read(loaded, [Clip(audio=tone(1.0))])


def test_other_errors_are_not_taken_for_full_memory(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **streams: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(reading, "encode", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        _read(loaded, [Clip(audio=tone(1.0))])


def test_loops_are_cut(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = tuple(loaded.processor.tokenizer.convert_tokens_to_ids(["bin", "blue"] * 10))
    looping = Hypothesis(
        text="bin blue " * 10, avg_logprob=-0.1, token_ids=ids, token_log_probs=(-0.1,) * 20
    )
    monkeypatch.setattr(reading, "decode_fused", lambda *arguments, **options: [[looping]])
    (one,) = _read(loaded, [Clip(audio=tone(1.0))])
    assert (one.hypothesis.text, one.looped) == ("bin blue", True)
