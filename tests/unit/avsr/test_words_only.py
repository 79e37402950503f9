"""Punctuation and capitals are left out of what a model reads that writes words only."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from avsr.decoding.generation import AvsrGeneration
from avsr.recognition import hypotheses
from avsr.recognition.hypotheses import decode

PIECES = {1: " It's", 2: " to", 3: "day", 4: ".", 5: " -", 6: "'", 9: ""}


class Tokenizer:
    all_special_ids = (9,)

    def decode(self, ids: list[int]) -> str:
        return "".join(PIECES[int(i)] for i in ids)


def found() -> AvsrGeneration:
    ids = torch.tensor([[1, 5, 2, 3, 4, 9]])
    log_probs = torch.tensor([[-0.1, -0.2, -0.3, -0.4, -0.5, -0.6]])
    return AvsrGeneration(
        sequences=ids,
        token_log_probs=log_probs,
        sequence_scores=log_probs.mean(dim=1),
        lengths=torch.tensor([6]),
    )


@pytest.mark.parametrize(
    ("words_only", "text", "ids"),
    [(True, "it's today", (1, 2, 3)), (False, "It's - today.", (1, 5, 2, 3, 4))],
)
def test_marks_go_and_words_stay(
    monkeypatch: pytest.MonkeyPatch, words_only: bool, text: str, ids: tuple[int, ...]
) -> None:
    monkeypatch.setattr(hypotheses, "read_drafts", lambda *_: [None])
    monkeypatch.setattr(hypotheses, "_generate", lambda *_: found())
    config: Any = GenerationConfig()
    config.words_only = words_only
    tokenizer = Tokenizer()
    loaded: Any = SimpleNamespace(
        processor=SimpleNamespace(tokenizer=tokenizer, decode=tokenizer.decode),
        model=SimpleNamespace(generation_config=config),
    )
    nothing: Any = None
    (hypothesis,) = decode(loaded, nothing, nothing)
    assert hypothesis.text == text
    assert hypothesis.token_ids == ids
    of = {1: -0.1, 5: -0.2, 2: -0.3, 3: -0.4, 4: -0.5}
    assert hypothesis.token_log_probs == pytest.approx([of[i] for i in ids])
