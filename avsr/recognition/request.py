"""What is asked of a recogniser for one input."""

from dataclasses import dataclass
from typing import Literal

from avsr.clips.reader import FaceWish, Roi
from avsr.errors import UsageError
from avsr.recognition.modality import RequestedModality
from avsr.recognition.rate_choice import Quality, RateWish
from avsr_frontends.sound_tracks import AudioTrackWish

FaceRequest = FaceWish | Literal["all"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """How one input is to be transcribed.

    Attributes:
        modality: what to use; ``"auto"`` takes sound and lips where both are there.
        audio_rate: audio encoder frames per token; None is the finest trained.
        video_rate: video encoder frames per token; None is the finest trained.
        num_beams: beams of the search; 1 is greedy; None is what the model was made for.
        ctc_weight: weight of the CTC heads in choosing among the beams; None likewise.
        draft: "ctc" to let the encoder's CTC head propose the text; greedy only, same text.
        start: seconds of the input at which to begin; None is its beginning.
        end: seconds of the input at which to stop; None is its end.
        keep_unsure: keep words that neither a voice nor moving lips support.
        face: whose lips, where there are several faces: of the one that speaks, of the largest, of
            the person of that number, or ``"all"``: everybody's, each for itself.
        roi: left, top, width and height in pixels of the part of the picture that is looked at.
        quality: preset of the rates that are not given; None is "best".
        max_tokens_per_second: most language-model tokens that a second of input may become.
        auto_rate: begin at coarse rates, and read finely only what needs it.
        audio_track: which of several sound tracks, by number from 1 on or by language; None is the
            one that the file marks as default, else the first that is not silent.
    """

    modality: RequestedModality = "auto"
    audio_rate: int | None = None
    video_rate: int | None = None
    num_beams: int | None = None
    ctc_weight: float | None = None
    draft: str | None = None
    start: float | None = None
    end: float | None = None
    keep_unsure: bool = False
    face: FaceRequest = "speaking"
    roi: Roi | None = None
    quality: Quality | None = None
    max_tokens_per_second: float | None = None
    auto_rate: bool = False
    audio_track: AudioTrackWish | None = None

    @property
    def rate_wish(self) -> RateWish:
        """What is said about rates."""
        return RateWish(
            audio_rate=self.audio_rate,
            video_rate=self.video_rate,
            quality=self.quality,
            max_tokens_per_second=self.max_tokens_per_second,
        )

    def __post_init__(self) -> None:
        if (self.start or 0.0) < 0 or (self.end is not None and self.end <= (self.start or 0.0)):
            raise UsageError(
                f"start and end must be seconds with 0 <= start < end, got {self.start} and "
                f"{self.end}"
            )
        if self.face == "all" and self.modality == "audio":
            raise UsageError("--face all reads lips, so --modality audio makes no sense with it")


def parse_face(value: str) -> FaceRequest:
    """Read the value of ``--face``.

    Raises:
        UsageError: if it is no face.
    """
    if value.isdecimal() and int(value) >= 1:
        return int(value)
    for name in ("speaking", "largest", "all"):
        if value == name:
            return name
    raise UsageError(f"--face {value!r}: give speaking, largest, all, or a number from 1 on")


def parse_roi(value: str) -> Roi:
    """Read ``x,y,w,h``.

    Raises:
        UsageError: if it is anything else.
    """
    parts = [part.strip() for part in value.split(",")]
    if len(parts) == 4 and all(part.isdecimal() for part in parts):
        left, top, width, height = map(int, parts)
        if width and height:
            return left, top, width, height
    raise UsageError(f"--roi {value!r}: give x,y,w,h in pixels, such as 640,0,640,720")
