"""Which of sound and lips a clip is read from, and why."""

from dataclasses import dataclass
from typing import Literal

from avsr.clips.clip import Clip
from avsr.clips.read import MIN_FACE_COVERAGE
from avsr.errors import InputError
from avsr.route import Modality

RequestedModality = Literal["auto", "audio", "video", "av"]


@dataclass(frozen=True, kw_only=True)
class ModalityChoice:
    """A modality and the reason for it, ready to be shown.

    Attributes:
        modality: what the model is given.
        reason: a phrase such as ``"there is no sound"``.
        low_coverage: lips are used although the face was found in few frames.
    """

    modality: Modality
    reason: str
    low_coverage: bool = False


def choose_modality(clip: Clip, requested: RequestedModality) -> ModalityChoice | None:
    """Choose what a clip is read from.

    With ``"auto"``, sound and lips are used where both are there, else the one that is. A named
    modality is used even where the face was found in few frames, but never replaced by another.

    Returns:
        The choice, or None where there is sound but it is silent and there are no lips to read: a
        clip without speech.

    Raises:
        InputError: if the clip lacks what was asked for, or holds nothing that can be read.
    """
    if requested == "auto":
        return _choose(clip)
    no_sound, no_lips = _lack_of_sound(clip), _lack_of_lips(clip, coverage_needed=0.0)
    if requested in ("audio", "av") and clip.audio is None:
        raise InputError(
            f"{no_sound}, so modality {requested!r} is impossible; use 'video' or 'auto'",
            settings=("modality",),
        )
    if requested in ("video", "av") and no_lips:
        raise InputError(
            f"{no_lips}, so modality {requested!r} is impossible; use 'audio' or 'auto'",
            settings=("modality",),
        )
    if requested == "audio" and no_sound:
        return None
    low_coverage = requested != "audio" and bool(_lack_of_lips(clip, MIN_FACE_COVERAGE))
    return ModalityChoice(modality=requested, reason="as asked", low_coverage=low_coverage)


def fallback_modality(clip: Clip, wanted: Modality) -> Modality | None:
    """The part of a wanted modality that a clip allows; None where that is nothing.

    Only ``"av"`` has parts: without usable lips it becomes ``"audio"``, without sound ``"video"``.
    """
    heard = clip.audio is not None and clip.audio.size > 0
    seen = clip.mouth is not None and len(clip.mouth) > 0
    if wanted == "audio":
        return "audio" if heard else None
    if wanted == "video":
        return "video" if seen else None
    if heard and seen and not _lack_of_lips(clip, MIN_FACE_COVERAGE):
        return "av"
    return "audio" if heard else fallback_modality(clip, "video")


def _choose(clip: Clip) -> ModalityChoice | None:
    no_sound, no_lips = _lack_of_sound(clip), _lack_of_lips(clip, MIN_FACE_COVERAGE)
    if not no_sound and not no_lips:
        return ModalityChoice(modality="av", reason="there are sound and a face")
    if not no_sound:
        return ModalityChoice(modality="audio", reason=no_lips)
    if not no_lips:
        return ModalityChoice(modality="video", reason=no_sound)
    if clip.audio is None:
        raise InputError(f"{no_sound} and {no_lips}; nothing to transcribe")
    return None


def _lack_of_sound(clip: Clip) -> str:
    if clip.audio is None:
        return _missing(clip, "sound")
    return "the sound is silent" if clip.is_silent else ""


def _lack_of_lips(clip: Clip, coverage_needed: float) -> str:
    if clip.face is None and clip.mouth is not None and len(clip.mouth) > 0:
        return ""  # crops that somebody else has made: nothing is known of the face
    if clip.face is None or clip.face.n_frames == 0:
        return _missing(clip, "picture")
    if clip.mouth is None:
        return f"no face was found in {clip.face.n_frames} frames"
    if clip.face.coverage < coverage_needed:
        return (
            f"no usable face: found in {clip.face.coverage:.0%} of {clip.face.n_frames} frames, "
            f"{coverage_needed:.0%} needed"
        )
    return ""


def _missing(clip: Clip, track: str) -> str:
    if track in clip.undecodable:
        return f"the {track} cannot be decoded"
    return f"there is no {track}"
