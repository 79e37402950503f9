"""Requests from texts, as forms and command lines give them."""

import pytest

from avsr.commands.flags import told
from avsr.errors import SettingError, UsageError
from avsr.recognition.request import Request
from avsr.recognition.request_texts import (
    REQUEST_FIELDS,
    parse_audio_track,
    parse_face,
    parse_roi,
    request_from_texts,
)


def test_faces_parts_of_the_picture_and_tracks() -> None:
    assert [parse_face(value) for value in ("2", "all")] == [2, "all"]
    assert parse_roi("640, 0,640,720") == (640, 0, 640, 720)
    assert [parse_audio_track(value) for value in ("2", "deu")] == [2, "deu"]
    for value in ("0", "left"):
        with pytest.raises(SettingError) as refused:
            parse_face(value)
        assert told(refused.value).endswith("from 1 on (--face)")
    for value in ("1,2,3", "0,0,0,9", "a,b,c,d"):
        with pytest.raises(SettingError) as refused:
            parse_roi(value)
        assert told(refused.value).endswith("640,0,640,720 (--roi)")


def test_every_field_becomes_what_python_takes() -> None:
    texts = {
        "modality": "av", "audio_rate": "4", "video_rate": "2", "quality": "fast",
        "max_tokens_per_second": "9.5", "auto_rate": "true", "face": "2", "roi": "1,2,3,4",
        "audio_track": "deu", "start": "1.5", "end": "2", "keep_unsure": "1", "num_beams": "3",
        "ctc_weight": "0.5", "draft": "ctc",
    }  # fmt: skip
    assert texts.keys() == REQUEST_FIELDS.keys()
    expected = {
        "modality": "av", "audio_rate": 4, "video_rate": 2, "quality": "fast",
        "max_tokens_per_second": 9.5, "auto_rate": True, "face": 2, "roi": (1, 2, 3, 4),
        "audio_track": "deu", "start": 1.5, "end": 2.0, "keep_unsure": True, "num_beams": 3,
        "ctc_weight": 0.5, "draft": "ctc",
    }  # fmt: skip
    assert request_from_texts(texts) == Request().changed(expected)
    assert request_from_texts({}) == Request()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modality", "touch"),
        ("audio_rate", "0"),
        ("audio_rate", "4.5"),
        ("num_beams", "9999999999"),
        ("ctc_weight", "much"),
        ("start", "nan"),
        ("end", "-1"),
        ("auto_rate", "perhaps"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=value) as refused:
        request_from_texts({name: value})
    assert refused.value.settings == (name,)


def test_values_that_cannot_stand_together() -> None:
    with pytest.raises(UsageError, match="start < end"):
        request_from_texts({"start": "3", "end": "2"})
