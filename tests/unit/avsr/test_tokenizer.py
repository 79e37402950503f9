"""SentencePiece files become fast tokenizers with the same ids."""

import itertools

import pytest
import sentencepiece
from transformers import PreTrainedTokenizerFast

from avsr.tokenizer import (
    STREAM_TOKENS,
    add_model_tokens,
    load_sentencepiece,
    plain_ids,
)

SENTENCES = [
    " ".join(words)
    for words in itertools.product(
        ["bin", "lay", "place", "set"], ["blue", "green", "red"], ["at", "by", "with"],
        ["a", "f", "z"], ["zero", "seven"], ["again", "please"],
    )
]  # fmt: skip


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def model_file(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_prefix=str(folder / "pieces"),
        vocab_size=48,
        model_type=request.param,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return folder / "pieces.model"


def test_same_ids_as_sentencepiece(model_file):
    tokenizer = load_sentencepiece(model_file)
    reference = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    for text in [*SENTENCES, "  two  spaces ", "Unknown Letters?", ""]:
        assert plain_ids(tokenizer, text) == reference.encode(text), text


def test_sentences_survive_saving(model_file, tmp_path):
    tokenizer = load_sentencepiece(model_file)
    ids = add_model_tokens(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for text in SENTENCES:
        encoded = plain_ids(again, text)
        assert encoded == plain_ids(tokenizer, text)
        with_end = [*encoded, ids["eos_token_id"], ids["pad_token_id"]]
        assert again.decode(with_end, skip_special_tokens=True) == text


def test_added_tokens_come_last_and_in_the_published_order(model_file):
    tokenizer = load_sentencepiece(model_file)
    n_base = len(tokenizer)
    ids = add_model_tokens(tokenizer)
    assert ids["pad_token_id"] == n_base
    assert [ids[field] for field in STREAM_TOKENS] == [n_base + i for i in range(1, 5)]
    assert ids["bos_token_id"] == tokenizer.bos_token_id
    assert plain_ids(tokenizer, "<audio>") == [ids["audio_start_token_id"]]
    assert add_model_tokens(tokenizer) == ids  # nothing is added twice
    assert len(tokenizer) == n_base + 5


def test_a_tokenizer_with_padding_and_without_bos_gets_four_tokens(model_file):
    tokenizer = load_sentencepiece(model_file)
    tokenizer.bos_token = None
    tokenizer.pad_token = tokenizer.eos_token  # as Qwen's: one end-of-text token for both
    n_base = len(tokenizer)
    ids = add_model_tokens(tokenizer)
    assert len(tokenizer) == n_base + 4
    assert ids["bos_token_id"] is None
    assert ids["pad_token_id"] == ids["eos_token_id"]


def test_other_sentencepiece_models(tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_prefix=str(tmp_path / "c"), model_type="char",
        vocab_size=40, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    with pytest.raises(ValueError, match="neither a unigram nor a BPE"):
        load_sentencepiece(tmp_path / "c.model")
