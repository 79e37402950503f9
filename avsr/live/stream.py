"""A live recording: sound and pictures in, in pieces of any size; committed words and a guess out.

Neither encoder is causal (the Whisper and AV-HuBERT Transformers look at a whole window), so the
window of the sentence at hand is encoded for each reading. Face tracking, crops and the voice
detector see each frame once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np

from avsr.clips.clip import Clip
from avsr.live.agreement import LocalAgreement
from avsr.live.incoming import IncomingPictures, IncomingSound
from avsr.live.pace import LEVELS, Pace
from avsr.live.reader import LiveReader
from avsr.live.window import KEPT_BEFORE, LiveWindow, next_sentence
from avsr.memory import release_memory
from avsr.recognition.speech_evidence import Evidence
from avsr.route import Modality
from avsr.transcription import Word
from avsr_frontends.activity import VoiceListener
from avsr_frontends.live_lips import LiveLips, Mouths
from avsr_frontends.rates import VIDEO_FPS

__all__ = ["LiveStream", "LiveUpdate"]

_LEAST = 10  # frames: less is not read
_TIDIED_S = 60.0  # at most so often, and only while nobody speaks: it takes up to 0.2 s
_PAUSE_BEGINS = 7  # frames without a sign of speech: more will follow, and a sentence be over


@dataclass(frozen=True, kw_only=True)
class LiveUpdate:
    """What is new after a look at a live recording.

    Attributes:
        committed: words that are said for good since the last update, times in seconds of the
            recording. They are never taken back.
        guess: words behind them that may still change.
        until_s: seconds of the recording that have been looked at.
        sentence_ends: the committed words end a sentence.
        modality: what was read; None where nothing was.
        level: how finely it is read now, see :data:`avsr.live.pace.LEVELS`.
        level_changed: since the last update.
    """

    committed: tuple[Word, ...] = ()
    guess: tuple[Word, ...] = ()
    until_s: float = 0.0
    sentence_ends: bool = False
    modality: Modality | None = None
    level: str = LEVELS[0]
    level_changed: bool = False


class LiveStream:
    """Made by :meth:`avsr.recognizer.Recognizer.stream`; use it in one thread, and close it.

    Attributes:
        pace: how finely it reads.
        timer: gives seconds, to measure how long a reading takes.
    """

    def __init__(self, reader: LiveReader) -> None:
        self._reader = reader
        self.timer: Callable[[], float] = time.monotonic
        self.pace = Pace(lowest=len(LEVELS) - (1 if reader.can_hear and reader.can_see else 2))
        self._sound = IncomingSound(reader.can_hear)
        self._pictures = IncomingPictures(reader.can_see)
        self._window, self._words = LiveWindow(), LocalAgreement()
        self._listener = VoiceListener()
        self._lips = LiveLips() if reader.can_see else None
        self._n_pictures = 0
        self._n_heard = 0  # frames of sound
        self._tidied_s = 0.0  # when what nothing uses any more was given back
        self._shown: np.ndarray | None = None  # as pictures are skipped
        self._last = LiveUpdate()
        reader.warm_up()

    def add_sound(self, samples: np.ndarray, rate: int, time_s: float | None = None) -> None:
        """Take sound.

        Args:
            samples: [n] or [n, channels] float, nominally in [-1, 1].
            rate: samples per second.
            time_s: when it begins, seconds from the stream's beginning, in step with the pictures;
                None: right after the piece before.
        """
        if self._reader.can_hear:
            self._sound.add(samples, rate, time_s)

    def add_picture(self, picture: np.ndarray, time_s: float) -> None:
        """Take a picture, and find the mouth in it.

        Args:
            picture: [H, W, 3] uint8 RGB.
            time_s: from when on it is shown, seconds from the stream's beginning.
        """
        if self._lips is None:
            return
        self._n_pictures += 1
        skip = self.pace.skips_pictures and self._n_pictures % 2 and self._shown is not None
        self._shown = self._shown if skip else picture
        assert self._shown is not None  # else it was not skipped
        self._look(self._pictures.add(self._shown, time_s))

    def read(self, now_s: float, *, is_last: bool = False) -> LiveUpdate:
        """Look at what has come, and read where it is time to.

        Args:
            now_s: seconds since the stream's beginning, by the clock of the pictures; sound and
                pictures up to here may be waiting.
            is_last: nothing more comes.
        """
        self._gather()
        done_s = (self._window.first + self._window.n_frames) / VIDEO_FPS
        changed = not is_last and self.pace.adjust(now_s, now_s - done_s)
        update = LiveUpdate(guess=self._last.guess)
        if is_last or self._is_time(now_s):
            started = self.timer()
            update = self._read(is_last)
            if update.modality is not None:
                self.pace.has_read(now_s, self.timer() - started)
        level = LEVELS[self.pace.level]
        self._last = replace(update, until_s=done_s, level=level, level_changed=changed)
        return self._last

    def finish(self) -> LiveUpdate:
        """Read what is left; call it once, when nothing more comes."""
        committed: list[Word] = []
        modality: Modality | None = None
        ends = bool(self._words.committed)
        while True:
            first = self._window.first
            update = self.read(self._last.until_s, is_last=True)
            committed += update.committed
            modality = update.modality or modality
            ends = ends or update.sentence_ends
            if self._window.first == first:
                break
        return replace(
            update, committed=tuple(committed), guess=(), modality=modality, sentence_ends=ends
        )

    def close(self) -> None:
        """Free the face models."""
        if self._lips is not None:
            self._lips.close()

    def __enter__(self) -> "LiveStream":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _look(self, frames: list[np.ndarray | None]) -> None:
        """Find the mouth in frames; they wait for the sound beside them."""
        if self._lips is None:
            unseen = Mouths.unseen(len(frames))
            self._window.see(unseen, Mouths.unseen(0))
            return
        for frame in frames:
            self._lips.add(None if self.pace.is_blind else frame)

    def _gather(self) -> None:
        """Bring both tracks as far as they have come, or as the other one has."""
        reached = max(self._sound.n_frames, self._pictures.n_frames)
        self._sound.fill(reached)
        n_new = self._sound.n_frames - self._n_heard
        self._n_heard += n_new
        sound = self._sound.take(n_new)
        self._window.hear(sound, self._listener.add(sound))
        self._look(self._pictures.fill(reached))
        if self._lips is not None:
            self._window.see(self._lips.settled(), self._lips.pending())

    def _is_time(self, now_s: float) -> bool:
        """Whether to read now: a sentence that is over at once, one that soon will be not before.

        A slow reading that began in the pause behind a sentence would hold up the last one.
        """
        if not (self._words.committed or self._words.guess):
            return self.pace.is_due(now_s)
        rest = self._window.n_frames - self._last_sign()
        if rest > KEPT_BEFORE:
            return True
        return self.pace.is_due(now_s) and not (self.pace.is_slow and rest >= _PAUSE_BEGINS)

    def _last_sign(self) -> int:
        """The frame of the window behind the last sign of speech."""
        signs = self._window.evidence()
        modality = self._reader.modality(self._window.clip(), signs)
        spans = signs.speaking(modality) if modality is not None else []
        return spans[-1][1] if spans else 0

    def _read(self, is_last: bool) -> LiveUpdate:
        """Read the sentence at hand, as far as it is there."""
        window, reader = self._window, self._reader
        clip, signs = window.clip(), window.evidence()
        modality = reader.modality(clip, signs)
        sentence = None
        if modality is not None:
            sentence = next_sentence(clip, signs, modality, reader.longest_s, is_last)
        if sentence is None:
            window.drop(window.n_frames - KEPT_BEFORE)
            ends, self._words = bool(self._words.committed), LocalAgreement()
            self._tidy()
            return LiveUpdate(sentence_ends=ends)
        first, last = sentence.span
        piece, signs = clip.cut(first / VIDEO_FPS, last / VIDEO_FPS), signs.cut(first, last)
        modality = reader.modality(piece, signs)
        if modality is None or last - first < _LEAST:
            if sentence.is_over:
                window.drop(last)
            return LiveUpdate()
        start_s = (window.first + first) / VIDEO_FPS
        update = (self._last_reading if sentence.is_over else self._guess)(
            piece, signs, modality, start_s
        )
        if sentence.is_over:
            window.drop(last)
        return update

    def _tidy(self) -> None:
        """Give memory back: mediapipe leaves a class for each picture, decoders fragments."""
        now_s = self._window.first / VIDEO_FPS
        if now_s - self._tidied_s >= _TIDIED_S:
            self._tidied_s = now_s
            release_memory()

    def _guess(
        self, piece: Clip, signs: Evidence, modality: Modality, start_s: float
    ) -> LiveUpdate:
        """Read a sentence that goes on; commit what two readings agree on."""
        until_s = start_s + piece.duration_s
        pace, words = self.pace, self._words
        started = self.timer()
        is_fine = pace.guesses_finely
        read = self._reader.read(piece, signs, modality, fine=is_fine, search=False)
        pace.has_guessed(piece.duration_s, self.timer() - started)
        moved = [word.moved(start_s) for word in read.words]
        if not read.kept:
            return LiveUpdate(modality=modality)
        if pace.commits_finely and not is_fine and words.agreeable(moved, until_s):
            read = self._reader.read(piece, signs, modality, fine=True, search=False)
            moved = [word.moved(start_s) for word in read.words]
        committed = words.add(moved, until_s)
        return LiveUpdate(committed=tuple(committed), guess=tuple(words.guess), modality=modality)

    def _last_reading(
        self, piece: Clip, signs: Evidence, modality: Modality, start_s: float
    ) -> LiveUpdate:
        """Read a sentence that is over, and commit the rest of it."""
        pace = self.pace
        read = self._reader.read(
            piece, signs, modality, fine=pace.commits_finely, search=pace.searches
        )
        moved = [word.moved(start_s) for word in read.words]
        committed = self._words.finish(moved if read.kept else [])
        self._words = LocalAgreement()
        return LiveUpdate(committed=tuple(committed), sentence_ends=True, modality=modality)
