"""Reading for several beams: the same scores as reading each of their texts from the start."""

from typing import Any

import pytest
import torch
from torch import Tensor

from avsr.decoding.beams import RepeatingReader, TreeReader, beam_reader
from avsr.decoding.sequence import TokenSequence
from avsr.decoding.text_tree import TextTree
from tests.tiny import tiny_model

N_BEAMS = 3


@pytest.fixture(scope="module")
def language_model() -> Any:
    return tiny_model(lora_strategy=None).eval().language_model


@pytest.fixture(scope="module")
def prefix(language_model: Any) -> TokenSequence:
    """Three clips of which two are padded on the left."""
    generator = torch.Generator().manual_seed(0)
    embeds = torch.randn((3, 9, language_model.config.hidden_size), generator=generator)
    mask = torch.arange(9) >= torch.tensor([0, 2, 5])[:, None]
    return TokenSequence(embeds=embeds, mask=mask)


def from_the_start(language_model: Any, prefix: TokenSequence, clip: int, text: Tensor) -> Tensor:
    """Scores [V] after the prefix of one clip and a text [L], read without a cache."""
    embeds = prefix.embeds[clip, prefix.full_mask()[clip]]
    text_embeds = language_model.get_input_embeddings()(text)
    return language_model(inputs_embeds=torch.cat([embeds, text_embeds])[None]).logits[0, -1]


@torch.no_grad()
@pytest.mark.parametrize("kind", [TreeReader, RepeatingReader])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_beams_change_places_and_clips_leave(
    language_model: Any, prefix: TokenSequence, kind: Any, attention: str
) -> None:
    language_model.set_attn_implementation(attention)
    generator = torch.Generator().manual_seed(1)
    reader = kind(language_model, N_BEAMS)
    reader.read_prefix(prefix)
    clips = torch.arange(3)
    texts = torch.zeros((3, N_BEAMS, 0), dtype=torch.long)
    for step in range(30):  # more than the cache has reserved
        if step == 4:
            kept = torch.tensor([0, 2])
            reader.keep_rows(kept)
            clips, texts = clips[kept], texts[kept]
        shape = (len(clips), N_BEAMS)
        parents = torch.randint(0, N_BEAMS, shape, generator=generator)
        tokens = torch.randint(3, 32, shape, generator=generator)
        texts = torch.cat([texts[torch.arange(len(clips))[:, None], parents], tokens[..., None]], 2)
        scores = reader.read_beams(tokens, parents)
        if step % 5 == 4:
            for row, clip in enumerate(clips.tolist()):
                for beam in range(N_BEAMS):
                    wanted = from_the_start(language_model, prefix, clip, texts[row, beam])
                    torch.testing.assert_close(scores[row, beam], wanted, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_nothing_is_kept_twice(language_model: Any, prefix: TokenSequence) -> None:
    reader = beam_reader(language_model, N_BEAMS)
    reader.read_prefix(prefix)
    for _ in range(4):
        beams = torch.arange(N_BEAMS).expand(3, -1)
        reader.read_beams(beams + 3, beams)
    layer: Any = reader._cache.layers[0]
    assert len(layer.keys) == 3  # a row for each clip, not for each beam
    assert layer.get_seq_length() == 9 + 4 * N_BEAMS


@torch.no_grad()
@pytest.mark.parametrize("kind", [TreeReader, RepeatingReader])
def test_texts_are_looked_at_whole_and_nothing_of_them_stays(
    language_model: Any, prefix: TokenSequence, kind: Any
) -> None:
    texts = [
        [[4, 5, 6, 2], [4, 5, 7, 8, 2], [4, 5, 6, 2], [9]],
        [],
        [list(range(3, 30)) + list(range(3, 30))],  # more than the cache has reserved
    ]
    reader = kind(language_model, N_BEAMS)
    reader.read_prefix(prefix)
    for _ in range(2):
        found = reader.read_texts(texts)
        assert [len(own) for own in found] == [4, 0, 1]
        for clip, own in enumerate(texts):
            for text, log_probs in zip(own, found[clip], strict=True):
                wanted = [
                    from_the_start(language_model, prefix, clip, torch.tensor(text[:n]).long())
                    .log_softmax(-1)[token]
                    .item()
                    for n, token in enumerate(text)
                ]
                assert log_probs.tolist() == pytest.approx(wanted, abs=2e-4)
    reader.keep_rows(torch.tensor([2]))
    beams = torch.arange(N_BEAMS)[None]
    scores = reader.read_beams(beams + 3, beams)
    for beam in range(N_BEAMS):
        wanted = from_the_start(language_model, prefix, 2, torch.tensor([beam + 3]))
        torch.testing.assert_close(scores[0, beam], wanted, atol=1e-4, rtol=1e-4)


def test_what_texts_begin_with_is_there_once() -> None:
    tree = TextTree([[4, 5, 6, 2], [4, 5, 7, 8, 2], [9, 2]])
    assert tree.tokens == [4, 5, 6, 7, 8, 9]
    assert tree.paths == [[-1, 0, 1, 2], [-1, 0, 1, 3, 4], [-1, 5]]
    assert tree.shown().int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [1, 1, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
