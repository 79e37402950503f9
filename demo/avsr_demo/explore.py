"""Reading one recording in all the ways there are, telling each finding as soon as it is made."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from avsr import Recognizer, Route
from avsr.clips.clip import Clip
from avsr.clips.read import MIN_FACE_COVERAGE, read_clip
from avsr.errors import AvsrError, one_line
from avsr.route import Modality
from avsr_demo.babble import add_babble
from avsr_demo.differences import word_errors
from avsr_demo.face_watch import FaceWatch
from avsr_demo.findings import Findings, Question, RateRow, Reading
from avsr_demo.limits import Limits
from avsr_demo.page_files import write_page_files
from avsr_demo.samples import Sample, sample_in
from avsr_demo.tokens import count_tokens
from avsr_frontends.media import MediaError

_MOST_RATES = 12  # rows of the table: models with many rates show the first ones


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """Reads recordings; the recognizer may be shared, everything else belongs to one call.

    Attributes:
        recognizer: the loaded model.
        limits: what is refused.
    """

    recognizer: Recognizer
    limits: Limits

    def explore(
        self, question: Question, watch: FaceWatch, new_folder: Callable[[], Path]
    ) -> Iterator[Findings]:
        """Read a recording.

        Args:
            question: the recording and what to do with it.
            watch: face tracker of the calling thread.
            new_folder: gives an empty folder for the films.

        Yields:
            What is known so far: the reading of the sound comes first, the table last.

        Raises:
            RecordingError: if the recording is refused or nothing in it can be read.
        """
        started = time.perf_counter()
        for findings in self._explore(question, watch, new_folder):
            yield replace(findings, seconds=time.perf_counter() - started)

    def _explore(
        self, question: Question, watch: FaceWatch, new_folder: Callable[[], Path]
    ) -> Iterator[Findings]:
        path = question.path
        info = self.limits.check_file(path)
        now = Findings(question=question, stage="Listening", info=info, sample=sample_in(path))
        yield now
        heard = self._read(path, info.has_audio, sound=True)
        if heard.audio is not None and heard.audio.any() and question.snr_db is not None:
            heard = replace(heard, audio=add_babble(heard.audio, question.snr_db))
            now = replace(now, snr_db=question.snr_db)
        now = replace(
            now,
            stage="Looking for the face",
            duration_s=heard.duration_s,
            readings={"audio": self._read_one("audio", heard, question)},
        )
        yield now
        seen = self._read(path, info.has_video, sound=False, watch=watch)
        clip = replace(
            seen,
            audio=heard.audio,
            warnings=(*heard.warnings, *seen.warnings),
            undecodable=(*heard.undecodable, *seen.undecodable),
        )
        warnings = [
            *self._sample_warnings(now.sample),
            *_seen_warnings(clip),
            *(_plain(warning, path) for warning in clip.warnings),
        ]
        now = replace(
            now,
            stage="Reading the lips",
            duration_s=clip.duration_s,
            face=clip.face,
            warnings=tuple(dict.fromkeys(warnings)),
        )
        yield now
        for modality in ("video", "av"):
            stage = "Reading sound and lips" if modality == "video" else "Making the film"
            reading = self._read_one(modality, clip, question)
            now = replace(now, stage=stage, readings={**now.readings, modality: reading})
            yield now
        found = watch.last if seen.mouth is not None else None
        films = write_page_files(new_folder(), info, clip, found, now.best)
        now = replace(now, stage="Comparing rates", films=films)
        yield now
        yield replace(now, stage="", rates=tuple(self._compare_rates(clip, question, now)))

    def _read(
        self, path: Path, there: bool, *, sound: bool, watch: FaceWatch | None = None
    ) -> Clip:
        """Decode one of the two tracks; an empty clip where it is not there or damaged."""
        if not there:
            return Clip()
        until_s = self.limits.read_until_s
        try:
            clip = read_clip(path, end=until_s, sound=sound, picture=not sound, tracker=watch)
        except MediaError as error:
            track = "sound" if sound else "picture"
            return Clip(warnings=(_plain(str(error), path),), undecodable=(track,))
        self.limits.check_duration(clip.duration_s)
        return clip

    def _read_one(self, modality: Modality, clip: Clip, question: Question) -> Reading:
        problem = self._obstacle(modality, clip)
        if problem:
            return Reading(problem=problem)
        return self._transcribe(question.route.by(modality), clip)

    def _transcribe(self, route: Route, clip: Clip) -> Reading:
        started = time.perf_counter()
        try:
            result = self.recognizer.transcribe(
                clip,
                modality=route.modality,
                audio_rate=route.audio_rate,
                video_rate=route.video_rate,
            )
        except AvsrError as error:
            return Reading(problem=f"This reading failed: {one_line(error)}.")
        return Reading(result=result, seconds=time.perf_counter() - started)

    def _obstacle(self, modality: Modality, clip: Clip) -> str:
        """Why a recording cannot be read in one way, as a sentence; empty if it can."""
        if modality not in self.recognizer.loaded.modalities:
            return f"{self.recognizer.loaded.name} was not trained to read this way."
        no_sound, no_lips = _lack_of_sound(clip), _lack_of_lips(clip)
        if modality == "audio":
            return no_sound
        if modality == "video":
            return no_lips
        return no_sound or no_lips

    def _sample_warnings(self, sample: Sample | None) -> list[str]:
        name = self.recognizer.loaded.name
        if sample is None or sample.model == name:
            return []
        return [f"{sample.model} reads this sample best; {name} was made for other sentences."]

    def _compare_rates(
        self, clip: Clip, question: Question, findings: Findings
    ) -> Iterator[RateRow]:
        best = findings.best
        if best is None:
            return
        loaded = self.recognizer.loaded
        audio_rates = [None] if best.modality == "video" else loaded.rates("audio")
        video_rates = [None] if best.modality == "audio" else loaded.rates("video")
        for audio_rate, video_rate in list(product(audio_rates, video_rates))[:_MOST_RATES]:
            route = Route(modality=best.modality, audio_rate=audio_rate, video_rate=video_rate)
            chosen = route == best.route
            reading = findings.readings[best.modality] if chosen else self._transcribe(route, clip)
            if reading.result is None:
                continue
            errors = word_errors(question.reference, reading.result.text)
            yield RateRow(
                route=route,
                text=reading.result.text,
                n_tokens=count_tokens(loaded, clip, reading.result),
                seconds=reading.seconds,
                real_time_factor=reading.seconds / clip.duration_s,
                wer=None if errors is None else errors.wer,
                chosen=chosen,
            )


def _lack_of_sound(clip: Clip) -> str:
    if "sound" in clip.undecodable:
        return "The sound of this recording cannot be decoded."
    if clip.audio is None or len(clip.audio) == 0:
        return "This recording has no sound."
    return "The sound is silent: nothing to hear." if clip.is_silent else ""


def _lack_of_lips(clip: Clip) -> str:
    if "picture" in clip.undecodable:
        return "The picture of this recording cannot be decoded."
    if clip.face is None or clip.face.n_frames == 0:
        return "This recording has no picture."
    if clip.mouth is None:
        return (
            f"No face was found in {clip.face.n_frames} frames. "
            "Film one face from the front, nearer, and in good light."
        )
    return ""


def _seen_warnings(clip: Clip) -> list[str]:
    if clip.face is None or clip.mouth is None or clip.face.coverage >= 1:
        return []
    doubt = " Do not trust the lip reading." if clip.face.coverage < MIN_FACE_COVERAGE else ""
    return [f"The face was found in only {clip.face.coverage:.0%} of the frames.{doubt}"]


def _plain(message: str, path: Path) -> str:
    """A message without the path of the server's temporary file."""
    text = message.replace(f"{path}: ", "").rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
