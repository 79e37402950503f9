"""A route: its text, its cost, and what a model was trained for."""

import pytest

from avsr.route import MODALITIES, Route, nearest_rate
from avsr.trained_route import trained_route
from tests.tiny import tiny_config

ROUTES = [
    Route(modality="audio", audio_rate=16),
    Route(modality="video", video_rate=5),
    Route(modality="av", audio_rate=4, video_rate=2),
]


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_texts_are_read_back(route: Route) -> None:
    assert Route.parse(route.text) == Route.parse(str(route)) == route


def test_texts() -> None:
    assert [str(route) for route in ROUTES] == ["audio A16", "video V5", "av A4 V2"]
    assert [route.text for route in ROUTES] == ["A16", "V5", "A4 V2"]
    assert ROUTES[2].in_words == "audio rate 4, video rate 2"
    assert str(Route(modality="av")) == "av"


@pytest.mark.parametrize(
    "text", ["", "av", "A", "A4 V", "V2 A4", "audio A4 V2", "av A4", "B4", "A-4"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match='such as "A4 V2"'):
        Route.parse(text)


def test_tokens_are_counted() -> None:
    assert [route.tokens_per_second for route in ROUTES] == [3.125, 5, 25]


def test_what_is_left_where_a_stream_is_missing() -> None:
    both = ROUTES[2]
    assert [both.by(modality).text for modality in MODALITIES] == ["A4", "V2", "A4 V2"]
    assert [route.streams for route in ROUTES] == [("audio",), ("video",), ("audio", "video")]
    assert (both.rate("audio"), both.rate("video")) == (both.audio, both.video) == (4, 2)


def test_the_finest_trained_rate_stands_for_none() -> None:
    config = tiny_config(audio_rates=[16, 4], video_rates=[5, 2])
    assert trained_route(config, "av") == Route.parse("A4 V2")
    assert trained_route(config, "av", 16) == Route.parse("A16 V2")
    assert trained_route(config, "video", 99, 5) == Route.parse("V5")  # no sound is used


@pytest.mark.parametrize(
    ("modality", "rates", "message"),
    [
        ("auto", (), "trained on \\(audio, video, av\\), got 'auto'"),
        ("av", (8, 2), "this model was not trained at audio rate 8; use 4 or 16 \\(or allow"),
        ("av", (4, 3), "not trained at video rate 3; use 2 or 5"),
        ("audio", (0,), "positive integer, got 0"),
    ],
)
def test_what_was_not_trained_is_refused(modality: str, rates: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trained_route(tiny_config(), modality, *rates)


def test_untrained_rates_can_be_allowed_where_the_compressor_can() -> None:
    route = trained_route(tiny_config(), "av", 8, 3, allow_untrained_rate=True)
    assert route == Route.parse("A8 V3")
    with pytest.raises(ValueError, match="stack compression fixes them"):
        trained_route(tiny_config(compression="stack"), "av", 8, 2, allow_untrained_rate=True)


def test_the_nearest_rate_is_nearest_by_ratio() -> None:
    assert [nearest_rate([4, 16], rate) for rate in (1, 7, 9, 16, 40)] == [4, 4, 16, 16, 16]
