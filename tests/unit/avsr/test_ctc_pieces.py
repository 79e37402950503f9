"""How tokens are spelt with the pieces that tied CTC heads say."""

from avsr.model_parts.tied_ctc import MOST_PIECES, CtcPieces
from avsr.tokenizer import piece_spellings
from tests.byte_level import byte_tokenizer


def test_every_token_is_spelt_with_the_pieces() -> None:
    tokenizer = byte_tokenizer(["the", "then", "zebra"])
    tokenizer.add_special_tokens({"eos_token": "<end>"})
    known = tokenizer.get_vocab()
    names = ["Ġ", "Ġthe", "Ġz", "e", "b", "r", "a", "n"]
    pieces = [known[name] for name in names]
    table = piece_spellings(tokenizer, pieces)
    spelt = {name: [names[place] for place in table[index]] for name, index in known.items()}
    assert spelt["Ġthe"] == ["Ġthe"]
    assert spelt["Ġthen"] == ["Ġthe", "n"]
    assert spelt["Ġzebra"] == ["Ġz", "e", "b", "r", "a"]
    assert spelt["<end>"] == spelt["q"] == []
    model = CtcPieces(pieces, len(tokenizer))
    model.fill(table)
    ids = tokenizer(" the zebra then", add_special_tokens=False)["input_ids"]
    units = [unit for units in model.spell(ids) for unit in units]
    assert tokenizer.decode(model.tokens(units)) == " the zebra then"


def test_capitals_are_spelt_small_and_long_rows_are_cut() -> None:
    tokenizer = byte_tokenizer(["the"])
    names = ["Ġt", "h", "e"]
    known = tokenizer.get_vocab()
    vocabulary = {**known, "ĠTHE": len(known), "e" * 40: len(known) + 1}

    class Wider:
        """The tokenizer with two more plain tokens."""

        all_special_ids: tuple[int, ...] = ()

        def __len__(self) -> int:
            return len(vocabulary)

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return sorted(vocabulary, key=vocabulary.__getitem__)

        def get_added_vocab(self) -> dict[str, int]:
            return {}

    table = piece_spellings(Wider(), [known[name] for name in names])
    assert table[len(known)] == [0, 1, 2]
    pieces = CtcPieces([known[name] for name in names], len(vocabulary) + 5)
    assert pieces.spell([known["e"], known["x"]]) == [[2], []], "pieces spell themselves"
    pieces.fill(table)
    assert pieces.spell([len(known), len(known) + 1]) == [[0, 1, 2], [2] * MOST_PIECES]
    assert pieces.spell([len(vocabulary) + 4]) == [[]]
