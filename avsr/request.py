"""What is asked of a recogniser for one input."""

from dataclasses import dataclass

from avsr.errors import UsageError
from avsr.hypotheses import DEFAULT_BEAMS
from avsr.modality import RequestedModality


@dataclass(frozen=True, kw_only=True)
class Request:
    """How one input is to be transcribed.

    Attributes:
        modality: what to use; ``"auto"`` takes sound and lips where both are there.
        audio_rate: audio encoder frames per token; None is the finest trained.
        video_rate: video encoder frames per token; None is the finest trained.
        num_beams: beams of the search; 1 is greedy.
        draft: "ctc" to let the encoder's CTC head propose the text; greedy only, same text.
        start: seconds of the input at which to begin; None is its beginning.
        end: seconds of the input at which to stop; None is its end.
        keep_unsure: keep words that neither a voice nor moving lips support.
    """

    modality: RequestedModality = "auto"
    audio_rate: int | None = None
    video_rate: int | None = None
    num_beams: int = DEFAULT_BEAMS
    draft: str | None = None
    start: float | None = None
    end: float | None = None
    keep_unsure: bool = False

    def __post_init__(self) -> None:
        if (self.start or 0.0) < 0 or (self.end is not None and self.end <= (self.start or 0.0)):
            raise UsageError(
                f"start and end must be seconds with 0 <= start < end, got {self.start} and "
                f"{self.end}"
            )
