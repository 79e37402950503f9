"""Transcribing files and arrays of any length with a loaded model."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avsr.clips.clip import Clip
from avsr.clips.saved_lips import SavedLips
from avsr.clips.sources import Source, SourceLike, naming_errors
from avsr.live.reader import LiveReader, check_live
from avsr.live.stream import LiveStream
from avsr.pretrained import DEFAULT_MODEL, LoadedModel, load_model
from avsr.progress import Progress as ProgressOfFetching
from avsr.progress import Say, say_in_log, show_nothing
from avsr.recognition.every_face import read_every_face
from avsr.recognition.hypotheses import resolved_search
from avsr.recognition.joint_reading import JointReader
from avsr.recognition.long_form import LongForm
from avsr.recognition.partial_file import PartialFile
from avsr.recognition.rate_choice import choose_route
from avsr.recognition.readability import passage_doubts, readability, readability_doubts
from avsr.recognition.request import Request
from avsr.recognition.sound_offset import offset_doubts
from avsr.recognition.stretch import (
    Stretch,
    doubts,
    joint_report,
    main_modality,
    usual_route,
)
from avsr.timings import Timings
from avsr.transcription import Segment, TranscriptionResult
from avsr.version import __version__
from avsr_frontends.landmarks import TrackReport
from avsr_frontends.rates import MOUTH_SIZE, SAMPLE_RATE, VIDEO_FPS


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
    say: Say = say_in_log,
    progress: ProgressOfFetching = show_nothing,
) -> "Recognizer":
    """Load a model for transcription; what it needs is fetched the first time.

    Args:
        name_or_folder: a bundled name such as ``"english"``, a model folder, a hub id, or
            ``"auto"``: the model that ``avsr models default`` shows.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"``; ``"auto"`` is float32 on a CPU, else as
            the weights are stored.
        offline: never download.
        allow_untrained_rate: let rates be asked for that the model was not trained at; the results
            then carry a warning.
        say: takes lines on what is fetched, and on a model that reads in place of the default.
        progress: takes how many megabytes have come, of how many.

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
        say=say,
        progress=progress,
    )
    return Recognizer(loaded)


class Recognizer:
    """Turns files and arrays into text. May be shared by threads.

    Each thread reads and prepares its own input; the model then reads together what waits
    together, to the same results, see :mod:`avsr.recognition.joint_reading`.

    Attributes:
        loaded: the model with its processor, name and device.
        joint: what the threads share, which counts its batches.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.joint = JointReader(loaded)

    def transcribe(
        self,
        source: SourceLike | Source,
        request: Request | None = None,
        *,
        save_lips: Path | None = None,
        partial: Path | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        **changes: Any,
    ) -> TranscriptionResult:
        """Transcribe one input of any length; memory does not grow with it.

        Args:
            source: a media file; a waveform, [N] float at 16 kHz; pictures, [T, H, W, 3] uint8 RGB
                at 25 fps; mouth crops, [T, 96, 96] uint8; a :class:`~avsr.clips.clip.Clip`; or a
                :class:`~avsr.clips.sources.Source` that was begun while the model was loaded.
            request: how to transcribe.
            save_lips: write the mouth crops of a file to ``SAVE_LIPS-face1.mp4`` and so on.
            partial: a file that keeps what is done of a long input while it is transcribed; where
                there is one of an interrupted run, that run goes on.
            on_progress: called after each stretch of 15 s, and at the beginning with what an
                interrupted run had done.
            changes: options by name, in place of ``request`` or to change it: ``modality``,
                ``audio_rate``, ``video_rate``, ``quality``, ``max_tokens_per_second``,
                ``auto_rate``, ``start``, ``end``, ``keep_unsure``, ``face``, ``roi``,
                ``audio_track``, see :class:`~avsr.recognition.request.Request`; ``num_beams``,
                ``ctc_weight``, ``draft``, ``max_new_tokens``, see
                :class:`~avsr.decoding.options.SearchOptions`.

        Returns:
            The text, what it was read from and why. The text is empty where nothing was said.

        Raises:
            InputError: if the input cannot be read or lacks the modality asked for.
            UsageError: if the model was not trained for the modality or rate asked for.
            TypeError: if there is no option of that name.
        """
        request = (request or Request()).changed(changes)
        lips = None if save_lips is None else SavedLips(save_lips)
        if request.face == "all":
            result = self._every_face(source, request, lips)
            if lips is not None:
                lips.write()
            return result
        if lips is not None or isinstance(request.face, int):
            partial = None  # crops of an earlier run are not kept, nor are the numbers of faces
        timings = _timings(source)
        reader = LongForm(self.joint, request, timings)
        kept = None if partial is None else self._partial_file(source, request, partial)
        stretches = [] if kept is None else kept.load()
        begin = request.start or 0.0
        resumed_s = stretches[-1].until - begin if stretches else 0.0
        if stretches and on_progress is not None:
            said = tuple(segment for stretch in stretches for segment in stretch.segments)
            on_progress(
                Progress(done_s=resumed_s, total_s=None, segments=said, resumed_s=resumed_s)
            )
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
            lips.write()
        if kept is not None:
            kept.remove()
        return result

    def _every_face(
        self, source: SourceLike | Source, request: Request, lips: SavedLips | None
    ) -> TranscriptionResult:
        if request.modality == "auto":  # the sound belongs to one of them at most
            request = replace(request, modality="video")
        timings, begin = _timings(source), request.start or 0.0
        opened = self._open(source, request, timings, begin, lips)
        with naming_errors(opened), self.joint.at_work():
            return read_every_face(
                opened,
                lambda: LongForm(self.joint, request, timings),
                lambda reader, stretches: self._result(reader, opened, stretches, begin, timings),
            )

    def segments(
        self, source: SourceLike, request: Request | None = None, **changes: Any
    ) -> Iterator[Segment]:
        """Transcribe one input, giving each segment as soon as it is read.

        Takes and raises what :meth:`transcribe` does.
        """
        request = (request or Request()).changed(changes)
        timings = Timings()
        reader = LongForm(self.joint, request, timings)
        opened = self._open(source, request, timings, request.start or 0.0)
        for stretch in self._stretches(reader, opened):
            yield from stretch.segments

    def stream(self, request: Request | None = None, **changes: Any) -> LiveStream:
        """Read what is being said: sound and pictures in as they come, words out as they are sure.

        ::

            with recognizer.stream(modality="auto") as stream:
                stream.add_sound(samples, rate)
                stream.add_picture(picture, time_s)
                update = stream.read(now_s)   # .committed words, .guess
                ...
                update = stream.finish()

        Args:
            request: how to read; ``modality`` "audio" or "video" says that the other track does not
                come, ``"auto"`` and ``"av"`` use what comes. The largest face is read.
            changes: options by name, as for :meth:`transcribe`.

        Raises:
            UsageError: if the model was not trained for what is asked for, or the request has a
                part of a file, a face, a region or a sound track.
            TypeError: if there is no option of that name.
        """
        request = (request or Request()).changed(changes)
        check_live(request)
        self.check(request)
        return LiveStream(LiveReader(self.joint, request))

    def _partial_file(
        self, source: SourceLike | Source, request: Request, path: Path
    ) -> PartialFile | None:
        """Where stretches of a file are kept; arrays have nothing to be recognised by."""
        if isinstance(source, Source):
            source = source.given
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
        trained = self.loaded.modalities
        read_as: list[str] = list(trained) if request.modality == "auto" else [request.modality]
        routes = [self.loaded.route(m, request.audio_rate, request.video_rate) for m in read_as]
        for route in routes:
            choose_route(self.loaded, route.modality, request)
        resolved_search(self.loaded, request.search, routes)

    def warm_up(self) -> None:
        """Read a second of nothing in each way, so that the first input does not take longer."""
        generator = np.random.default_rng(0)
        audio = 0.1 * generator.standard_normal(SAMPLE_RATE).astype(np.float32)
        mouth = generator.integers(0, 255, (VIDEO_FPS, MOUTH_SIZE, MOUTH_SIZE), dtype=np.uint8)
        face = TrackReport(n_frames=VIDEO_FPS, coverage=1.0, face_width_px=100.0)
        clip = Clip(audio=audio, mouth=mouth, face=face)
        for modality in self.loaded.modalities:
            self.transcribe(clip, modality=modality)

    def _open(
        self,
        source: SourceLike | Source,
        request: Request,
        timings: Timings,
        begin: float,
        lips: SavedLips | None = None,
    ) -> Source:
        """The input as it is to be read: anew, but where that has begun in the same way."""
        self.check(request)
        trained = self.loaded.modalities
        sound, picture = trained != ["video"], trained != ["audio"]
        wanted = request.wanted(begin, sound=sound, picture=picture)
        if isinstance(source, Source):
            if source.wanted == wanted and lips is None:
                return source
            source.close()
            source = source.given
        return Source(source, wanted, timings, lips)

    def _stretches(
        self, reader: LongForm, source: Source, is_resumed: bool = False
    ) -> Iterator[Stretch]:
        with naming_errors(source), self.joint.at_work():
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
        route = usual_route(segments, modality) or reader.route(modality)
        untrained = self.loaded.doubts_about([route])
        readable = readability((stretch.signs for stretch in stretches), self.loaded.readability)
        unread = readability_doubts(readable) or passage_doubts(segments)
        return TranscriptionResult(
            text=" ".join(segment.text for segment in segments),
            segments=segments,
            route=route,
            reason=reason,
            duration_s=stretches[-1].until - begin,
            face=face,
            sound_offset_s=reader.sound_offset_s,
            readability=readable,
            warnings=(
                *self.loaded.warnings,
                *unread,
                *untrained,
                *source.warnings,
                *offset_doubts(reader.sound_offset_s),
                *doubts(stretches, face),
            ),
            timings=timings.seconds,
            model=self.loaded.name,
            path=source.path,
        )


def _timings(source: SourceLike | Source) -> Timings:
    """What takes the stages of reading an input, of those too that are done."""
    return source.timings if isinstance(source, Source) else Timings()
