"""Which sound track of several is read: by number, by language, or the one meant to be heard."""

from dataclasses import dataclass

import av
from av.container import InputContainer
from av.stream import Disposition

_UNKNOWN = ("", "und")
# Two-letter codes of languages, with the three-letter ones that containers write.
_LANGUAGES = {
    "ar": ("ara",), "cs": ("ces", "cze"), "da": ("dan",), "de": ("deu", "ger"),
    "el": ("ell", "gre"), "en": ("eng",), "es": ("spa",), "fi": ("fin",), "fr": ("fra", "fre"),
    "hi": ("hin",),
    "it": ("ita",), "ja": ("jpn",), "ko": ("kor",), "nl": ("nld", "dut"), "no": ("nor", "nob"),
    "pl": ("pol",), "pt": ("por",), "ru": ("rus",), "sv": ("swe",), "tr": ("tur",),
    "uk": ("ukr",), "zh": ("zho", "chi"),
}  # fmt: skip
_ASIDE = Disposition.comment | Disposition.visual_impaired | Disposition.descriptions

AudioTrackWish = int | str


class NoSuchTrackError(ValueError):
    """A sound track that was asked for and is not there; the message says what there is."""


@dataclass(frozen=True, kw_only=True)
class SoundTrack:
    """One of the sound tracks of a file.

    Attributes:
        number: from 1 on, in the file's order.
        language: as the file says, such as ``"eng"``; empty where it does not.
        is_default: whether the file says that players should choose it.
    """

    number: int
    language: str
    is_default: bool

    def __str__(self) -> str:
        return f"{self.number} ({self.language})" if self.language else str(self.number)


def list_sound_tracks(container: InputContainer) -> list[tuple[SoundTrack, av.AudioStream]]:
    """The sound tracks that can be decoded, best first: the default, else the first.

    Comments and descriptions of the picture come last.
    """
    found = []
    for number, stream in enumerate(container.streams.audio, start=1):
        if stream.codec_context is None:
            continue
        language = stream.metadata.get("language", "").lower()
        track = SoundTrack(
            number=number,
            language="" if language in _UNKNOWN else language,
            is_default=bool(stream.disposition & Disposition.default),
        )
        found.append((track, stream))
    found.sort(key=lambda one: (bool(one[1].disposition & _ASIDE), not one[0].is_default))
    return found


def choose_sound_track(
    container: InputContainer, wish: AudioTrackWish | None
) -> av.AudioStream | None:
    """The track that is wanted, or the best one; None where there is no sound.

    Raises:
        NoSuchTrackError: if the file has sound, but not the track that is asked for.
    """
    found = list_sound_tracks(container)
    if not found or wish is None:
        return found[0][1] if found else None
    for track, stream in found:
        if wish == track.number or (isinstance(wish, str) and _is_language(wish, track.language)):
            return stream
    known = ", ".join(str(track) for track, _ in sorted(found, key=lambda one: one[0].number))
    raise NoSuchTrackError(f"has no sound track {wish}; there are: {known}")


def _is_language(wish: str, language: str) -> bool:
    wish = wish.lower()
    tag = language.split("-")[0]
    same = (wish, *_LANGUAGES.get(wish, ()))
    families = [(short, *longs) for short, longs in _LANGUAGES.items() if wish in longs]
    return bool(tag) and (tag in same or language == wish or any(tag in one for one in families))
