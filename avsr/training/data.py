"""The clips of a run: manifests, the dev split, and noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from avsr.clips.cache import ClipCache
from avsr.datasets import read_dataset
from avsr.datasets.jsonl import NAME as JSONL
from avsr.datasets.problems import Problem
from avsr.errors import UsageError, one_line
from avsr.manifest import Utterance
from avsr.model_files.vocabulary import unknown_words
from avsr.progress import Say
from avsr.training.augmentation import TrainingNoise, build_babble
from avsr.training.bad_lips import READABLE
from avsr.training.build import Start
from avsr.training.examples import (
    Example,
    Progress,
    TrainingSet,
    carve_dev,
    select_examples,
)
from avsr.training.settings import BABBLE, AugmentationSettings, TrainConfig
from avsr_frontends.media import MediaError, read_audio


@dataclass(frozen=True, kw_only=True)
class TrainingSets:
    """The clips of a run.

    Attributes:
        train: to learn from.
        dev: to choose checkpoints on, or None.
        problems: clips that are left out, or hold words that the model cannot write.
    """

    train: TrainingSet
    dev: TrainingSet | None
    problems: tuple[Problem, ...]


def build_sets(
    config: TrainConfig,
    cache: ClipCache,
    start: Start,
    say: Say,
    progress: Progress,
) -> TrainingSets:
    """Read the manifests, leave out what cannot be trained on, and keep dev clips apart.

    Args:
        config: the settings.
        cache: where clips that are not prepared are kept decoded.
        start: the model; tells which streams are needed and which words are known.
        say: told what is left out.
        progress: told how far the look at the clips is.

    Raises:
        UsageError: manifests that cannot be used, or share clips.
    """
    modalities = start.model.config.modalities or ()
    sound = any(name != "video" for name in modalities)
    picture = any(name != "audio" for name in modalities)
    problems: list[Problem] = []

    def examples_of(manifests: Sequence[str]) -> list[Example]:
        utterances = _read_manifests(manifests, problems)
        examples, left_out = select_examples(
            utterances,
            cache,
            sound=sound,
            picture=picture,
            max_duration_s=config.data.max_duration_s,
            normalise_text=config.data.normalise_text,
            progress=progress,
        )
        problems.extend(left_out)
        if not examples:
            raise UsageError(f"{', '.join(manifests)}: no clip can be used; {_some(problems)}")
        return examples

    examples = examples_of(config.data.train)
    dev: list[Example] | None = None
    if config.data.dev is not None:
        dev = examples_of([config.data.dev])
        _check_apart(examples, dev)
    elif config.data.dev_speakers:
        try:
            examples, dev = carve_dev(examples, config.data.dev_speakers, config.seed)
        except ValueError as error:
            raise UsageError(one_line(error)) from None
    if problems:
        say(f"{len(problems)} clips are left out: {_some(problems)}")
    problems += _unknown_words([*examples, *(dev or ())], start)
    noise = _noise(config, examples, cache) if sound else None
    train_set = TrainingSet(
        examples,
        cache,
        sound=sound,
        picture=picture,
        augmentation=_augmentation(config, modalities),
        noise=noise,
        seed=config.seed,
    )
    dev_set = None if dev is None else TrainingSet(dev, cache, sound=sound, picture=picture)
    return TrainingSets(train=train_set, dev=dev_set, problems=tuple(problems))


def _read_manifests(manifests: Sequence[str], problems: list[Problem]) -> list[Utterance]:
    """Read manifests; lines that cannot be used are added to ``problems``."""
    utterances: dict[str, Utterance] = {}
    for manifest in manifests:
        dataset = read_dataset(manifest, JSONL)
        problems += dataset.problems
        for utterance in dataset.spoken:
            if utterance.id in utterances:
                detail = f"{manifest}: the id is in another training manifest as well; left out"
                problems.append(Problem(kind="duplicate id", id=utterance.id, detail=detail))
            else:
                utterances[utterance.id] = utterance
    return list(utterances.values())


def _unknown_words(examples: Sequence[Example], start: Start) -> Iterator[Problem]:
    """A problem for each clip with words that the model cannot write, or does not know yet."""
    for example in examples:
        words = unknown_words(example.text, start.processor.tokenizer)
        what = "the tokenizer cannot write them"
        if not words and start.vocabulary is not None:
            words = unknown_words(example.text, start.processor.tokenizer, start.vocabulary)
            what = "new to the model"
        if words:
            detail = f"{' '.join(words)}: {what}; the clip is used"
            yield Problem(kind="unknown words", id=example.utterance.id, detail=detail)


def _check_apart(examples: Sequence[Example], dev: Sequence[Example]) -> None:
    trained = {_stretch(example) for example in examples}
    shared = [example.utterance.id for example in dev if _stretch(example) in trained]
    if shared:
        raise UsageError(
            f"data.dev: {len(shared)} clips are in data.train as well, such as {shared[0]}"
        )


def _stretch(example: Example) -> tuple:
    utterance = example.utterance
    return utterance.path.resolve(), utterance.start, utterance.end


def _augmentation(config: TrainConfig, modalities: Sequence[str]) -> AugmentationSettings:
    """The settings, without what a model that lacks the task of sound and lips cannot learn."""
    settings = config.augmentation
    if not settings.bad_lips or "av" in modalities:
        return settings
    kinds = tuple(kind for kind in settings.bad_lips_kinds if kind in READABLE)
    if not kinds:
        raise UsageError(
            f"augmentation.bad_lips_kinds: {', '.join(settings.bad_lips_kinds)} hide the words, so "
            f"a model without the task av needs one of {', '.join(sorted(READABLE))} as well"
        )
    return replace(settings, bad_lips_kinds=kinds)


def _noise(
    config: TrainConfig, examples: Sequence[Example], cache: ClipCache
) -> TrainingNoise | None:
    settings = config.augmentation
    if not settings.noise:
        return None
    recordings = []
    for name in settings.noise:
        if name == BABBLE:
            recordings.append(
                build_babble(
                    [example.utterance for example in examples],
                    lambda utterance: cache.clip(utterance, picture=False).audio,
                    n_voices=settings.babble_voices,
                    seed=config.seed,
                )
            )
            continue
        try:
            recording = read_audio(name)
        except MediaError as error:
            raise UsageError(f"augmentation.noise: {error}") from None
        if not recording.any():
            raise UsageError(f"augmentation.noise: {name} is silent")
        recordings.append(recording)
    return TrainingNoise(recordings=tuple(recordings), snr_db=settings.snr_db, clean=settings.clean)


def _some(problems: Sequence[Problem], most: int = 3) -> str:
    listed = [f"{problem.id} ({problem.detail})" for problem in problems[:most]]
    more = f" and {len(problems) - most} more (run.json lists all)" if len(problems) > most else ""
    return ", ".join(listed) + more
