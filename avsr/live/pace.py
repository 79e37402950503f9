"""How finely to read, and how often, so that captions never fall behind."""

from dataclasses import dataclass

__all__ = ["LEVELS", "Pace"]

LEVELS = (
    "fine rates",
    "quicker guesses",
    "coarse rates",
    "coarse rates and every second picture",
    "coarse rates and the sound alone",
)
_SLOW_LEVEL = 1  # slow readings alone do not go beyond: what is committed is read finely
_SHORTEST_S = 0.2  # between the beginnings of two readings
_SPARE = 1.3  # times a reading's length: what comes meanwhile must be looked at too
_SLOW_S = 0.5  # of a reading: coarser rates
_QUICKER = 0.8  # times the time of fine guesses: coarse ones that take more are not worth it
_TRIED = 3  # coarse guesses, after which this is judged
_NEWEST = 0.3  # weight of the newest guess in the mean time of its kind
_QUICK_S = 0.25  # of a reading: finer rates may be tried
_BEHIND_S = 0.8  # of input that waits, beside what came during the last reading
_LITTLE_S = 0.3
_QUIET_S = 6.0  # for so long little waited and readings were quick: the level before


@dataclass
class Pace:
    """Chooses the level and the time of the next reading.

    Attributes:
        level: index into :data:`LEVELS`.
        lowest: the last level that makes sense: without sound, the sound alone does not.
    """

    level: int = 0
    lowest: int = len(LEVELS) - 1
    _next: float = 0.0
    _since: float = 0.0  # the time of the last trouble
    _last_s: float = 0.0  # of the last reading
    _reading_s: float = 0.0  # likewise, 0 where the level has changed since
    _fine_cost: float = 0.0  # seconds of a guess for each second of its window
    _coarse_cost: float = 0.0
    _n_coarse: int = 0

    @property
    def guesses_finely(self) -> bool:
        """Whether guesses are read finely; where that is slow, only if coarsely is no quicker."""
        if self.level != _SLOW_LEVEL:
            return self.level == 0
        return self._n_coarse >= _TRIED and self._coarse_cost > _QUICKER * self._fine_cost

    @property
    def searches(self) -> bool:
        """Whether a sentence that is over is searched for as the request says."""
        return self.level <= _SLOW_LEVEL

    @property
    def is_slow(self) -> bool:
        """Whether the last reading took so long that another one is to be thought over."""
        return self._last_s > _QUICK_S

    @property
    def commits_finely(self) -> bool:
        """Whether words are read at the fine rates before they are committed."""
        return self.level < 2

    @property
    def skips_pictures(self) -> bool:
        """Whether every second picture is shown twice in place of the next."""
        return self.level == 3

    @property
    def is_blind(self) -> bool:
        """Whether pictures are not looked at."""
        return self.level == 4

    def is_due(self, now: float) -> bool:
        """Whether it is time for a reading."""
        return now >= self._next

    def has_read(self, now: float, seconds: float) -> None:
        """A reading that began at ``now`` took ``seconds``."""
        self._next = now + max(_SHORTEST_S, _SPARE * seconds)
        self._last_s = self._reading_s = seconds

    def has_guessed(self, window_s: float, seconds: float) -> None:
        """A guess at a window, by the rates that :attr:`guesses_finely` says, took ``seconds``."""
        cost = seconds / max(1.0, window_s)
        if self.guesses_finely:
            self._fine_cost = _mean(self._fine_cost, cost)
        else:
            self._coarse_cost = _mean(self._coarse_cost, cost)
            self._n_coarse += 1

    def adjust(self, now: float, behind_s: float) -> bool:
        """Change the level where it must or may be; whether it was changed.

        Args:
            now: seconds.
            behind_s: seconds of input that wait to be looked at.
        """
        waits = behind_s - self._reading_s
        is_slow = self._reading_s > _SLOW_S and self.level < _SLOW_LEVEL
        if waits > _LITTLE_S or self._reading_s > _QUICK_S:
            self._since = now
        if (is_slow or waits > _BEHIND_S) and self.level < self.lowest:
            self.level += 1
        elif now - self._since > _QUIET_S and self.level:
            self.level -= 1
        else:
            return False
        self._since, self._reading_s = now, 0.0
        return True


def _mean(mean: float, value: float) -> float:
    """A running mean; 0 is none yet."""
    return mean + _NEWEST * (value - mean) if mean else value
