"""What is asked of a recogniser for one input."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from avsr.clips.roi import Roi
from avsr.clips.wanted import FaceWish, Wanted
from avsr.decoding.options import SearchOptions
from avsr.errors import UsageError
from avsr.recognition.modality import RequestedModality
from avsr_frontends.sound_tracks import AudioTrackWish

FaceRequest = FaceWish | Literal["all"]
Quality = Literal["best", "balanced", "fast"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """How one input is to be transcribed.

    Modality and rates are a wish, which :mod:`avsr.recognition.rate_choice` turns into a route.

    Attributes:
        modality: what to use; ``"auto"`` takes sound and lips where both are there.
        audio_rate: audio encoder frames per token; None is the finest trained.
        video_rate: video encoder frames per token; None is the finest trained.
        quality: preset of the rates that are not given; None is "best".
        max_tokens_per_second: most language-model tokens that a second of input may become.
        auto_rate: begin at coarse rates, and read finely only what needs it.
        search: how texts are searched for.
        start: seconds of the input at which to begin; None is its beginning.
        end: seconds of the input at which to stop; None is its end.
        keep_unsure: keep words that neither a voice nor moving lips support.
        face: whose lips, where a file shows several faces: of the one that speaks, of the largest,
            of the person of that number (from 1 on, by first appearance, left before right), or
            ``"all"``: everybody's, each read by the lips alone where ``modality`` is ``"auto"``.
        roi: left, top, width and height in pixels of the part of the picture that is looked at.
        audio_track: which of several sound tracks, by number from 1 on or by language; None is the
            one that the file marks as default, else the first that is not silent.
    """

    modality: RequestedModality = "auto"
    audio_rate: int | None = None
    video_rate: int | None = None
    quality: Quality | None = None
    max_tokens_per_second: float | None = None
    auto_rate: bool = False
    search: SearchOptions = field(default_factory=SearchOptions)
    start: float | None = None
    end: float | None = None
    keep_unsure: bool = False
    face: FaceRequest = "speaking"
    roi: Roi | None = None
    audio_track: AudioTrackWish | None = None

    def __post_init__(self) -> None:
        if (self.start or 0.0) < 0 or (self.end is not None and self.end <= (self.start or 0.0)):
            raise UsageError(
                f"start and end must be seconds with 0 <= start < end, got {self.start} and "
                f"{self.end}"
            )
        if self.face == "all" and self.modality == "audio":
            raise UsageError(
                "face 'all' reads lips, so modality 'audio' makes no sense with it",
                settings=("face", "modality"),
            )

    def wanted(self, begin: float, *, sound: bool = True, picture: bool = True) -> Wanted:
        """What is read of an input.

        Args:
            begin: seconds within the input.
            sound: whether the model can use sound.
            picture: whether the model can use lips.
        """
        return Wanted(
            start=begin,
            end=self.end,
            sound=sound and self.modality != "video",
            picture=picture and self.modality != "audio",
            face="speaking" if self.face == "all" else self.face,
            roi=self.roi,
            audio_track=self.audio_track,
        )

    def changed(self, changes: Mapping[str, Any]) -> "Request":
        """The request with other values.

        Args:
            changes: by name, attributes of the request or of its search (``num_beams=4``).

        Raises:
            TypeError: there is no such option.
            UsageError: values that cannot stand together.
        """
        own = {item.name for item in fields(self)}
        searched = {item.name for item in fields(self.search)}
        unknown = [name for name in changes if name not in own | searched]
        if unknown:
            known = ", ".join(sorted((own | searched) - {"search"}))
            raise TypeError(f"there is no option {unknown[0]!r}; give some of {known}")
        search = replace(
            changes.get("search", self.search),
            **{name: value for name, value in changes.items() if name in searched},
        )
        kept = {name: value for name, value in changes.items() if name in own}
        return replace(self, **{**kept, "search": search})
