"""Choosing among several sound tracks: a silent one is not the end."""

from pathlib import Path

import numpy as np

from avsr.clips.clip import SILENCE_PEAK
from avsr_frontends.containers import open_media, tracks
from avsr_frontends.media import MediaError, MediaInfo, iter_audio
from avsr_frontends.sound_tracks import AudioTrackWish, SoundTrack


def choose_sound_track(
    path: Path,
    info: MediaInfo,
    wish: AudioTrackWish | None = None,
    start: float | None = None,
    end: float | None = None,
) -> tuple[AudioTrackWish | None, str]:
    """Decide which sound track of a file is read.

    Args:
        path: the file.
        info: what it holds.
        wish: the track that is asked for; None takes the one that the file marks as default, else
            the first, but another where that one is silent or cannot be decoded.
        start: seconds at which reading begins.
        end: seconds at which it ends.

    Returns:
        The track, and a sentence that says which it is; empty where there is no choice.

    Raises:
        MediaError: if the file has sound, but not the track that is asked for.
    """
    found = info.sound_tracks
    if wish is not None:
        with open_media(path) as container:
            tracks(container, wish)
        return wish, ""
    if len(found) < 2:
        return None, ""
    best, *others = found
    chosen, reason = best, "the default" if best.is_default else "the first"
    if not _is_audible(path, best, start, end):
        for other in others:
            if _is_audible(path, other, start, end):
                chosen, reason = other, f"track {best} is silent"
                break
    return chosen.number, f"of {len(found)} sound tracks, number {chosen} was read: {reason}"


def _is_audible(path: Path, track: SoundTrack, start: float | None, end: float | None) -> bool:
    """Whether anything can be heard on a track; read up to its first sound."""
    try:
        pieces = iter_audio(path, start, end, audio_track=track.number)
        return any(float(np.abs(piece).max(initial=0.0)) >= SILENCE_PEAK for piece in pieces)
    except MediaError:
        return False
