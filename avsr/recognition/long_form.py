"""Inputs of any length, stretch by stretch: find the speech, read it, believe it or not.

Times are seconds of the input; frames are video frames, 25 per second.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from avsr.clips.buffer import ClipBuffer
from avsr.clips.clip import Clip
from avsr.clips.reader import beyond_end
from avsr.clips.sources import Source
from avsr.errors import InputError
from avsr.recognition.active_speaker import speaking_clip
from avsr.recognition.borders import borders_of, cut_at_borders, holds_border
from avsr.recognition.gates import judge
from avsr.recognition.hypotheses import encode
from avsr.recognition.joint_reading import JointReader
from avsr.recognition.modality import ModalityChoice, RequestedModality, choose_modality
from avsr.recognition.rate_choice import choose_route
from avsr.recognition.readability import Signs, readability
from avsr.recognition.reading import Reading
from avsr.recognition.request import Request
from avsr.recognition.segmentation import (
    WHOLE_CLIP_S,
    Span,
    settled_frames,
    speech_spans,
    whole_spans,
)
from avsr.recognition.sound_offset import OffsetMeter
from avsr.recognition.speech_evidence import Evidence, gather_evidence
from avsr.recognition.stretch import Stretch, why_empty
from avsr.route import MODALITIES, Modality, Route
from avsr.timings import Timings
from avsr.transcription import Segment
from avsr_frontends.landmarks import TrackReport

MIN_CLIP_S = 0.1  # shorter than any syllable: nothing can be read from it


class LongForm:
    """Transcribes one input as it comes in; speech that may go on waits for the next stretch."""

    def __init__(self, joint: JointReader, request: Request, timings: Timings) -> None:
        """Prepare for one input.

        Args:
            joint: the model, shared with those who read other inputs.
            request: how to transcribe.
            timings: receives the stages of the work.
        """
        self._joint, self._loaded = joint, joint.loaded
        self._request, self._timings = request, timings
        self._meter = OffsetMeter()
        self._failure: InputError | None = None  # why the last stretch had nothing to read
        self.begin(0.0)

    @property
    def _modality(self) -> RequestedModality:
        """What ``auto`` means for a model that knows only one modality."""
        trained, wanted = self._loaded.modalities, self._request.modality
        return trained[0] if wanted == "auto" and len(trained) == 1 else wanted

    @property
    def sound_offset_s(self) -> float | None:
        """Seconds by which the sound is later than the lips; None where that is not evident."""
        return self._meter.offset_s

    def route(self, modality: Modality) -> Route:
        """What is read by a modality, unless rates are chosen for each piece."""
        return choose_route(self._loaded, modality, self._request)

    def stretches(self, source: Source, is_resumed: bool = False) -> Iterator[Stretch]:
        """Yield what is said, a stretch at a time.

        Args:
            source: the input.
            is_resumed: what comes before it has been read in an earlier run.

        Raises:
            MediaError: if a file cannot be read.
            InputError: if the input lacks what was asked for, or holds nothing that can be read.
        """
        self.begin(source.start, is_resumed)
        for clip, is_last in source.clips():
            yield self.add(clip, is_last, source.whole_s)

    def begin(self, start: float, is_resumed: bool = False) -> None:
        """Prepare for the clips of an input, from ``start`` seconds on."""
        self._buffer = ClipBuffer(start)
        self._face: TrackReport | None = None
        self._is_first, self._any_read = not is_resumed, is_resumed

    def add(self, clip: Clip, is_last: bool, whole_s: float | None = None) -> Stretch:
        """Take the next clip of the input; what is said up to where nothing more can change.

        Args:
            clip: it.
            is_last: nothing comes after it.
            whole_s: length of the whole input, where known.

        Raises:
            InputError: with the last clip, if the input lacks what was asked for, or holds
                nothing that can be read.
        """
        buffer = self._buffer
        is_first, self._is_first = self._is_first, False
        buffer.append(clip)
        if is_first and is_last and clip.duration_s == 0 and buffer.start > 0:
            raise InputError(beyond_end(buffer.start, whole_s))
        self._face = clip.face or self._face
        try:
            choice = choose_modality(replace(buffer.clip, face=self._face), self._modality)
        except InputError as error:
            self._failure = error
            until = _settled(buffer, is_last)
            stretch = Stretch(until=until, reason=str(error))
        else:
            self._any_read = True
            if is_first and is_last:
                _check_length(clip)
            until, stretch = self._stretch(buffer, choice, is_first, is_last)
        if is_last and not self._any_read and self._failure is not None:
            raise self._failure
        report = None if clip.face is None else _moved(clip.face, buffer, clip)
        buffer.drop_before(until)
        return replace(stretch, is_last=is_last, length_s=clip.duration_s, face=report)

    def _stretch(
        self, buffer: ClipBuffer, choice: ModalityChoice | None, is_first: bool, is_last: bool
    ) -> tuple[float, Stretch]:
        """Read what is complete in the buffer; returns also up to where that is."""
        clip = buffer.clip
        if choice is None:
            until = _settled(buffer, is_last)
            return until, Stretch(until=until, reason="the sound is silent")
        is_short = is_first and is_last and clip.duration_s <= WHOLE_CLIP_S
        evidence = _evidence(clip, choice.modality, is_short)
        longest = self._loaded.max_segment_s
        if is_short:
            hinted = self._request.keep_unsure or evidence.any_sign(choice.modality)
            spans = whole_spans(clip, longest) if hinted else []
        else:
            spans = speech_spans(clip, evidence, choice.modality, longest)
        spans = cut_at_borders(spans, clip, evidence.voice, choice.modality)
        settled = clip.n_frames if is_last else settled_frames(clip.n_frames)
        waiting = [span for span in spans if span[1] > settled]
        spans = [span for span in spans if span[1] <= settled]
        done = waiting[0][0] if waiting else max([settled, *(span[1] for span in spans)])
        until = buffer.end if is_last else buffer.time_of(done)
        stretch = self._read(buffer, evidence, spans, choice)
        return until, replace(stretch, until=until)

    def _read(
        self, buffer: ClipBuffer, evidence: Evidence, spans: Sequence[Span], choice: ModalityChoice
    ) -> Stretch:
        pieces: list[tuple[Span, Clip, Modality]] = []
        people: list[int | None] = []
        for span in spans:
            start, end = (buffer.time_of(frame) for frame in span)
            piece, person = self._whose(buffer.cut(start, min(end, buffer.end)), choice.modality)
            modality = _usable(choice.modality, piece, evidence.cut(*span))
            if modality == "av" and holds_border(span, buffer.clip):
                self._measure_offset(piece)
                modality = "audio"
            if modality is not None:
                pieces.append((span, piece, modality))
                people.append(None if modality == "audio" else person)
        readings = self._readings(pieces)
        if any(r.route and r.route.modality != p[2] for p, r in zip(pieces, readings, strict=True)):
            choice = replace(choice, modality="audio", reason="sound and lips are out of step")
        segments: list[Segment] = []
        judged: dict[Modality, Signs] = defaultdict(Signs)
        left_out: list[str] = []
        looped: list[str] = []
        for (span, _, modality), person, reading in zip(pieces, people, readings, strict=True):
            start, end = (buffer.time_of(frame) for frame in span)
            when = f"{start:.1f}-{end:.1f} s"
            if reading.route is not None and reading.route.modality != modality:
                modality, person = reading.route.modality, None  # the lips would have misled
            signs = evidence.cut(*span)
            verdict = judge(reading.hypothesis, signs, modality)
            if reading.looped:
                looped.append(when)
            if not (verdict.kept or self._request.keep_unsure):
                left_out.append(f"{when} ({verdict.reason})")
            elif reading.hypothesis.text:
                judged[modality] += reading.signs
                own = readability([{modality: reading.signs}], self._loaded.readability)
                segments.append(
                    Segment(
                        start=start,
                        end=min(end, buffer.end),
                        text=reading.hypothesis.text,
                        avg_logprob=reading.hypothesis.avg_logprob,
                        no_speech_prob=signs.no_speech_prob(modality),
                        words=tuple(word.moved(start) for word in reading.words),
                        modality=None if modality == choice.modality else modality,
                        face=person,
                        route=reading.route,
                        tokens=reading.hypothesis.token_ids,
                        sound_share=reading.hypothesis.sound_share,
                        readability=own,
                    )
                )
        return Stretch(
            until=buffer.end,
            segments=tuple(segments),
            modality=choice.modality,
            reason=choice.reason if segments else why_empty(choice, pieces, left_out),
            low_coverage=choice.low_coverage,
            left_out=tuple(left_out),
            looped=tuple(looped),
            signs=dict(judged),
        )

    def _measure_offset(self, piece: Clip) -> None:
        """Compare sound and lips of a piece that is not read from both, where one face shows."""
        if piece.borders or piece.audio is None or piece.mouth is None:
            return
        with self._joint.turn(), self._timings.measure("offset"):
            heard = encode(self._loaded, waveforms=[piece.audio]).audio
            seen = encode(self._loaded, mouths=[piece.mouth]).video
            self._meter.add(self._loaded, heard, seen)

    def _whose(self, piece: Clip, modality: Modality) -> tuple[Clip, int | None]:
        """A piece with the lips that are read, and whose they are where that was chosen."""
        if modality == "audio" or not piece.faces:
            return piece, None
        with self._joint.turn(), self._timings.measure("speaker"):
            return speaking_clip(self._loaded, piece)

    def _readings(self, pieces: Sequence[tuple[Span, Clip, Modality]]) -> list[Reading]:
        """Read all pieces, those of each modality together."""
        readings: dict[int, Reading] = {}
        for modality in MODALITIES:
            indices = [index for index, piece in enumerate(pieces) if piece[2] == modality]
            if not indices:
                continue
            done = self._joint.read(
                [pieces[index][1] for index in indices],
                self.route(modality),
                self._request,
                self._timings,
                self._meter,
            )
            readings.update(zip(indices, done, strict=True))
        return [readings[index] for index in range(len(pieces))]


def _evidence(clip: Clip, modality: Modality, is_short: bool) -> Evidence:
    """Signs of speech; the voice is not listened to where it does not matter."""
    lips = Evidence(motion=clip.lip_motion)
    plain = is_short and lips.lips_speak() and not borders_of(clip)
    if modality == "video" or (modality == "av" and plain):
        return lips
    return gather_evidence(clip)


def _check_length(clip: Clip) -> None:
    if clip.duration_s < MIN_CLIP_S:
        raise InputError(
            f"only {clip.duration_s:.2f} s long, need {MIN_CLIP_S} s; record a longer clip"
        )


def _settled(buffer: ClipBuffer, is_last: bool) -> float:
    """Up to when nothing changes whatever comes next, where nothing is to be read."""
    settled = buffer.time_of(settled_frames(buffer.clip.n_frames))
    return buffer.end if is_last else settled


def _usable(modality: Modality, piece: Clip, signs: Evidence) -> Modality | None:
    """What a piece can be read from, where the whole is read from ``modality``."""
    heard = piece.audio is not None and len(piece.audio) > 0
    seen = piece.mouth is not None and len(piece.mouth) > 0
    if modality == "av":
        hidden = signs.motion is not None and not signs.sees_face()
        if not seen or hidden:
            return "audio" if heard else None
        return "av" if heard else "video"
    return modality if (heard if modality == "audio" else seen) else None


def _moved(report: TrackReport, buffer: ClipBuffer, clip: Clip) -> TrackReport:
    """A report with the times of the input instead of those of its newest stretch."""
    offset = buffer.end - clip.duration_s
    return replace(report, gaps=[(start + offset, end + offset) for start, end in report.gaps])
