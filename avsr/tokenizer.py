"""Tokenizers: the marker tokens of a model, and SentencePiece files as fast tokenizers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

__all__ = [
    "PAD_TOKEN",
    "STREAM_TOKENS",
    "add_model_tokens",
    "load_sentencepiece",
    "load_tokenizer",
    "piece_spellings",
    "plain_ids",
    "whisper_start_ids",
]

PAD_TOKEN = "<pad>"
STREAM_TOKENS = {  # configuration field -> token
    "audio_start_token_id": "<audio>",
    "audio_end_token_id": "</audio>",
    "video_start_token_id": "<video>",
    "video_end_token_id": "</video>",
}
_ENGLISH_VOCABULARY = 51864  # of Whisper's models for English alone
_SPACE = "▁"  # SentencePiece's mark for a space


def add_model_tokens(tokenizer: Any) -> dict[str, int | None]:
    """Add the padding and marker tokens that are missing and return every special id.

    A base tokenizer that already has a padding token (Qwen) keeps it. New tokens get the next ids
    in the order of the published models: ``<pad> <audio> </audio> <video> </video>``.

    Returns:
        The token id fields of :class:`~avsr.config.AvsrConfig`; ``bos_token_id`` is None where the
        tokenizer begins no text with a BOS.
    """
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": PAD_TOKEN})
    present = tokenizer.get_vocab()
    missing = [token for token in STREAM_TOKENS.values() if token not in present]
    tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in missing])
    ids = {field: tokenizer.convert_tokens_to_ids(t) for field, t in STREAM_TOKENS.items()}
    ids["bos_token_id"] = tokenizer.bos_token_id if _begins_with_bos(tokenizer) else None
    ids["eos_token_id"] = tokenizer.eos_token_id
    ids["pad_token_id"] = tokenizer.pad_token_id
    return ids


def load_tokenizer(name_or_path: str | Path, **options: Any) -> Any:
    """Load a base model's tokenizer, from ``tokenizer.json`` as it is wherever there is one.

    A model's own tokenizer class may rebuild it with other rules than the file holds.

    Raises:
        OSError: there is no tokenizer.
    """
    try:
        return PreTrainedTokenizerFast.from_pretrained(name_or_path, **options)
    except (OSError, ValueError):  # only a SentencePiece file: the model's own class converts it
        return AutoTokenizer.from_pretrained(name_or_path, **options)


def whisper_start_ids(tokenizer: Any) -> list[int]:
    """What a Whisper text without times begins with; in a multilingual model, English speech.

    Raises:
        ValueError: the tokenizer is not Whisper's.
    """
    known = tokenizer.get_vocab()
    names = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    if names[0] not in known or names[-1] not in known:
        raise ValueError("drafts need Whisper's tokenizer beside the audio encoder")
    # English-only models know the other two as well, but were not trained to read them.
    chosen = names if len(known) > _ENGLISH_VOCABULARY else [names[0], names[-1]]
    return [known[name] for name in chosen]


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text without BOS and EOS."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def piece_spellings(tokenizer: Any, pieces: Sequence[int]) -> list[list[int]]:
    """Every token of a vocabulary spelt with a few of its tokens, longest match first.

    Capitals that are no piece are spelt in lower case; characters that no piece holds are left out.

    Args:
        tokenizer: whose vocabulary it is.
        pieces: token ids.

    Returns:
        For each token id the places in ``pieces`` of what spells it; empty for special tokens.

    Raises:
        ValueError: a piece is no token.
    """
    if max(pieces) >= len(tokenizer):
        raise ValueError(
            f"ctc_pieces holds {max(pieces)}, but the tokenizer has only {len(tokenizer)} tokens"
        )
    place_of = {piece: place for place, piece in enumerate(pieces)}
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    place_of_name = {names[piece]: place for piece, place in place_of.items()}
    longest = max(map(len, place_of_name))
    silent = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    spellings: list[list[int]] = []
    for token_id, name in enumerate(names):
        spelt: list[int] = []
        if token_id in place_of:
            spelt = [place_of[token_id]]
        elif token_id not in silent and name is not None:
            # marks of spaces are letters outside ASCII, and must stay what they are
            rest = "".join(c.lower() if c.isascii() else c for c in name)
            while rest:
                sizes = range(min(longest, len(rest)), 0, -1)
                size = next((n for n in sizes if rest[:n] in place_of_name), 0)
                if size:
                    spelt.append(place_of_name[rest[:size]])
                rest = rest[max(1, size) :]
        spellings.append(spelt)
    return spellings


def load_sentencepiece(model_file: str | Path) -> PreTrainedTokenizerFast:
    """Turn a SentencePiece model (unigram or BPE) into a fast tokenizer with the same ids.

    Its ``save_pretrained`` writes ``tokenizer.json``, so that SentencePiece is not needed again.

    Raises:
        ValueError: the file is no unigram or BPE model.
    """
    # SentencePiece's own message class needs a newer protobuf than mediapipe allows.
    from transformers.utils import sentencepiece_model_pb2_new as sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    proto.ParseFromString(Path(model_file).read_bytes())
    trainer = proto.trainer_spec
    if trainer.model_type == 1:
        model = models.Unigram(
            [(piece.piece, piece.score) for piece in proto.pieces],
            unk_id=trainer.unk_id,
            byte_fallback=trainer.byte_fallback,
        )
    elif trainer.model_type == 2:
        scores = {piece.piece: piece.score for piece in proto.pieces}
        model = models.BPE(
            vocab={piece.piece: index for index, piece in enumerate(proto.pieces)},
            merges=_bpe_merges(scores),
            unk_token=trainer.unk_piece,
            fuse_unk=True,
            byte_fallback=trainer.byte_fallback,
        )
    else:
        raise ValueError(f"{model_file} is neither a unigram nor a BPE SentencePiece model")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = _normalizer(proto.normalizer_spec)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(_SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    special = {
        name: proto.pieces[index].piece
        for name, index in (
            ("unk_token", trainer.unk_id),
            ("bos_token", trainer.bos_id),
            ("eos_token", trainer.eos_id),
            ("pad_token", trainer.pad_id),
        )
        if index >= 0
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **special
    )


def _begins_with_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer has a BOS of its own (Qwen names one but never uses it)."""
    bos = tokenizer.bos_token_id
    return not (bos is None or bos in (tokenizer.eos_token_id, tokenizer.pad_token_id))


def _bpe_merges(scores: dict[str, float]) -> list[tuple[str, str]]:
    """All pairs of pieces that make a piece, best pieces first."""
    merges = []
    for piece, score in scores.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in scores and right in scores:
                merges.append((-score, -scores[left], -scores[right], left, right))
    return [(left, right) for *_, left, right in sorted(merges)]


def _normalizer(spec: Any) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps.append(normalizers.Strip())
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    return normalizers.Sequence(steps)
