"""One batch of an evaluation: encoders run once, then every condition decodes what it needs."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from avsr.clip_file import Clip
from avsr.conditions import Condition, Sound, UtteranceOutcome
from avsr.config import Modality
from avsr.hypotheses import Encoded, decode, encode_audio, encode_video, fit_to_lips
from avsr.modality import fallback_modality
from avsr.noise import NoiseSource, mix_at_snr
from avsr.pretrained import LoadedModel

Value = TypeVar("Value")


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
        num_beams: int,
        draft: str | None = None,
    ) -> None:
        self._loaded = loaded
        self._outcomes = outcomes
        self._clips = clips
        self._noises = noises
        self._num_beams = num_beams
        self._draft = draft
        self.n_drafted = 0  # tokens proposed by a draft, of all conditions
        self.n_accepted = 0
        self._video: dict[int, int] = {}  # clip -> row of the encoded lips
        self._lips: Encoded | None = None

    def run(self, conditions: Sequence[Condition]) -> None:
        """Fill in the outcomes for all conditions."""
        self._encode_lips(conditions)
        read_lips: dict[Condition, Condition] = {}  # noise changes nothing where only lips count
        for sound in dict.fromkeys(condition.sound for condition in conditions):
            members = [condition for condition in conditions if condition.sound == sound]
            waveforms = self._mixed(sound, members)
            heard: dict[tuple[int, ...], Encoded] = {}  # clips and fit -> encoded sound
            for condition in members:
                if condition.modality == "video" and condition.clean() in read_lips:
                    self._copy(read_lips[condition.clean()], condition)
                    continue
                for modality, clips in self._groups(condition).items():
                    audio = self._encode_sound(waveforms, modality, clips, heard)
                    self._decode(condition, modality, clips, audio)
                if condition.modality == "video":
                    read_lips[condition.clean()] = condition

    def _encode_lips(self, conditions: Sequence[Condition]) -> None:
        """Encode the lips of all clips that show any, once."""
        mouths: list[np.ndarray] = []
        if all(condition.modality == "audio" for condition in conditions):
            return
        for index, clip in enumerate(self._clips):
            if clip.mouth is not None and len(clip.mouth):
                self._video[index] = len(mouths)
                mouths.append(clip.mouth)
        if mouths:
            self._lips = encode_video(self._loaded, mouths)

    def _mixed(self, sound: Sound, members: Sequence[Condition]) -> dict[int, np.ndarray]:
        """The sound of each clip that has any, with the noise; notes the ratios achieved."""
        members = [condition for condition in members if condition.modality != "video"]
        waveforms: dict[int, np.ndarray] = {}
        for index, (clip, outcome) in enumerate(zip(self._clips, self._outcomes, strict=True)):
            if clip.audio is None or not members:
                continue
            waveforms[index] = clip.audio
            noise, snr_db = sound
            if noise is not None and snr_db is not None and not clip.is_silent:
                added = self._noises[noise].for_utterance(outcome.utterance, len(clip.audio))
                waveforms[index], achieved_db = mix_at_snr(clip.audio, added, snr_db)
                outcome.snr_db |= dict.fromkeys(members, achieved_db)
        return waveforms

    def _groups(self, condition: Condition) -> dict[Modality, list[int]]:
        """Which clips are read by which modality; a clip without any keeps an empty text."""
        groups: dict[Modality, list[int]] = {}
        for index, (outcome, clip) in enumerate(zip(self._outcomes, self._clips, strict=True)):
            used = fallback_modality(clip, condition.modality)
            if used is not None and used not in self._loaded.modalities:
                used = None
            outcome.used[condition] = used
            outcome.hypotheses[condition] = ""
            if used is not None:
                groups.setdefault(used, []).append(index)
        return groups

    def _encode_sound(
        self,
        waveforms: dict[int, np.ndarray],
        modality: Modality,
        clips: Sequence[int],
        done: dict[tuple[int, ...], Encoded],
    ) -> Encoded | None:
        """Encode the sound of some clips, unless ``done`` holds it already."""
        if modality == "video":
            return None
        wanted = [waveforms[index] for index in clips]
        if modality == "av":
            pairs = zip(wanted, clips, strict=True)
            wanted = [
                fit_to_lips(wave, _present(self._clips[index].mouth)) for wave, index in pairs
            ]
        key = (*clips, *(len(waveform) for waveform in wanted))
        if key not in done:
            done[key] = encode_audio(self._loaded, wanted)
        return done[key]

    def _decode(
        self,
        condition: Condition,
        modality: Modality,
        clips: Sequence[int],
        audio: Encoded | None,
    ) -> None:
        video = None
        if modality != "audio":
            video = _present(self._lips).rows([self._video[index] for index in clips])
        hypotheses = decode(
            self._loaded,
            modality,
            audio=audio,
            video=video,
            audio_rate=condition.audio_rate,
            video_rate=condition.video_rate,
            num_beams=self._num_beams,
            draft=self._draft,
        )
        self.n_drafted += sum(hypothesis.n_drafted for hypothesis in hypotheses)
        self.n_accepted += sum(hypothesis.n_accepted for hypothesis in hypotheses)
        for index, hypothesis in zip(clips, hypotheses, strict=True):
            self._outcomes[index].hypotheses[condition] = hypothesis.text

    def _copy(self, done: Condition, condition: Condition) -> None:
        for outcome in self._outcomes:
            outcome.used[condition] = outcome.used[done]
            outcome.hypotheses[condition] = outcome.hypotheses[done]


def _present(value: Value | None) -> Value:
    assert value is not None
    return value
