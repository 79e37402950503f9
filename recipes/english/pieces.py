"""The word pieces that CTC may say, and texts spelt with them: python recipes/english/pieces.py ...

Of the language model's vocabulary those that common words need; rarer words are spelt with shorter
ones, down to letters.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from speak import read_texts
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from avsr.manifest import read_manifest
from avsr.tokenizer import piece_spellings, plain_ids

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
MARK = "Ġ"  # what stands for a space in the vocabulary


class Speller:
    """Texts to rows of the list of pieces, and back.

    Args:
        tokenizer: the language model's.
        pieces: token ids; their order gives the rows.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pieces: list[int]) -> None:
        self.tokenizer, self.pieces = tokenizer, pieces
        self.spellings = piece_spellings(tokenizer, pieces)

    def encode(self, text: str) -> list[int]:
        """Rows of a text in lower-case words."""
        ids = plain_ids(self.tokenizer, f" {' '.join(text.split())}")
        return [row for token_id in ids for row in self.spellings[token_id]]

    def decode(self, rows: list[int]) -> str:
        """Text of rows."""
        return str(self.tokenizer.decode([self.pieces[row] for row in rows])).strip()


def choose_pieces(tokenizer: PreTrainedTokenizerBase, texts: list[str], least: int) -> list[int]:
    """Token ids that occur at least so often, and all letters with and without a space before."""
    counts: Counter[int] = Counter()
    for start in range(0, len(texts), 5000):
        batch = [f" {text}" for text in texts[start : start + 5000]]
        for ids in tokenizer(batch, add_special_tokens=False)["input_ids"]:
            counts.update(ids)
    names = [mark + letter for letter in LETTERS for mark in ("", MARK)] + [MARK]
    known = tokenizer.get_vocab()
    letters = {known[name] for name in names if name in known}
    return sorted({piece for piece, count in counts.items() if count >= least} | letters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", required=True, type=Path, help="sentences.tsv.gz")
    parser.add_argument("--manifest", type=Path, nargs="*", default=[], help="of training clips")
    parser.add_argument("--language-model", required=True, type=Path)
    parser.add_argument("--least", type=int, default=35)
    parser.add_argument("--out", required=True, type=Path)
    args = parser.parse_args()
    texts = [text for each in read_texts(args.texts).values() for text in each]
    for manifest in args.manifest:
        texts += 20 * [utterance.text for utterance in read_manifest(manifest)]
    tokenizer = AutoTokenizer.from_pretrained(args.language_model)
    pieces = choose_pieces(tokenizer, texts, args.least)
    args.out.write_text(json.dumps(pieces))
    print(f"{len(pieces)} pieces")


if __name__ == "__main__":
    main()
