"""What a live stream says, as plain values: the same on standard output and over a connection."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avsr.live.stream import LiveUpdate

__all__ = ["live_events"]


def live_events(update: "LiveUpdate") -> list[dict[str, Any]]:
    """The events of an update; none where nothing was read.

    Returns:
        Values for JSON: ``event`` is "level" (it reads more or less finely from now on) or "words"
        (committed ones with times, the guess behind them, whether a sentence ends).
    """
    events: list[dict[str, Any]] = []
    time_s = round(update.until_s, 2)
    if update.level_changed:
        events.append({"event": "level", "time": time_s, "level": update.level})
    if update.committed or update.sentence_ends or update.modality:
        words = {
            "event": "words",
            "time": time_s,
            "committed": [word.to_dict() for word in update.committed],
            "guess": " ".join(word.word for word in update.guess),
            "sentence_ends": update.sentence_ends,
            "modality": update.modality,
        }
        events.append(words)
    return events
