"""One batch of an evaluation: encoders run once, then every condition decodes what it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from avsr.clips.clip import Clip
from avsr.decoding.options import SearchOptions
from avsr.evaluation.conditions import Condition, Sound, UtteranceOutcome
from avsr.model_parts.streams import EncodedStreams
from avsr.noise import NoiseSource, measured_snr_db, mix_at_snr
from avsr.pretrained import LoadedModel
from avsr.processing import fit_to_lips
from avsr.recognition.borders import cut_at_borders
from avsr.recognition.fusion import decode_fused
from avsr.recognition.hypotheses import encode
from avsr.recognition.joint_decoding import DecodingJob
from avsr.recognition.modality import fallback_modality
from avsr.recognition.segmentation import whole_spans
from avsr.route import Modality, Route
from avsr_frontends.rates import VIDEO_FPS

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What is given to the model at once: a clip, or a piece of one that is too long.

    Attributes:
        owner: number of the clip in the batch.
        span: the piece in seconds; None for the whole clip.
        clip: its arrays.
    """

    owner: int
    span: tuple[float, float] | None
    clip: Clip


class BatchRun:
    """Runs one batch of clips through all conditions and writes down what came out.

    Sound is encoded once for each noise condition (and once more where lips of another length go
    with it), lips once. Clips that lack what a condition needs keep an empty hypothesis.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        outcomes: Sequence[UtteranceOutcome],
        clips: Sequence[Clip],
        noises: dict[str, NoiseSource],
        search: SearchOptions,
        batch_size: int,
    ) -> None:
        """Prepare a batch.

        Args:
            loaded: the model.
            outcomes: what to fill in.
            clips: the same clips' arrays.
            noises: a source for each noise that conditions will name.
            search: how texts are searched for.
            batch_size: texts decoded together.
        """
        self._loaded = loaded
        self._outcomes = outcomes
        self._clips = clips
        self._noises = noises
        self._search = search
        self._batch_size = batch_size
        self._parts = [
            part
            for owner, clip in enumerate(clips)
            for part in _parts(owner, clip, loaded.max_segment_s)
        ]
        self._video: dict[int, int] = {}  # part -> row of the encoded lips
        self._lips = EncodedStreams()
        self._added: dict[tuple[str, int], np.ndarray] = {}  # noise and clip -> its samples

    def run(self, conditions: Sequence[Condition]) -> None:
        """Fill in the outcomes for all conditions."""
        self._encode_lips(conditions)
        read_lips: dict[Condition, Condition] = {}  # noise changes nothing where only lips count
        for sound in dict.fromkeys(condition.sound for condition in conditions):
            members = [condition for condition in conditions if condition.sound == sound]
            waveforms = self._mixed(sound, members)
            heard: dict[tuple[int, ...], EncodedStreams] = {}  # parts and fit -> encoded sound
            jobs: list[tuple[Condition, list[int], DecodingJob]] = []
            for condition in members:
                if condition.route.modality == "video" and condition.clean() in read_lips:
                    continue
                for modality, parts in self._groups(condition).items():
                    route = condition.route.by(modality)
                    sound_of = self._encode_sound(waveforms, route, parts, heard)
                    jobs.append((condition, parts, self._job(route, parts, sound_of)))
            texts = self._decode(jobs)
            for condition in members:
                if condition.route.modality == "video" and condition.clean() in read_lips:
                    self._copy(read_lips[condition.clean()], condition)
                    continue
                self._write_down(condition, texts.get(condition, {}))
                if condition.route.modality == "video":
                    read_lips[condition.clean()] = condition

    def _encode_lips(self, conditions: Sequence[Condition]) -> None:
        """Encode the lips of all parts that show any, once."""
        mouths: list[np.ndarray] = []
        if all(condition.route.modality == "audio" for condition in conditions):
            return
        for index, part in enumerate(self._parts):
            if part.clip.mouth is not None and len(part.clip.mouth):
                self._video[index] = len(mouths)
                mouths.append(part.clip.mouth)
        if mouths:
            self._lips = encode(self._loaded, mouths=mouths)

    def _mixed(self, sound: Sound, members: Sequence[Condition]) -> dict[int, np.ndarray]:
        """The sound of each part that has any, with the noise; notes the ratios achieved."""
        members = [condition for condition in members if condition.route.modality != "video"]
        if not members:
            return {}
        whole: dict[int, np.ndarray] = {}
        for index, (clip, outcome) in enumerate(zip(self._clips, self._outcomes, strict=True)):
            if clip.audio is None:
                continue
            whole[index] = clip.audio
            noise, snr_db = sound
            if noise is not None and snr_db is not None and not clip.is_silent:
                added = self._noise_for(noise, index, len(clip.audio))
                whole[index] = mix_at_snr(clip.audio, added, snr_db)
                achieved_db = measured_snr_db(clip.audio, whole[index])
                outcome.snr_db |= dict.fromkeys(members, achieved_db)
        return {
            index: _cut(whole[part.owner], part)
            for index, part in enumerate(self._parts)
            if part.clip.audio is not None and part.clip.audio.size
        }

    def _noise_for(self, noise: str, index: int, n_samples: int) -> np.ndarray:
        """The noise of one clip, which all ratios share."""
        key = (noise, index)
        if key not in self._added:
            utterance = self._outcomes[index].utterance
            self._added[key] = self._noises[noise].for_utterance(utterance, n_samples)
        return self._added[key]

    def _groups(self, condition: Condition) -> dict[Modality, list[int]]:
        """Which parts are read by which modality; notes what each clip allows."""
        groups: dict[Modality, list[int]] = {}
        for outcome, clip in zip(self._outcomes, self._clips, strict=True):
            outcome.used[condition] = self._readable(clip, condition.route.modality)
        for index, part in enumerate(self._parts):
            used = self._outcomes[part.owner].used[condition]
            if used is not None:
                used = self._readable(part.clip, used)
            if used is not None:
                groups.setdefault(used, []).append(index)
        return groups

    def _readable(self, clip: Clip, wanted: Modality) -> Modality | None:
        used = fallback_modality(clip, wanted)
        return used if used in self._loaded.modalities else None

    def _encode_sound(
        self,
        waveforms: dict[int, np.ndarray],
        route: Route,
        parts: Sequence[int],
        done: dict[tuple[int, ...], EncodedStreams],
    ) -> EncodedStreams:
        """Encode the sound of some parts, unless ``done`` holds it already."""
        if not route.has_audio:
            return EncodedStreams()
        wanted = [waveforms[index] for index in parts]
        if route.has_video:
            mouths = [_present(self._parts[index].clip.mouth) for index in parts]
            wanted = [fit_to_lips(wave, mouth) for wave, mouth in zip(wanted, mouths, strict=True)]
        key = (*parts, *(len(waveform) for waveform in wanted))
        if key not in done:
            done[key] = encode(self._loaded, waveforms=wanted)
        return done[key]

    def _job(self, route: Route, parts: Sequence[int], sound: EncodedStreams) -> DecodingJob:
        """Some parts, to be read by a route."""
        lips = EncodedStreams()
        if route.has_video:
            lips = self._lips.rows([self._video[index] for index in parts])
        return DecodingJob(streams=EncodedStreams(audio=sound.audio, video=lips.video), route=route)

    def _decode(
        self, jobs: Sequence[tuple[Condition, list[int], DecodingJob]]
    ) -> dict[Condition, dict[int, str]]:
        """The text of each part under each condition."""
        texts: dict[Condition, dict[int, str]] = {}
        found = decode_fused(
            self._loaded,
            [job for _, _, job in jobs],
            max_rows=self._batch_size,
            search=self._search,
        )
        for (condition, parts, _), hypotheses in zip(jobs, found, strict=True):
            for index, hypothesis in zip(parts, hypotheses, strict=True):
                outcome = self._outcomes[self._parts[index].owner]
                outcome.n_drafted += hypothesis.n_drafted
                outcome.n_accepted += hypothesis.n_accepted
                texts.setdefault(condition, {})[index] = hypothesis.text
        return texts

    def _write_down(self, condition: Condition, texts: dict[int, str]) -> None:
        """Join the parts of each clip; a clip without any keeps an empty text."""
        for owner, outcome in enumerate(self._outcomes):
            own = [texts.get(i, "") for i, part in enumerate(self._parts) if part.owner == owner]
            outcome.hypotheses[condition] = " ".join(text for text in own if text)

    def _copy(self, done: Condition, condition: Condition) -> None:
        for outcome in self._outcomes:
            outcome.used[condition] = outcome.used[done]
            outcome.hypotheses[condition] = outcome.hypotheses[done]


def _parts(owner: int, clip: Clip, longest_s: float) -> list[_Part]:
    """A clip as one part, or cut at quiet moments where it is longer than the model takes."""
    if clip.duration_s <= longest_s:
        return [_Part(owner=owner, span=None, clip=clip)]
    frames = cut_at_borders(whole_spans(clip, longest_s), clip, None, "av")
    spans = [(first / VIDEO_FPS, last / VIDEO_FPS) for first, last in frames]
    return [_Part(owner=owner, span=span, clip=clip.cut(*span)) for span in spans]


def _cut(waveform: np.ndarray, part: _Part) -> np.ndarray:
    return waveform if part.span is None else _present(Clip(audio=waveform).cut(*part.span).audio)


def _present(value: Value | None) -> Value:
    assert value is not None
    return value
