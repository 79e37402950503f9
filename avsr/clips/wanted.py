"""What of an input is read."""

from dataclasses import dataclass
from typing import Literal

from avsr.clips.roi import Roi
from avsr_frontends.sound_tracks import AudioTrackWish

__all__ = ["FaceWish", "Wanted"]

FaceWish = Literal["largest", "speaking"] | int  # a number is that of a person, from 1 on


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The part of an input, and of its tracks, that is read.

    Attributes:
        start: seconds within the input.
        end: seconds within the input; None is its end.
        sound: whether the sound is wanted.
        picture: whether the picture is wanted.
        face: whose lips: of the largest face; of the person of that number; or of everybody, for
            the one who speaks to be chosen later.
        roi: the part of the picture that is looked at; None is all of it.
        audio_track: which of several sound tracks, by number from 1 on or by language; None is
            the one that the file marks as default, else the first that is not silent.
    """

    start: float = 0.0
    end: float | None = None
    sound: bool = True
    picture: bool = True
    face: FaceWish = "largest"
    roi: Roi | None = None
    audio_track: AudioTrackWish | None = None
