"""The way of one clip through a model: a modality and its compression rates."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from avsr_frontends.rates import AUDIO_ENCODER_FPS, VIDEO_FPS

__all__ = [
    "MODALITIES",
    "TASKS",
    "Modality",
    "Route",
    "Stream",
    "nearest_rate",
]

Modality = Literal["audio", "video", "av"]
Stream = Literal["audio", "video"]

MODALITIES: tuple[Modality, ...] = ("audio", "video", "av")
TASKS: dict[str, str] = {"audio": "asr", "video": "vsr", "av": "avsr"}  # modality -> task

_TEXT = re.compile(r"(?:(audio|video|av)(?: |$))?(?:A(\d+))? ?(?:V(\d+))?")


@dataclass(frozen=True, kw_only=True)
class Route:
    """What a clip is read from, and how far each stream is shortened before it is read.

    Attributes:
        modality: "audio", "video" or "av".
        audio_rate: audio encoder frames (50/s) per token; None without audio.
        video_rate: video encoder frames (25/s) per token; None without video.
    """

    modality: Modality
    audio_rate: int | None = None
    video_rate: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read what :attr:`text` or ``str`` gives: ``"A4 V2"``, ``"V5"``, ``"av A4 V2"``.

        Raises:
            ValueError: if it is anything else.
        """
        found = _TEXT.fullmatch(text.strip())
        modality, audio, video = found.groups() if found else (None, None, None)
        given = {(True, True): "av", (True, False): "audio", (False, True): "video"}
        implied = given.get((audio is not None, video is not None))
        if implied is None or modality not in (None, implied):
            raise ValueError(f'a route is a text such as "A4 V2", "A16" or "V5", got "{text}"')
        return cls(
            modality=implied,  # pyright: ignore[reportArgumentType] a value of ``given``
            audio_rate=None if audio is None else int(audio),
            video_rate=None if video is None else int(video),
        )

    @property
    def text(self) -> str:
        """The rates alone, such as ``A4 V2``."""
        named = (("A", self.audio_rate), ("V", self.video_rate))
        return " ".join(f"{letter}{rate}" for letter, rate in named if rate is not None)

    def __str__(self) -> str:
        """Modality and rates, such as ``av A4 V2``."""
        return f"{self.modality} {self.text}".rstrip()

    @property
    def in_words(self) -> str:
        """The rates for a sentence, such as ``audio rate 4, video rate 2``."""
        named = (("audio", self.audio_rate), ("video", self.video_rate))
        return ", ".join(f"{stream} rate {rate}" for stream, rate in named if rate is not None)

    @property
    def audio(self) -> int | None:
        """The audio rate, as ``result.rates.audio`` tells it."""
        return self.audio_rate

    @property
    def video(self) -> int | None:
        """The video rate, as ``result.rates.video`` tells it."""
        return self.video_rate

    @property
    def task(self) -> str:
        """ "asr", "vsr" or "avsr"."""
        return TASKS[self.modality]

    @property
    def has_audio(self) -> bool:
        return self.modality != "video"

    @property
    def has_video(self) -> bool:
        return self.modality != "audio"

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams used, sound first."""
        return ("audio", "video") if self.modality == "av" else (self.modality,)

    def rate(self, stream: Stream) -> int | None:
        """Encoder frames per token of one stream."""
        return self.audio_rate if stream == "audio" else self.video_rate

    @property
    def tokens_per_second(self) -> float:
        """Language-model tokens that one second of input becomes."""
        audio = AUDIO_ENCODER_FPS / self.audio_rate if self.audio_rate else 0.0
        return audio + (VIDEO_FPS / self.video_rate if self.video_rate else 0.0)

    def by(self, modality: Modality) -> "Route":
        """What is left of the route where only ``modality`` can be used of a clip."""
        return Route(
            modality=modality,
            audio_rate=None if modality == "video" else self.audio_rate,
            video_rate=None if modality == "audio" else self.video_rate,
        )


def nearest_rate(trained: Sequence[int], rate: int) -> int:
    """The trained rate whose ratio to ``rate`` is nearest to one; itself if it was trained."""
    if rate in trained:
        return rate
    return min(trained, key=lambda other: abs(math.log(other / rate)))
