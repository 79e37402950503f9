"""Search options on their way from a request to the search."""

from typing import Any

import pytest
from transformers import GenerationConfig

from avsr import Request, SearchOptions
from avsr.decoding.options import take_search
from avsr.errors import UsageError

MODELS_OWN = GenerationConfig(num_beams=8, ctc_weight=0.5)
HEADS = {"audio": True, "video": False}


@pytest.mark.parametrize(
    ("asked", "heads", "beams", "weight"),
    [
        (SearchOptions(), HEADS, 8, 0.5),
        (SearchOptions(num_beams=3), HEADS, 3, 0.5),
        (SearchOptions(num_beams=1), HEADS, 1, 0.0),  # greedy search has nothing to choose from
        (SearchOptions(ctc_weight=0.0), HEADS, 8, 0.0),
        (SearchOptions(draft="ctc"), HEADS, 1, 0.0),
        (SearchOptions(), {"video": False}, 8, 0.0),  # the model's own weight needs a head
    ],
)
def test_none_is_what_the_model_was_made_for(
    asked: SearchOptions, heads: dict[str, bool], beams: int, weight: float
) -> None:
    found = asked.resolved(MODELS_OWN, heads)
    assert (found.num_beams, found.ctc_weight, found.draft) == (beams, weight, asked.draft)
    assert found.resolved(MODELS_OWN, heads) == found


def test_a_reading_without_the_usual_draft_may_have_a_weight_of_its_own() -> None:
    models_own = GenerationConfig(num_beams=8, ctc_weight=0.2, ctc_weight_without_draft=0.6)
    without = SearchOptions(draft="none")
    assert without.resolved(models_own, HEADS).ctc_weight == 0.6
    assert SearchOptions().resolved(models_own, HEADS).ctc_weight == 0.2
    assert without.resolved(MODELS_OWN, HEADS).ctc_weight == 0.5
    asked = SearchOptions(draft="none", ctc_weight=0.1)
    assert asked.resolved(models_own, HEADS).ctc_weight == 0.1


def test_a_model_that_says_nothing_is_read_greedily() -> None:
    found = SearchOptions(max_new_tokens=7).resolved(GenerationConfig(), HEADS)
    assert found == SearchOptions(num_beams=1, ctc_weight=0.0, ctc_texts=0, max_new_tokens=7)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (SearchOptions(num_beams=0), "num_beams must be at least 1, got 0"),
        (SearchOptions(ctc_weight=1.5), "ctc_weight must be from 0 to 1, got 1.5"),
        (SearchOptions(draft="oracle"), 'draft must be one of ctc, none or None, got "oracle"'),
        (SearchOptions(draft="ctc", num_beams=4), "greedy search only, got 4 beams"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: SearchOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        asked.resolved(MODELS_OWN, HEADS)


@pytest.mark.parametrize("asked", [SearchOptions(draft="ctc"), SearchOptions(ctc_weight=0.3)])
def test_what_needs_a_head_is_refused_without(asked: SearchOptions) -> None:
    with pytest.raises(ValueError, match="no CTC head for video, so nothing can propose or judge"):
        asked.resolved(MODELS_OWN, {"video": False})


def test_options_are_told_apart_from_other_keywords() -> None:
    search, others = take_search({"num_beams": 4, "modality": "av"})
    assert (search, others) == (SearchOptions(num_beams=4), {"modality": "av"})
    assert take_search({"search": search})[0] is search
    with pytest.raises(TypeError, match="give search or num_beams, not both"):
        take_search({"search": search, "num_beams": 2})


def test_a_request_is_changed_by_the_names_that_users_know() -> None:
    request = Request(search=SearchOptions(num_beams=4), audio_rate=16)
    changed = request.changed({"ctc_weight": 0.3, "modality": "video", "video_rate": 5})
    assert changed.search == SearchOptions(num_beams=4, ctc_weight=0.3)
    assert (changed.modality, changed.audio_rate, changed.video_rate) == ("video", 16, 5)
    assert request.changed({}) == request
    whole: dict[str, Any] = {"search": SearchOptions(draft="ctc"), "num_beams": 1}
    assert request.changed(whole).search == SearchOptions(draft="ctc", num_beams=1)
    with pytest.raises(
        TypeError, match="no option 'beam_size'; give some of audio_rate, audio_track, auto_rate"
    ):
        request.changed({"beam_size": 3})
    with pytest.raises(UsageError, match="start and end"):
        request.changed({"start": 3.0, "end": 1.0})
