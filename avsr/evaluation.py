"""Word error rates of a model over a manifest, for every combination of what it can be given.

Clips are decoded and cropped once, encoders run once for each noise condition, and every modality
and rate pair decodes the same features. Nothing is dropped: a clip that cannot be read, or lacks
what a row needs, counts with an empty hypothesis.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Literal, TypeVar

import numpy as np
from avsr_frontends.media import MediaError

from avsr.clip import Clip
from avsr.clip_cache import ClipCache
from avsr.config import Modality
from avsr.errors import UsageError
from avsr.hypotheses import DEFAULT_BEAMS, Encoded, decode, encode_audio, encode_video
from avsr.manifest import Utterance
from avsr.modality import fallback_modality
from avsr.noise import NoiseSource, mix_at_snr
from avsr.pretrained import LoadedModel
from avsr.text import WordErrors, count_word_errors, normalise

Value = TypeVar("Value")
Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One row of the results.

    Attributes:
        modality: what the model is given.
        audio_rate: None where the modality does not use sound.
        video_rate: None where the modality does not use lips.
        noise: name of the noise, or None for clean sound.
        snr_db: wanted signal-to-noise ratio, or None for clean sound.
    """

    modality: Modality
    audio_rate: int | None
    video_rate: int | None
    noise: str | None = None
    snr_db: float | None = None

    @property
    def sound(self) -> tuple[str | None, float | None]:
        """What the sound is like: rows that share it share the audio encoder's output."""
        return self.noise, self.snr_db

    def clean(self) -> "Condition":
        """The same without noise."""
        return replace(self, noise=None, snr_db=None)


@dataclass(kw_only=True)
class UtteranceOutcome:
    """What became of one utterance.

    Attributes:
        utterance: from the manifest.
        duration_s: seconds; 0 where it could not be read.
        face_coverage: share of frames with a face; None where no picture was looked at.
        failure: why it could not be read, or None.
        warnings: damage met in the file.
        used: for each condition, the modality that was used; None where none was possible.
        hypotheses: for each condition, the text as the model gave it.
        snr_db: the ratio achieved, for each noisy condition in which noise was added.
    """

    utterance: Utterance
    duration_s: float = 0.0
    face_coverage: float | None = None
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    used: dict[Condition, Modality | None] = field(default_factory=dict)
    hypotheses: dict[Condition, str] = field(default_factory=dict)
    snr_db: dict[Condition, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All outcomes of one run.

    Attributes:
        conditions: the rows, in order.
        outcomes: one for each utterance, in the manifest's order.
    """

    conditions: tuple[Condition, ...]
    outcomes: tuple[UtteranceOutcome, ...]

    def errors(self, condition: Condition) -> WordErrors:
        """Word errors of a row over all utterances."""
        return count_word_errors(
            [normalise(outcome.utterance.text) for outcome in self.outcomes],
            [normalise(outcome.hypotheses.get(condition, "")) for outcome in self.outcomes],
        )


def plan_conditions(
    loaded: LoadedModel,
    modalities: Sequence[str],
    audio_rates: Sequence[int | None] = (None,),
    video_rates: Sequence[int | None] = (None,),
    noises: Sequence[tuple[str | None, float | None]] = ((None, None),),
) -> tuple[Condition, ...]:
    """The product of what was asked for; a rate that a modality does not use is not multiplied.

    Args:
        loaded: the model, which decides what is possible.
        modalities: of "av", "audio", "video".
        audio_rates: None stands for the finest trained.
        video_rates: None stands for the finest trained.
        noises: pairs of a noise's name and a ratio in dB, or (None, None) for clean sound.

    Raises:
        UsageError: if the model was not trained for a modality or rate.
    """
    conditions: dict[Condition, None] = {}
    for (noise, snr_db), modality in product(noises, modalities):
        for audio_rate, video_rate in product(audio_rates, video_rates):
            if modality == "auto":
                raise UsageError("evaluation needs named modalities: av, audio or video")
            audio_rate = None if modality == "video" else audio_rate or _finest(loaded, "audio")
            video_rate = None if modality == "audio" else video_rate or _finest(loaded, "video")
            loaded.check_request(modality, audio_rate, video_rate)
            condition = Condition(
                modality=modality,  # pyright: ignore[reportArgumentType] checked above
                audio_rate=audio_rate,
                video_rate=video_rate,
                noise=noise,
                snr_db=snr_db,
            )
            conditions[condition] = None
    return tuple(conditions)


def evaluate(
    loaded: LoadedModel,
    utterances: Sequence[Utterance],
    conditions: Sequence[Condition],
    *,
    cache: ClipCache,
    noises: dict[str, NoiseSource] | None = None,
    num_beams: int = DEFAULT_BEAMS,
    batch_size: int = 16,
    progress: Progress = lambda stage, done, total: None,
) -> Evaluation:
    """Run a model over utterances under all conditions.

    Args:
        loaded: the model.
        utterances: with texts of at least one word.
        conditions: from :func:`plan_conditions`.
        cache: where decoded clips are kept.
        noises: a source for each noise that the conditions name.
        num_beams: beams of the search; 1 is greedy.
        batch_size: clips decoded together; does not change the results.
        progress: told how far the work is.

    Returns:
        The outcomes, in the order of ``utterances``.

    Raises:
        UsageError: if an utterance's text has no word, or a noise recording is silent.
    """
    for utterance in utterances:
        if not normalise(utterance.text):
            raise UsageError(f"utterance {utterance.id!r} has no word in its text: mend the manifest")
    reader = _ClipReader(cache, conditions)
    outcomes: list[UtteranceOutcome] = []
    for index, utterance in enumerate(utterances):
        progress("reading clips", index, len(utterances))
        outcomes.append(reader.inspect(utterance))
    progress("reading clips", len(utterances), len(utterances))
    readable = [outcome for outcome in outcomes if outcome.failure is None]
    readable.sort(key=lambda outcome: -outcome.duration_s)  # equal lengths batch without waste
    for start in range(0, len(readable), batch_size):
        progress("recognising", start, len(readable))
        batch = readable[start : start + batch_size]
        clips = [reader.clip(outcome.utterance) for outcome in batch]
        _BatchRun(loaded, batch, clips, noises or {}, num_beams).run(conditions)
    progress("recognising", len(readable), len(readable))
    return Evaluation(conditions=tuple(conditions), outcomes=tuple(outcomes))


class _ClipReader:
    """Reads the streams that the conditions need."""

    def __init__(self, cache: ClipCache, conditions: Sequence[Condition]) -> None:
        self._cache = cache
        self._sound = any(condition.modality != "video" for condition in conditions)
        self._picture = any(condition.modality != "audio" for condition in conditions)

    def clip(self, utterance: Utterance) -> Clip:
        return self._cache.clip(utterance, sound=self._sound, picture=self._picture)

    def inspect(self, utterance: Utterance) -> UtteranceOutcome:
        try:
            clip = self.clip(utterance)
        except MediaError as error:
            return UtteranceOutcome(utterance=utterance, failure=str(error))
        return UtteranceOutcome(
            utterance=utterance,
            duration_s=clip.duration_s,
            face_coverage=None if clip.face is None else clip.face.coverage,
            failure=None if clip.duration_s > 0 else f"{utterance.path}: has zero length",
            warnings=clip.warnings,
        )


class _BatchRun:
    """Runs one batch of clips through all conditions."""

    def __init__(
        self,
        loaded: LoadedModel,
        outcomes: Sequence[UtteranceOutcome],
        clips: Sequence[Clip],
        noises: dict[str, NoiseSource],
        num_beams: int,
    ) -> None:
        self._loaded = loaded
        self._outcomes = outcomes
        self._clips = clips
        self._noises = noises
        self._num_beams = num_beams
        self._heard = [i for i, clip in enumerate(clips) if clip.audio is not None and clip.audio.size]
        self._seen = [i for i, clip in enumerate(clips) if clip.mouth is not None and len(clip.mouth)]

    def run(self, conditions: Sequence[Condition]) -> None:
        video = None
        if self._seen:
            video = encode_video(self._loaded, [_present(self._clips[i].mouth) for i in self._seen])
        read_lips: dict[Condition, Condition] = {}  # noise changes nothing where only lips count
        for sound in dict.fromkeys(condition.sound for condition in conditions):
            members = [condition for condition in conditions if condition.sound == sound]
            audio = None
            if self._heard and any(condition.modality != "video" for condition in members):
                audio = self._encode_mixed(sound, members)
            for condition in members:
                if condition.modality == "video" and condition.clean() in read_lips:
                    self._copy(read_lips[condition.clean()], condition)
                    continue
                self._decode(condition, audio, video)
                if condition.modality == "video":
                    read_lips[condition.clean()] = condition

    def _encode_mixed(
        self, sound: tuple[str | None, float | None], members: Sequence[Condition]
    ) -> Encoded:
        """Add the noise to every clip with sound, note the ratio achieved, and encode."""
        noise, snr_db = sound
        waveforms: list[np.ndarray] = []
        for index in self._heard:
            clip, outcome = self._clips[index], self._outcomes[index]
            waveform = _present(clip.audio)
            if noise is not None and snr_db is not None and not clip.is_silent:
                added = self._noises[noise].for_utterance(outcome.utterance, len(waveform))
                waveform, achieved_db = mix_at_snr(waveform, added, snr_db)
                outcome.snr_db |= dict.fromkeys(members, achieved_db)
            waveforms.append(waveform)
        return encode_audio(self._loaded, waveforms)

    def _decode(self, condition: Condition, audio: Encoded | None, video: Encoded | None) -> None:
        groups: dict[Modality, list[int]] = {}
        for index, (outcome, clip) in enumerate(zip(self._outcomes, self._clips, strict=True)):
            used = fallback_modality(clip, condition.modality)
            if used is not None and used not in self._loaded.modalities:
                used = None
            outcome.used[condition] = used
            outcome.hypotheses[condition] = ""
            if used is not None:
                groups.setdefault(used, []).append(index)
        for modality, indices in groups.items():
            hypotheses = decode(
                self._loaded,
                modality,
                audio=_subset(audio, self._heard, indices) if modality != "video" else None,
                video=_subset(video, self._seen, indices) if modality != "audio" else None,
                audio_rate=condition.audio_rate,
                video_rate=condition.video_rate,
                num_beams=self._num_beams,
            )
            for index, hypothesis in zip(indices, hypotheses, strict=True):
                self._outcomes[index].hypotheses[condition] = hypothesis.text

    def _copy(self, done: Condition, condition: Condition) -> None:
        for outcome in self._outcomes:
            outcome.used[condition] = outcome.used[done]
            outcome.hypotheses[condition] = outcome.hypotheses[done]


def _subset(encoded: Encoded | None, present: Sequence[int], wanted: Sequence[int]) -> Encoded:
    """Rows of clips ``wanted`` from a stream whose rows are the clips ``present``."""
    return _present(encoded).rows([present.index(index) for index in wanted])


def _present(value: Value | None) -> Value:
    assert value is not None
    return value


def _finest(loaded: LoadedModel, stream: Literal["audio", "video"]) -> int | None:
    rates = loaded.rates(stream)
    return rates[0] if rates else None
