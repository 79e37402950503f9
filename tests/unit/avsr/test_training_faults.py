"""Bad lips and bad sound in training: what each kind does, how often, and who learns from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avsr.clips.cache import ClipCache
from avsr.errors import UsageError
from avsr.manifest import read_manifest
from avsr.processing import AvsrProcessor
from avsr.training.augmentation import TrainingNoise
from avsr.training.bad_lips import READABLE, spoil_lips
from avsr.training.bad_sound import spoil_sound
from avsr.training.batching import Pick
from avsr.training.build import Start
from avsr.training.collator import Collator
from avsr.training.data import build_sets
from avsr.training.examples import TrainingClip, TrainingSet, select_examples
from avsr.training.objective import TrainingObjective
from avsr.training.routes import RoutePlan
from avsr.training.settings import (
    AugmentationSettings,
    CtcSettings,
    DataSettings,
    LipsFault,
    ObjectiveSettings,
    SoundFault,
    TrainConfig,
)
from tests.signals import tone
from tests.tiny import tiny_inputs, tiny_model
from tests.training_data import write_corpus

MOUTH = np.random.default_rng(0).integers(0, 255, (40, 96, 96), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(0, 255, (30, 96, 96), dtype=np.uint8)
SOUND = tone(1.0) + 0.3 * tone(1.0, 5000.0)
LABELS = torch.tensor([[8, 9, 10, 2], [11, 12, 2, -100]])
PLAIN = {"random_crop": False, "video_mask": False, "audio_mask": False}


def spoilt(kind: LipsFault, seed: int = 0, mouth: np.ndarray = MOUTH) -> np.ndarray:
    before = mouth.copy()
    settings = AugmentationSettings(bad_lips=1.0, bad_lips_kinds=(kind,))
    lips, readable = spoil_lips(mouth, settings, np.random.default_rng(seed), lambda: OTHER)
    assert (mouth == before).all()
    assert readable == (kind in READABLE)
    return lips


def damaged(kind: SoundFault, seed: int = 0) -> np.ndarray:
    before = SOUND.copy()
    settings = AugmentationSettings(bad_sound=1.0, bad_sound_kinds=(kind,))
    sound = spoil_sound(SOUND, settings, np.random.default_rng(seed))
    assert (before == SOUND).all()
    assert (sound.shape, sound.dtype) == (SOUND.shape, SOUND.dtype)
    return sound


@pytest.mark.parametrize("kind", AugmentationSettings().bad_lips_kinds)
def test_every_kind_changes_grey_and_colour_and_keeps_the_length(kind: LipsFault) -> None:
    colour = np.repeat(MOUTH[..., None], 3, axis=3)
    for seed in range(5):
        lips = spoilt(kind, seed)
        assert (lips.shape, lips.dtype) == (MOUTH.shape, np.uint8)
        assert (lips != MOUTH).any()
        assert (lips == spoilt(kind, seed)).all()
        if kind != "other":
            assert (spoilt(kind, seed, colour)[..., 1] == lips).all()


def test_blurred_lips_keep_their_brightness_and_lose_their_detail() -> None:
    lips = spoilt("blurred")
    assert lips.mean() == pytest.approx(MOUTH.mean(), abs=2)
    assert lips.std() < 0.5 * MOUTH.std()


def test_misplaced_lips_lie_elsewhere_in_every_picture() -> None:
    dot = np.zeros((3, 96, 96), dtype=np.uint8)
    dot[:, 44:53, 44:53] = 255
    for seed in range(20):
        lips = spoilt("misplaced", seed, dot)
        assert (lips == lips[0]).all()
        rows, columns = np.nonzero(lips[0] > 128)
        if len(rows):  # else it is outside
            assert np.hypot(rows.mean() - 47.5, columns.mean() - 47.5) > 15


def test_a_cover_hides_a_part_of_the_mouth_for_a_part_of_the_clip() -> None:
    for seed in range(20):
        changed = spoilt("covered", seed) != MOUTH
        frames = np.flatnonzero(changed.any(axis=(1, 2)))
        assert 8 <= len(frames) == frames[-1] - frames[0] + 1 <= 28
        assert 0.05 < changed[frames].mean() < 0.46
        assert changed[frames][:, 47:49, 47:49].any()


def test_frozen_lips_stand_still_to_the_end() -> None:
    starts = []
    for seed in range(40):
        lips = spoilt("frozen", seed)
        starts.append(next(n for n in range(40) if (lips[n:] == lips[n]).all()))
    assert max(starts) <= 20
    assert 10 <= starts.count(0) <= 30


def test_late_lips_are_moved_by_some_frames() -> None:
    moved = set()
    for seed in range(60):
        lips = spoilt("late", seed)
        row = next(n for n in range(40) if (MOUTH[n] == lips[20]).all())
        moved.add(20 - row)
    assert {abs(n) for n in moved} <= set(range(3, 16))
    assert min(moved) < 0 < max(moved)


def test_other_lips_are_another_clips_or_freeze_where_there_is_none() -> None:
    lips = spoilt("other")
    assert (lips[:30] == OTHER).all()
    assert (lips[30:] == OTHER[-1]).all()
    settings = AugmentationSettings(bad_lips=1.0, bad_lips_kinds=("other",))
    alone, readable = spoil_lips(MOUTH, settings, np.random.default_rng(0), lambda: None)
    assert (alone[20:] == alone[20]).all()
    assert not readable


def test_sound_is_clipped_muffled_or_has_gaps() -> None:
    for seed in range(10):
        clipped = damaged("clipped", seed)
        assert np.abs(clipped).max() <= 0.51 * np.abs(SOUND).max()
        spectrum = np.abs(np.fft.rfft(SOUND)), np.abs(np.fft.rfft(damaged("muffled", seed)))
        assert spectrum[1][5000] < 0.1 * spectrum[0][5000]
        gaps = damaged("gaps", seed)
        silent = gaps == 0
        assert 0.02 < silent.mean() < 0.6
        assert (gaps[~silent] == SOUND[~silent]).all()
    silence = np.zeros(500, dtype=np.float32)
    for kind in AugmentationSettings().bad_sound_kinds:
        settings = AugmentationSettings(bad_sound=1.0, bad_sound_kinds=(kind,))
        assert not spoil_sound(silence, settings, np.random.default_rng(0)).any()


def test_faults_come_as_often_as_is_set() -> None:
    kinds: tuple[SoundFault, ...] = ("clipped", "muffled")  # gaps may spare a short sound
    settings = AugmentationSettings(bad_lips=0.3, bad_sound=0.6, bad_sound_kinds=kinds)
    n_lips = n_sound = 0
    for seed in range(400):
        lips, _ = spoil_lips(MOUTH[:2], settings, np.random.default_rng(seed), lambda: OTHER)
        n_lips += (lips != MOUTH[:2]).any()
        sound = spoil_sound(SOUND[:2000], settings, np.random.default_rng(seed))
        n_sound += (sound != SOUND[:2000]).any()
    assert n_lips / 400 == pytest.approx(0.3, abs=0.07)
    assert n_sound / 400 == pytest.approx(0.6, abs=0.07)


def clips(folder: Path, **settings: Any) -> list[TrainingClip]:
    """Forty draws of the second of four clips."""
    utterances = read_manifest(write_corpus(folder, 4))
    cache = ClipCache(folder / "cache")
    examples, _ = select_examples(utterances, cache, sound=True, picture=True, max_duration_s=16)
    noise = TrainingNoise(recordings=(tone(3.0, 999.0),), snr_db=(-5.0, 5.0), clean=True)
    made = TrainingSet(
        examples, cache, sound=True, picture=True, seed=1, noise=noise,
        augmentation=AugmentationSettings(**settings),
    )  # fmt: skip
    return [made[Pick(1, epoch, 0, 0)] for epoch in range(40)]


def differ(first: list[TrainingClip], second: list[TrainingClip], stream: str) -> np.ndarray:
    pairs = zip(first, second, strict=True)
    return np.array([(getattr(a, stream) != getattr(b, stream)).any() for a, b in pairs])


def test_faults_of_one_stream_leave_the_luck_of_the_other(tmp_path: Path) -> None:
    plain = clips(tmp_path)
    lips = clips(tmp_path, bad_lips=0.5)
    sound = clips(tmp_path, bad_sound=0.5)
    both = clips(tmp_path, bad_lips=0.5, bad_sound=0.5)
    assert not differ(plain, lips, "audio").any()
    assert not differ(plain, sound, "mouth").any()
    assert not differ(both, lips, "mouth").any()
    assert not differ(both, sound, "audio").any()
    bad_lips, bad_sound = differ(plain, both, "mouth"), differ(plain, both, "audio")
    for one in (True, False):
        for other in (True, False):
            assert ((bad_lips == one) & (bad_sound == other)).sum() >= 3
    unreadable = np.array([not clip.lips_readable for clip in both])
    assert unreadable.any()
    assert not (unreadable & ~bad_lips).any()
    assert all(clip.lips_readable for clip in (*plain, *sound))
    assert {clip.text for clip in both} == {"lay blue"}


def test_other_lips_say_something_else(tmp_path: Path) -> None:
    drawn = clips(tmp_path, bad_lips=1.0, bad_lips_kinds=["other"], **PLAIN)
    brightness = {int(clip.mouth[0, 0, 0]) for clip in drawn if clip.mouth is not None}
    assert brightness == {0, 80, 120}  # of the words of the three other clips


def test_the_collator_tells_only_what_cannot_be_read(tiny_folder: Path) -> None:
    processor = AvsrProcessor.from_pretrained(tiny_folder)
    collate = Collator(processor, RoutePlan(tiny_model().config, ObjectiveSettings(), 0))
    pick = Pick(0, 0, 0, 0)

    def clip(readable: bool) -> TrainingClip:
        return TrainingClip(
            text="bin", audio=SOUND, mouth=MOUTH[:25], pick=pick, lips_readable=readable
        )

    assert "lips_readable" not in collate([clip(True), clip(True)])
    assert collate([clip(True), clip(False)])["lips_readable"].tolist() == [True, False]


def test_unreadable_lips_teach_only_what_is_read_from_both() -> None:
    model = tiny_model(audio_ctc=True, video_ctc=True).eval()
    settings = ObjectiveSettings(matryoshka="all", ctc=CtcSettings(weight=0.5))
    objective = TrainingObjective(model, settings)
    routes = RoutePlan(model.config, settings, 0).all()
    lips_only = [item.route.modality == "video" for item in routes]

    def losses(labels: torch.Tensor, *readable: bool) -> dict[str, torch.Tensor]:
        some = {"lips_readable": torch.tensor(readable)} if readable else {}
        return objective(labels=labels, routes=routes, **some, **tiny_inputs())

    plain = losses(LABELS)
    for name, value in losses(LABELS, True, True).items():
        assert torch.equal(value, plain[name])
    half, changed = losses(LABELS, True, False), LABELS.clone()
    changed[1, 0] = 9  # a word of the clip whose lips cannot be read
    half_changed = losses(changed, True, False)
    for number, by_lips in enumerate(lips_only):
        same = half["cross_entropy"][number] == half_changed["cross_entropy"][number]
        assert bool(same) == by_lips
        assert by_lips or half["cross_entropy"][number] == plain["cross_entropy"][number]
    assert half["ctc_video"] == half_changed["ctc_video"] != plain["ctc_video"]
    assert half["ctc_audio"] == plain["ctc_audio"] != half_changed["ctc_audio"]
    none = losses(LABELS, False, False)
    assert none["cross_entropy"].isnan().tolist() == lips_only
    assert none["ctc_video"].isnan()
    shares = torch.tensor([item.weight for item in routes])
    learned = (shares * plain["cross_entropy"])[~torch.tensor(lips_only)].sum()
    assert none["loss"].item() == pytest.approx(
        float(learned + 0.25 * plain["ctc_audio"]), rel=1e-5
    )
    none["loss"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_model_of_lips_alone_is_given_readable_lips(tmp_path: Path, tiny_folder: Path) -> None:
    manifest = write_corpus(tmp_path, 4)
    model = tiny_model(modalities=["video"])
    start = Start(model=model, processor=AvsrProcessor.from_pretrained(tiny_folder))
    cache = ClipCache(tmp_path / "cache")

    def sets(**settings: Any) -> TrainingSet:
        config = TrainConfig(
            data=DataSettings(train=(str(manifest),)),
            augmentation=AugmentationSettings(bad_lips=1.0, **settings),
        )
        return build_sets(config, cache, start, print, lambda *_: None).train

    made = sets()
    drawn = [made[Pick(0, epoch, 0, 0)] for epoch in range(20)]
    assert all(clip.lips_readable for clip in drawn)
    with pytest.raises(UsageError, match="frozen, other hide the words"):
        sets(bad_lips_kinds=("frozen", "other"))
