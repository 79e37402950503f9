"""Which words of a growing recording may be shown for good.

A word is committed when two successive readings agree on it and on all before it (local agreement,
Liu et al. 2020; for Whisper Macháček et al. 2023), where it ended some time before the recording
does and was read surely: a model that learned sentences completes half of one out of its head.
"""

from collections.abc import Sequence

from avsr.transcription import Word

__all__ = ["GUARD_S", "LocalAgreement", "tail_after"]

GUARD_S = 0.5  # a word that ends later than this before the recording's end may be half a word
LEAST_PROBABILITY = 0.9  # of a word that is committed before its sentence ends


class LocalAgreement:
    """The words of one window, read again and again while it grows.

    Attributes:
        committed: what is said for good, in order.
        guess: what the last reading had behind them.
    """

    def __init__(self) -> None:
        self.committed: list[Word] = []
        self.guess: list[Word] = []

    def agreeable(self, words: Sequence[Word], until: float) -> list[Word]:
        """What a reading would commit: the words behind the committed ones that it shares.

        Args:
            words: of the new reading, times in seconds.
            until: when the recording that was read ends, seconds.
        """
        agreed: list[Word] = []
        for word, before in zip(tail_after(self.committed, words), self.guess, strict=False):
            is_over = word.end <= until - GUARD_S
            if word.word != before.word or not is_over or word.probability < LEAST_PROBABILITY:
                break
            agreed.append(word)
        return agreed

    def add(self, words: Sequence[Word], until: float) -> list[Word]:
        """Take a reading; the words that are newly committed. Arguments as above."""
        agreed = self.agreeable(words, until)
        self.guess = tail_after(self.committed, words)[len(agreed) :]
        self.committed += agreed
        return agreed

    def finish(self, words: Sequence[Word]) -> list[Word]:
        """Take the last reading, of all that was said; the words that are newly committed."""
        rest = tail_after(self.committed, words)
        self.committed += rest
        self.guess = []
        return rest


def tail_after(committed: Sequence[Word], words: Sequence[Word]) -> list[Word]:
    """What a reading has behind the committed words, which it may have read otherwise.

    Args:
        committed: words that stand.
        words: of the reading.

    Returns:
        Its words behind those that are nearest to the committed ones by edit distance; of several
        such beginnings, behind one that ends alike, or is of the most similar length.
    """
    distances = list(range(len(words) + 1))  # of the committed so far to each beginning
    for number, word in enumerate(committed, start=1):
        above, distances = distances, [number]
        for index, other in enumerate(words):
            change = above[index] + (word.word != other.word)
            distances.append(min(change, above[index + 1] + 1, distances[index] + 1))
    last = committed[-1].word if committed else None

    def rank(end: int) -> tuple[int, bool, int]:
        ends_alike = end > 0 and words[end - 1].word == last
        return distances[end], not ends_alike, abs(end - len(committed))

    split = min(range(len(words) + 1), key=rank)
    return list(words[split:])
