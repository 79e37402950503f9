"""Training clips: which utterances can be trained on, and their sound, lips and text one by one.

Shapes: N audio samples at 16 kHz, T video frames at 25 fps.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from avsr.clips.cache import ClipCache, source_key
from avsr.clips.clip import CLIP_SUFFIX, read_note
from avsr.datasets.problems import Problem, ProblemKind
from avsr.lines import read_lines
from avsr.manifest import Utterance
from avsr.noise import generator_for
from avsr.processing import fit_to_lips
from avsr.progress import Progress, show_nothing
from avsr.text import normalise
from avsr.training.augmentation import TrainingNoise, augment_audio, augment_video
from avsr.training.bad_lips import spoil_lips
from avsr.training.bad_sound import spoil_sound
from avsr.training.batching import Pick
from avsr.training.settings import AugmentationSettings
from avsr_frontends.media import MediaError
from avsr_frontends.rates import SAMPLES_PER_VIDEO_FRAME, VIDEO_FPS

LENGTHS_FILE = "lengths.jsonl"  # in the cache folder: what is known of each clip without reading it
OTHER_TRIES = 10  # to find a clip with another text


@dataclass(frozen=True, kw_only=True)
class Example:
    """An utterance that can be trained on.

    Attributes:
        utterance: where it is.
        text: what is learned.
        n_frames: length in video frames (25 per second).
    """

    utterance: Utterance
    text: str
    n_frames: int


@dataclass(frozen=True, kw_only=True)
class TrainingClip:
    """One clip as the collator takes it.

    Attributes:
        text: transcript.
        audio: [N] float32; None where the model takes no sound.
        mouth: [T, 96, 96] or [T, 96, 96, 3] uint8; None where it takes no picture.
        pick: the place in the epoch.
        lips_readable: whether the lips show the text.
    """

    text: str
    audio: np.ndarray | None
    mouth: np.ndarray | None
    pick: Pick
    lips_readable: bool = True


def select_examples(
    utterances: Sequence[Utterance],
    cache: ClipCache,
    *,
    sound: bool,
    picture: bool,
    max_duration_s: float,
    normalise_text: bool = True,
    progress: Progress = show_nothing,
) -> tuple[list[Example], list[Problem]]:
    """Find the utterances that have all that is needed, decoding those that are not cached yet.

    Returns:
        The examples in order, and why each of the others is left out.
    """
    lengths = _Lengths(cache)
    examples: list[Example] = []
    left_out: list[Problem] = []
    for number, utterance in enumerate(utterances):
        progress("looking at clips", number, len(utterances))
        text = normalise(utterance.text) if normalise_text else utterance.text.strip()
        try:
            n_samples, n_mouths = lengths.of(utterance, sound=sound, picture=picture)
        except MediaError as error:
            left_out.append(Problem(kind="unreadable", id=utterance.id, detail=str(error)))
            continue
        n_frames = n_mouths if picture else -(-n_samples // SAMPLES_PER_VIDEO_FRAME)
        kind: ProblemKind | None = None
        reason = ""
        if not text:
            kind, reason = "empty text", "the text has no word"
        elif sound and not n_samples:
            kind, reason = "no sound", "there is no sound"
        elif picture and not n_mouths:
            kind, reason = "no face", "no face was found"
        elif n_frames > max_duration_s * VIDEO_FPS:
            length = f"longer than {max_duration_s:g} s ({n_frames / VIDEO_FPS:.1f} s)"
            kind, reason = "too long", length
        if kind is not None:
            left_out.append(Problem(kind=kind, id=utterance.id, detail=f"{reason}; left out"))
        else:
            examples.append(Example(utterance=utterance, text=text, n_frames=n_frames))
    progress("looking at clips", len(utterances), len(utterances))
    return examples, left_out


def carve_dev(
    examples: Sequence[Example], n_speakers: int, seed: int
) -> tuple[list[Example], list[Example]]:
    """Split off all clips of ``n_speakers`` speakers, chosen by seed.

    A clip whose speaker is not named counts as spoken by the folder it lies in.

    Returns:
        The examples to train on and those of the dev speakers.

    Raises:
        ValueError: there are not more speakers than that.
    """
    speakers = sorted({_speaker(example) for example in examples})
    if len(speakers) <= n_speakers:
        raise ValueError(
            f"data.dev_speakers asks for {n_speakers} of {len(speakers)} speakers: lower it, name "
            "speakers in the manifest, or give data.dev"
        )
    chosen = set(np.random.default_rng(seed).permutation(speakers)[:n_speakers].tolist())
    train = [example for example in examples if _speaker(example) not in chosen]
    return train, [example for example in examples if _speaker(example) in chosen]


def _speaker(example: Example) -> str:
    return example.utterance.speaker or str(example.utterance.path.parent)


class TrainingSet(Dataset[TrainingClip]):
    """Clips by :class:`~avsr.training.batching.Pick`.

    Args:
        examples: what :func:`select_examples` found.
        cache: where clips are read from.
        sound: whether the model takes sound.
        picture: whether it takes lips; the sound is then cut or filled to the length of these.
        augmentation: None leaves clips as they are.
        noise: mixed in while augmenting.
        seed: with a clip's id and the epoch, fixes its augmentation.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        cache: ClipCache,
        *,
        sound: bool,
        picture: bool,
        augmentation: AugmentationSettings | None = None,
        noise: TrainingNoise | None = None,
        seed: int = 0,
    ) -> None:
        self.examples = list(examples)
        self._cache = cache
        self._sound, self._picture = sound, picture
        self._augmentation, self._noise = augmentation, noise
        self._seed = seed

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, pick: Pick) -> TrainingClip:  # pyright: ignore[reportIncompatibleMethodOverride]
        example = self.examples[pick.index]
        clip = self._cache.clip(example.utterance, sound=self._sound, picture=self._picture)
        audio = clip.audio if self._sound else None
        mouth = clip.mouth if self._picture else None
        if audio is not None and mouth is not None:
            audio = fit_to_lips(audio, mouth)
        readable = True
        if self._augmentation is not None:
            # the batch number: a clip that comes twice in an epoch is changed differently
            name = f"{pick.epoch}:{pick.batch}:{example.utterance.id}"
            generator = generator_for(name, self._seed)
            # of their own: what befalls a stream tells nothing of the other
            lips_luck = generator_for(f"{name}:lips", self._seed)
            sound_luck = generator_for(f"{name}:sound", self._seed)
            if mouth is not None:
                read_other = partial(self._lips_of_another, example, lips_luck)
                mouth, readable = spoil_lips(mouth, self._augmentation, lips_luck, read_other)
                mouth = augment_video(mouth, self._augmentation, generator)
            if audio is not None:
                audio = augment_audio(audio, self._augmentation, self._noise, generator)
                audio = spoil_sound(audio, self._augmentation, sound_luck)
        return TrainingClip(
            text=example.text, audio=audio, mouth=mouth, pick=pick, lips_readable=readable
        )

    def _lips_of_another(
        self, example: Example, generator: np.random.Generator
    ) -> np.ndarray | None:
        """Lips of a random clip that says something else; None where none was found."""
        for _ in range(OTHER_TRIES):
            other = self.examples[int(generator.integers(len(self.examples)))]
            if other.text != example.text:
                return self._cache.clip(other.utterance, sound=False, picture=True).mouth
        return None


class _Lengths:
    """Samples and mouth pictures of clips, remembered in the cache folder."""

    def __init__(self, cache: ClipCache) -> None:
        self._cache = cache
        self._file = cache.folder / LENGTHS_FILE
        self._known: dict[str, dict[str, Any]] = {}
        for line in self._lines():
            try:
                entry = json.loads(line)
                self._known[entry["key"]] = entry
            except (json.JSONDecodeError, KeyError, TypeError):
                continue  # a line that a kill cut short: the clip is looked at again

    def _lines(self) -> list[str]:
        return read_lines(self._file) if self._file.exists() else []

    def of(self, utterance: Utterance, *, sound: bool, picture: bool) -> tuple[int, int]:
        """Samples and mouth pictures; 0 for a stream that is missing or was not asked for."""
        key = _key(utterance)
        entry = self._known.get(key, {})
        if (sound and "n_samples" not in entry) or (picture and "n_mouths" not in entry):
            entry = {"key": key, **entry, **self._measure(utterance, sound, picture)}
            self._known[key] = entry
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        return entry.get("n_samples", 0), entry.get("n_mouths", 0)

    def _measure(self, utterance: Utterance, sound: bool, picture: bool) -> dict[str, int]:
        note = read_note(utterance.path) if utterance.path.suffix == CLIP_SUFFIX else None
        if note is not None and note.failure is None:  # prepared: no need to unpack it
            return {"n_samples": note.n_samples, "n_mouths": note.n_frames}
        clip = self._cache.clip(utterance, sound=sound, picture=picture)
        entry = {}
        if sound:
            entry["n_samples"] = 0 if clip.audio is None else len(clip.audio)
        if picture:
            entry["n_mouths"] = 0 if clip.mouth is None else len(clip.mouth)
        return entry


def _key(utterance: Utterance) -> str:
    return json.dumps([str(utterance.path.resolve()), source_key(utterance)])
