"""Transcribing files and arrays of any length with a loaded model."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from avsr import __version__
from avsr.clips.reader import Roi
from avsr.clips.saved_lips import SavedLips
from avsr.clips.sources import Source, SourceLike
from avsr.config import Modality
from avsr.errors import InputError
from avsr.pretrained import DEFAULT_MODEL, LoadedModel, load_model
from avsr.recognition.every_face import read_every_face
from avsr.recognition.hypotheses import check_search
from avsr.recognition.long_form import LongForm
from avsr.recognition.modality import RequestedModality
from avsr.recognition.partial_file import PartialFile
from avsr.recognition.rate_choice import Quality, choose_rates
from avsr.recognition.request import FaceRequest, Request
from avsr.recognition.stretch import Stretch, doubts, joint_report, main_modality
from avsr.timings import Timings
from avsr.transcription import Rates, Segment, TranscriptionResult
from avsr_frontends.media import MediaError
from avsr_frontends.sound_tracks import AudioTrackWish


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a transcription has come.

    Attributes:
        done_s: seconds of the input that are done.
        total_s: seconds in all; None where the file does not say.
        segments: what was said since the last report.
        resumed_s: of ``done_s``, what an earlier run had done.
    """

    done_s: float
    total_s: float | None
    segments: tuple[Segment, ...]
    resumed_s: float = 0.0


def load(
    name_or_folder: str | Path = DEFAULT_MODEL,
    device: str = "auto",
    *,
    dtype: str = "auto",
    offline: bool = False,
    allow_untrained_rate: bool = False,
) -> "Recognizer":
    """Load a model for transcription.

    Args:
        name_or_folder: a bundled name such as ``"grid-tiny"``, a model folder, or a hub id.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``; ``"auto"`` is float32 on a CPU, else as
            the weights are stored.
        offline: never download.
        allow_untrained_rate: let rates be asked for that the model was not trained at; the results
            then carry a warning.

    Raises:
        ModelUnavailableError: if there is no such model or it cannot be loaded.
        UsageError: if the device does not exist.
    """
    loaded = load_model(
        name_or_folder,
        device,
        dtype=dtype,
        offline=offline,
        allow_untrained_rate=allow_untrained_rate,
    )
    return Recognizer(loaded)


class Recognizer:
    """Turns files and arrays into text. May be shared by threads; they then take turns.

    Attributes:
        loaded: the model with its processor, name and device.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._lock = threading.Lock()

    def transcribe(
        self,
        source: SourceLike,
        *,
        modality: RequestedModality = "auto",
        audio_rate: int | None = None,
        video_rate: int | None = None,
        num_beams: int | None = None,
        ctc_weight: float | None = None,
        draft: str | None = None,
        start: float | None = None,
        end: float | None = None,
        keep_unsure: bool = False,
        face: FaceRequest = "speaking",
        roi: Roi | None = None,
        quality: Quality | None = None,
        max_tokens_per_second: float | None = None,
        auto_rate: bool = False,
        audio_track: AudioTrackWish | None = None,
        save_lips: Path | None = None,
        partial: Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> TranscriptionResult:
        """Transcribe one input of any length; memory does not grow with it.

        Args:
            source: a media file; a waveform, [N] float at 16 kHz; pictures, [T, H, W, 3] uint8 RGB
                at 25 fps; mouth crops, [T, 96, 96] uint8; or a :class:`~avsr.clips.clip.Clip`.
            modality: what to use; ``"auto"`` takes sound and lips where both are there.
            audio_rate: audio encoder frames per token; None is the finest trained.
            video_rate: video encoder frames per token; None is the finest trained.
            num_beams: beams of the search; 1 is greedy; None is what the model was made for.
            ctc_weight: weight of the CTC heads in choosing among the beams; None likewise.
            draft: "ctc" to let the encoder's CTC head propose the text; greedy only, same text.
            start: seconds of the input at which to begin; None is its beginning.
            end: seconds of the input at which to stop; None is its end.
            keep_unsure: keep words that neither a voice nor moving lips support.
            face: whose lips, where a file shows several faces: of the one that speaks, of the
                largest, of the person of that number (from 1 on, by first appearance, left before
                right), or ``"all"``: everybody's, each read by the lips alone where ``modality`` is
                ``"auto"``.
            roi: left, top, width and height in pixels of the part of the picture to look at.
            quality: preset of the rates that are not given; None is ``"best"``.
            max_tokens_per_second: most language-model tokens that a second may become.
            auto_rate: begin at coarse rates, and read finely only what needs it.
            audio_track: which of several sound tracks, by number from 1 on or by language; None is
                the one that the file marks as default, else the first that is not silent.
            save_lips: write the mouth crops of a file to ``SAVE_LIPS-face1.mp4`` and so on.
            partial: a file that keeps what is done of a long input while it is transcribed; where
                there is one of an interrupted run, that run goes on.
            on_progress: called after each stretch of 15 s.

        Returns:
            The text, what it was read from and why. The text is empty where nothing was said.

        Raises:
            InputError: if the input cannot be read or lacks the modality asked for.
            UsageError: if the model was not trained for the modality or rate asked for.
        """
        request = Request(
            modality=modality,
            audio_rate=audio_rate,
            video_rate=video_rate,
            num_beams=num_beams,
            ctc_weight=ctc_weight,
            draft=draft,
            start=start,
            end=end,
            keep_unsure=keep_unsure,
            face=face,
            roi=roi,
            quality=quality,
            max_tokens_per_second=max_tokens_per_second,
            auto_rate=auto_rate,
            audio_track=audio_track,
        )
        lips = None if save_lips is None else SavedLips(save_lips)
        if face == "all":
            result = self._every_face(source, request, lips)
            if lips is not None:
                _write_lips(lips, save_lips)
            return result
        if lips is not None or isinstance(face, int):
            partial = None  # crops of an earlier run are not kept, nor are the numbers of faces
        timings = Timings()
        reader = LongForm(self.loaded, request, timings, self._lock)
        kept = None if partial is None else self._partial_file(source, request, partial)
        stretches = [] if kept is None else kept.load()
        begin = request.start or 0.0
        resumed_s = stretches[-1].until - begin if stretches else 0.0
        opened = self._open(source, request, timings, begin + resumed_s, lips)
        for stretch in self._stretches(reader, opened, is_resumed=bool(stretches)):
            stretches.append(stretch)
            if kept is not None and not stretch.is_last:
                kept.save(stretches)
            if on_progress is not None:
                total_s = opened.duration_s
                on_progress(
                    Progress(
                        done_s=stretch.until - begin,
                        total_s=None if total_s is None else total_s + resumed_s,
                        segments=stretch.segments,
                        resumed_s=resumed_s,
                    )
                )
        result = self._result(reader, opened, stretches, begin, timings)
        if lips is not None:
            _write_lips(lips, save_lips)
        if kept is not None:
            kept.remove()
        return result

    def _every_face(
        self, source: SourceLike, request: Request, lips: SavedLips | None
    ) -> TranscriptionResult:
        if request.modality == "auto":  # the sound belongs to one of them at most
            request = replace(request, modality="video")
        timings, begin = Timings(), request.start or 0.0
        opened = self._open(source, request, timings, begin, lips)
        with _input_errors(opened):
            return read_every_face(
                opened,
                lambda: LongForm(self.loaded, request, timings, self._lock),
                lambda reader, stretches: self._result(reader, opened, stretches, begin, timings),
            )

    def segments(self, source: SourceLike, request: Request | None = None) -> Iterator[Segment]:
        """Transcribe one input, giving each segment as soon as it is read.

        Args:
            source: as :meth:`transcribe` takes it.
            request: how; None is as :meth:`transcribe` does by default.

        Raises:
            InputError: if the input cannot be read or lacks the modality asked for.
            UsageError: if the model was not trained for the modality or rate asked for.
        """
        request = request or Request()
        timings = Timings()
        reader = LongForm(self.loaded, request, timings, self._lock)
        opened = self._open(source, request, timings, request.start or 0.0)
        for stretch in self._stretches(reader, opened):
            yield from stretch.segments

    def _partial_file(self, source: SourceLike, request: Request, path: Path) -> PartialFile | None:
        """Where stretches of a file are kept; arrays have nothing to be recognised by."""
        if not isinstance(source, str | Path) or not Path(source).is_file():
            return None
        about = Path(source).stat()
        file = [str(Path(source).resolve()), about.st_size, about.st_mtime_ns]
        key = {"file": file, "model": self.loaded.name, "request": asdict(request)}
        return PartialFile(path, {"avsr": __version__, **key})

    def check(self, request: Request) -> None:
        """Check that the model can do what is asked for.

        Raises:
            UsageError: naming what it was trained for.
        """
        self.loaded.check_request(request.modality, request.audio_rate, request.video_rate)
        trained = self.loaded.modalities
        read_as: list[Modality] = (
            list(trained) if request.modality == "auto" else [request.modality]
        )
        for modality in read_as:
            choose_rates(self.loaded, modality, request.rate_wish)
        check_search(
            self.loaded,
            read_as,
            num_beams=request.num_beams,
            ctc_weight=request.ctc_weight,
            draft=request.draft,
        )

    def _open(
        self,
        source: SourceLike,
        request: Request,
        timings: Timings,
        begin: float,
        lips: SavedLips | None = None,
    ) -> Source:
        self.check(request)
        trained = self.loaded.modalities
        return Source(
            source,
            begin,
            request.end,
            sound=request.modality != "video" and trained != ["video"],
            picture=request.modality != "audio" and trained != ["audio"],
            timings=timings,
            face="speaking" if request.face == "all" else request.face,
            roi=request.roi,
            lips=lips,
            audio_track=request.audio_track,
        )

    def _stretches(
        self, reader: LongForm, source: Source, is_resumed: bool = False
    ) -> Iterator[Stretch]:
        with _input_errors(source):
            yield from reader.stretches(source, is_resumed)

    def _result(
        self,
        reader: LongForm,
        source: Source,
        stretches: list[Stretch],
        begin: float,
        timings: Timings,
    ) -> TranscriptionResult:
        segments = tuple(segment for stretch in stretches for segment in stretch.segments)
        if len({segment.face for segment in segments}) < 2:  # nobody to be told apart
            segments = tuple(replace(segment, face=None) for segment in segments)
        face = joint_report(stretch.face for stretch in stretches if stretch.face is not None)
        modality, reason = main_modality(stretches)
        rates = _usual_rates(segments) or reader.rates(modality)
        untrained = self.loaded.doubts_about([rates.audio], [rates.video])
        return TranscriptionResult(
            text=" ".join(segment.text for segment in segments),
            segments=segments,
            modality=modality,
            reason=reason,
            rates=rates,
            duration_s=stretches[-1].until - begin,
            face=face,
            warnings=(*untrained, *source.warnings, *doubts(stretches, face)),
            timings=timings.seconds,
            model=self.loaded.name,
            path=source.path,
        )


@contextmanager
def _input_errors(source: Source) -> Iterator[None]:
    """Let errors name the file they are about."""
    try:
        yield
    except MediaError as error:
        raise InputError(str(error)) from error
    except InputError as error:
        raise InputError(f"{source.path}: {error}" if source.path else str(error)) from error


def _usual_rates(segments: tuple[Segment, ...]) -> Rates | None:
    """What most of the time was read at, where each segment has rates of its own."""
    seconds: dict[Rates, float] = defaultdict(float)
    for segment in segments:
        if segment.rates is not None:
            seconds[segment.rates] += segment.end - segment.start
    return max(seconds, key=seconds.__getitem__, default=None)


def _write_lips(lips: SavedLips, stem: Path | None) -> None:
    try:
        lips.write()
    except OSError as error:
        message = (
            f"{stem}: cannot save the lips ({error.strerror}); free space or change the folder"
        )
        raise InputError(message) from error
