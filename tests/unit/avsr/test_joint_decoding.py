"""Several readings decoded together give what each gives alone."""

from typing import Any

import numpy as np
import pytest

import avsr
from avsr.recognition import joint_decoding
from avsr.recognition.hypotheses import decode, encode_audio, encode_video
from avsr.recognition.joint_decoding import DecodingJob, decode_jobs
from tests.tiny import tiny_model

SEARCHES = [{"num_beams": 1}, {"num_beams": 3}, {"num_beams": 1, "draft": "ctc"}]


@pytest.fixture(scope="module")
def loaded() -> Any:
    return avsr.load("grid-tiny", device="cpu").loaded


@pytest.fixture(scope="module")
def jobs(loaded: Any) -> list[DecodingJob]:
    """All modalities and rates of two clips of unlike lengths; the lips are a little shorter."""
    random = np.random.default_rng(0)
    sounds = [random.normal(0, 0.1, n).astype(np.float32) for n in (64_000, 24_000)]
    mouths = [random.integers(0, 256, (n, 96, 96), dtype=np.uint8) for n in (90, 30)]
    audio, video = encode_audio(loaded, sounds), encode_video(loaded, mouths)
    made = [DecodingJob(modality="audio", audio=audio, audio_rate=rate) for rate in (4, 16)]
    made += [DecodingJob(modality="video", video=video, video_rate=rate) for rate in (2, 5)]
    made.append(DecodingJob(modality="av", audio=audio, video=video, audio_rate=16, video_rate=2))
    return made


def alone(loaded: Any, job: DecodingJob, search: dict[str, Any]) -> list[str]:
    fields = {name: getattr(job, name) for name in DecodingJob.__dataclass_fields__}
    return [hypothesis.text for hypothesis in decode(loaded, **fields, **search)]


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("max_rows", [1, 4, 100])
def test_the_texts_are_those_of_each_alone(
    loaded: Any, jobs: list[DecodingJob], max_rows: int, search: dict[str, Any]
) -> None:
    found = decode_jobs(loaded, jobs, max_rows=max_rows, **search)
    texts = [[hypothesis.text for hypothesis in job] for job in found]
    assert texts == [alone(loaded, job, search) for job in jobs]


def test_few_rows_go_together(
    loaded: Any, jobs: list[DecodingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    original = joint_decoding.decode

    def counted(loaded: Any, modality: Any, **options: Any) -> Any:
        found = original(loaded, modality, **options)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(joint_decoding, "decode", counted)
    decode_jobs(loaded, jobs, max_rows=5)
    assert sizes == [4, 4, 2]


def test_other_adapters_go_apart() -> None:
    model = tiny_model(lora_strategy="shared+per_task").eval()
    loaded: Any = type("Loaded", (), {"model": model, "allow_untrained_rate": False})()
    jobs: Any = [
        type("Job", (), {"modality": m, "audio_rate": a, "video_rate": v, "n_clips": 1})()
        for m, a, v in (("audio", 4, None), ("video", None, 2), ("audio", 16, None))
    ]
    assert list(joint_decoding.job_groups(loaded, jobs, 100)) == [[0, 2], [1]]
