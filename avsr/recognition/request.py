"""What is asked of a recogniser for one input."""

from dataclasses import dataclass
from typing import Literal

from avsr.clips.reader import FaceWish, Roi
from avsr.errors import UsageError
from avsr.recognition.modality import RequestedModality
from avsr.recognition.rate_choice import Quality, RateWish

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
            raise UsageError("face 'all' reads lips, so modality 'audio' makes no sense with it")
