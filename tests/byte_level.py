"""A small byte-level tokenizer, as GPT-2's and SmolLM2's."""

from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import PreTrainedTokenizerFast


def byte_tokenizer(words: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level pieces: letters with and without a space before, and whole words."""
    letters = "abcdefghijklmnopqrstuvwxyz'"
    names = ["Ġ", *letters, *(f"Ġ{letter}" for letter in letters)]
    merges: list[tuple[str, str]] = [("Ġ", letter) for letter in letters]
    for word in words:
        left = f"Ġ{word[0]}"
        for letter in word[1:]:
            if (left, letter) not in merges:
                merges.append((left, letter))
            left += letter
            names.append(left)
    vocabulary = {name: index for index, name in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)
