"""Several readings decoded together give what each gives alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import avsr
from avsr.decoding.options import SearchOptions
from avsr.model_parts.streams import EncodedStreams
from avsr.recognition import joint_decoding
from avsr.recognition.hypotheses import decode, encode
from avsr.recognition.joint_decoding import DecodingJob, decode_jobs
from avsr.route import Route
from tests.tiny import tiny_model, tiny_streams

SEARCHES = [
    SearchOptions(num_beams=1),
    SearchOptions(num_beams=3),
    SearchOptions(num_beams=1, draft="ctc"),
]


@pytest.fixture(scope="module")
def loaded() -> Any:
    return avsr.load("grid-tiny", device="cpu").loaded


@pytest.fixture(scope="module")
def jobs(loaded: Any) -> list[DecodingJob]:
    """All modalities and rates of two clips of unlike lengths; the lips are a little shorter."""
    random = np.random.default_rng(0)
    sounds = [random.normal(0, 0.1, n).astype(np.float32) for n in (64_000, 24_000)]
    mouths = [random.integers(0, 256, (n, 96, 96), dtype=np.uint8) for n in (90, 30)]
    streams = EncodedStreams(
        audio=encode(loaded, waveforms=sounds).audio, video=encode(loaded, mouths=mouths).video
    )
    routes = map(Route.parse, ("A4", "A16", "V2", "V5", "A16 V2"))
    return [DecodingJob(streams=streams.of(route), route=route) for route in routes]


def alone(loaded: Any, job: DecodingJob, search: SearchOptions) -> list[str]:
    return [hypothesis.text for hypothesis in decode(loaded, job.streams, job.route, search)]


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("max_rows", [1, 4, 100])
def test_the_texts_are_those_of_each_alone(
    loaded: Any, jobs: list[DecodingJob], max_rows: int, search: SearchOptions
) -> None:
    found = decode_jobs(loaded, jobs, max_rows=max_rows, search=search)
    texts = [[hypothesis.text for hypothesis in job] for job in found]
    assert texts == [alone(loaded, job, search) for job in jobs]


def test_few_rows_go_together(
    loaded: Any, jobs: list[DecodingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    original = joint_decoding.decode

    def counted(*arguments: Any) -> Any:
        found = original(*arguments)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(joint_decoding, "decode", counted)
    decode_jobs(loaded, jobs, max_rows=5)
    assert sizes == [4, 4, 2]


def test_other_adapters_go_apart() -> None:
    model = tiny_model(lora_strategy="shared+per_task").eval()
    loaded: Any = SimpleNamespace(model=model)
    jobs = [
        DecodingJob(streams=tiny_streams([20]).of(route), route=route)
        for route in map(Route.parse, ("A4", "V2", "A16"))
    ]
    assert list(joint_decoding.job_groups(loaded, jobs, 100)) == [[0, 2], [1]]
