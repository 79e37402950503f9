"""Reading one window of a live recording: by what is there, finely or coarsely."""

from dataclasses import dataclass, replace

import numpy as np

from avsr.clips.clip import Clip
from avsr.errors import UsageError
from avsr.recognition.gates import judge
from avsr.recognition.joint_reading import JointReader
from avsr.recognition.rate_choice import choose_route
from avsr.recognition.request import Request
from avsr.recognition.speech_evidence import Evidence
from avsr.route import MODALITIES, Modality
from avsr.timings import Timings
from avsr.transcription import Word
from avsr_frontends.rates import MOUTH_SIZE, SAMPLE_RATE, VIDEO_FPS

__all__ = ["LiveReader", "ReadWords", "check_live"]

_LONGEST_S = 10.0  # a longer sentence is cut at a quiet moment: each reading begins at its start


def check_live(request: Request) -> None:
    """Check that a request makes sense where nothing has an end yet.

    Raises:
        UsageError: naming what does not.
    """
    plain = Request()
    for name in ("start", "end", "face", "roi", "audio_track", "auto_rate"):
        if getattr(request, name) != getattr(plain, name):
            raise UsageError(
                f"{name} says which part of a file is read, or how; a live stream has none: leave "
                "it out",
                settings=(name,),
            )


@dataclass(frozen=True, kw_only=True)
class ReadWords:
    """What one reading gave.

    Attributes:
        words: with times from the window's start.
        kept: signs of speech support them.
    """

    words: tuple[Word, ...]
    kept: bool


class LiveReader:
    """A model and a request, for windows.

    Attributes:
        can_hear: sound is used.
        can_see: pictures are used.
    """

    def __init__(self, joint: JointReader, request: Request) -> None:
        """Prepare.

        Args:
            joint: the model, which other inputs may share.
            request: how to read.
        """
        loaded = joint.loaded
        self._joint, self._loaded, self._request = joint, loaded, request
        wanted = request.modality
        usable = [
            one
            for one in loaded.modalities
            if wanted in ("auto", "av", one)  # of both, either may be missing for a while
        ]
        self._usable = usable
        self.can_hear = "audio" in usable or "av" in usable
        self.can_see = "video" in usable or "av" in usable
        self.longest_s = min(_LONGEST_S, loaded.max_segment_s)

    def warm_up(self) -> None:
        """Read a second of nothing: the first reading of a process takes several times as long."""
        clip = Clip(
            audio=np.full(SAMPLE_RATE, 1e-3, dtype=np.float32),
            mouth=np.zeros((VIDEO_FPS, MOUTH_SIZE, MOUTH_SIZE), dtype=np.uint8),
        )
        usable: list[Modality] = [one for one in MODALITIES if one in self._usable]
        self.read(clip, Evidence(), usable[-1], fine=True, search=False)

    def modality(self, clip: Clip, signs: Evidence) -> Modality | None:
        """What a window can be read from; None where it is silent and shows no face."""
        heard = self.can_hear and clip.audio is not None and not clip.is_silent
        seen = self.can_see and signs.sees_face()
        possible: list[Modality] = []
        if heard and seen:
            possible.append("av")
        if heard:
            possible.append("audio")
        if seen:
            possible.append("video")
        return next((one for one in possible if one in self._usable), None)

    def read(
        self, clip: Clip, signs: Evidence, modality: Modality, *, fine: bool, search: bool
    ) -> ReadWords:
        """Read a window.

        Args:
            clip: it.
            signs: of speech in it.
            modality: by what.
            fine: at the rates of the request, else at the coarsest.
            search: as the request says, else by the likeliest token each time.
        """
        request = self._request if fine else replace(self._request, quality="fast")
        if not search:
            request = request.changed({"num_beams": 1, "ctc_weight": None, "fusion": False})
        route = choose_route(self._loaded, modality, request)
        (reading,) = self._joint.read([clip], route, request, Timings())
        verdict = judge(reading.hypothesis, signs, modality)
        return ReadWords(words=reading.words, kept=verdict.kept or request.keep_unsure)
