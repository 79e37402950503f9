"""Word alignments: which word was heard as which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jiwer

from avsr.text import WordErrors

__all__ = ["AlignedWord", "Alignment", "align"]


@dataclass(frozen=True, kw_only=True)
class AlignedWord:
    """One place of an alignment.

    Attributes:
        reference: the word said; None where a word was invented.
        hypothesis: the word heard; None where a word was missed.
    """

    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """A reference and a hypothesis side by side, with the fewest possible errors."""

    words: tuple[AlignedWord, ...]

    @property
    def errors(self) -> WordErrors:
        """The counts; ``n_words`` may be 0."""
        kinds = [(word.reference is None, word.hypothesis is None) for word in self.words]
        wrong = [word.reference != word.hypothesis for word in self.words]
        return WordErrors(
            substitutions=sum(
                differs and kind == (False, False)
                for differs, kind in zip(wrong, kinds, strict=True)
            ),
            deletions=kinds.count((False, True)),
            insertions=kinds.count((True, False)),
            n_words=len(kinds) - kinds.count((True, False)),
        )

    def __str__(self) -> str:
        """One line: right words as they are, ``{said>heard}``, ``{missed>}`` and ``{>invented}``.

        Normalised words hold no braces, so the view is unambiguous.
        """
        return " ".join(
            word.reference
            if word.reference is not None and word.reference == word.hypothesis
            else f"{{{word.reference or ''}>{word.hypothesis or ''}}}"
            for word in self.words
        )


def align(references: Sequence[str], hypotheses: Sequence[str]) -> list[Alignment]:
    """Align each hypothesis to its reference word by word; either text may be empty.

    Args:
        references: normalised texts.
        hypotheses: normalised texts, as many.

    Raises:
        ValueError: if the numbers differ.
    """
    if len(references) != len(hypotheses):
        raise ValueError(f"got {len(hypotheses)} hypotheses for {len(references)} references")
    if not references:
        return []
    output = jiwer.process_words(list(references), list(hypotheses))
    return [
        Alignment(words=tuple(_words(reference, hypothesis, chunks)))
        for reference, hypothesis, chunks in zip(
            output.references, output.hypotheses, output.alignments, strict=True
        )
    ]


def _words(
    reference: list[str], hypothesis: list[str], chunks: Sequence[jiwer.AlignmentChunk]
) -> Iterator[AlignedWord]:
    for chunk in chunks:
        said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        heard = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        for place in range(max(len(said), len(heard))):
            yield AlignedWord(
                reference=said[place] if place < len(said) else None,
                hypothesis=heard[place] if place < len(heard) else None,
            )
