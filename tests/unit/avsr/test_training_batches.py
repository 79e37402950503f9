"""Batches, routes and augmentation of training: bounded, repeatable, the same on any processes."""

import numpy as np
import pytest

from avsr.training.augmentation import (
    TrainingNoise,
    augment_video,
    build_babble,
    mask_time,
    place_crop,
)
from avsr.training.batching import FrameBatchSampler, batch_clips, bucket_clips
from avsr.training.routes import RoutePlan
from avsr.training.settings import AugmentationSettings, ModalityDropout, ObjectiveSettings
from avsr_frontends.mouth import normalise_mouth
from tests.signals import tone
from tests.tiny import tiny_config
from tests.training_data import write_corpus

LENGTHS = [int(n) for n in np.random.default_rng(0).integers(10, 200, size=97)]


def sampler(**changes: int) -> FrameBatchSampler:
    return FrameBatchSampler(LENGTHS, max_frames=400, max_clips=6, **{"seed": 3, **changes})


def test_batches_hold_every_clip_once_and_keep_the_bounds() -> None:
    batches = list(sampler())
    assert sorted(pick.index for batch in batches for pick in batch) == list(range(97))
    for batch in batches:
        lengths = [LENGTHS[pick.index] for pick in batch]
        assert len(batch) <= 6
        assert len(batch) * max(lengths) <= 400
        assert max(lengths) <= 1.1 * min(lengths)


def test_a_clip_that_is_too_long_is_alone() -> None:
    assert batch_clips(bucket_clips([900, 10]), [900, 10], 400, 6) == [[1], [0]]


def test_epochs_differ_but_are_as_long_and_repeatable() -> None:
    first, second = sampler(group_size=4), sampler(group_size=4)
    second.set_epoch(1)
    orders = [[[pick.index for pick in batch] for batch in each] for each in (first, second)]
    assert orders[0] != orders[1]
    assert len(orders[0]) == len(orders[1]) == len(first) == 4 * first.steps_per_epoch
    assert list(first) == list(sampler(group_size=4))


def test_groups_are_consecutive_batches() -> None:
    groups = [batch[0].group for batch in sampler(group_size=4)]
    assert groups == [number // 4 for number in range(len(groups))]


def test_routes_of_both_objectives() -> None:
    config = tiny_config(audio_rates=[4, 16], video_rates=[2, 5])
    every = RoutePlan(config, ObjectiveSettings(matryoshka="all"), 0).draw(0, 0)
    assert len(every) == 8
    weights = {
        name: sum(i.weight for i in every if i.route.task == name)
        for name in ("asr", "vsr", "avsr")
    }
    assert weights == pytest.approx({"asr": 1 / 3, "vsr": 1.5 / 3, "avsr": 1 / 3})
    plan = RoutePlan(config, ObjectiveSettings(), 0)
    drawn = [plan.draw(0, group) for group in range(40)]
    assert drawn == [plan.draw(0, group) for group in range(40)]
    assert {len(routes) for routes in drawn} == {3}
    assert all(routes[0].route.audio_rate == routes[2].route.audio_rate for routes in drawn)
    assert {routes[2].name for routes in drawn} == {
        "avsr_a4_v2", "avsr_a4_v5", "avsr_a16_v2", "avsr_a16_v5"
    }  # fmt: skip
    single = RoutePlan(tiny_config(modalities=["av"]), ObjectiveSettings(matryoshka="all"), 0)
    assert [item.weight for item in single.all()] == [0.25] * 4


def test_modality_dropout_takes_its_share() -> None:
    dropout = ModalityDropout(audio_only=0.25, video_only=0.25)
    plan = RoutePlan(tiny_config(), ObjectiveSettings(modality_dropout=dropout), 1)
    kept = [plan.draw(0, group)[2].route.modality for group in range(400)]
    for modality, share in (("audio", 0.25), ("video", 0.25), ("av", 0.5)):
        assert kept.count(modality) / 400 == pytest.approx(share, abs=0.07)
    with pytest.raises(ValueError, match="modality dropout needs"):
        RoutePlan(tiny_config(modalities=["av"]), ObjectiveSettings(modality_dropout=dropout), 1)


def test_a_random_crop_is_what_the_model_sees() -> None:
    generator = np.random.default_rng(5)
    mouth = generator.integers(0, 255, (3, 96, 96), dtype=np.uint8)
    placed = place_crop(mouth, np.random.default_rng(1))
    top, left = np.random.default_rng(1).integers(9, size=2)
    whole = np.zeros_like(mouth)
    whole[:, 4:92, 4:92] = mouth[:, top : top + 88, left : left + 88]
    assert (placed == whole).all()
    assert (normalise_mouth(placed) == normalise_mouth(whole)).all()


def test_flip_mirrors_and_leaves_the_input() -> None:
    mouth = np.random.default_rng(0).integers(0, 255, (2, 96, 96), dtype=np.uint8)
    before = mouth.copy()
    settings = AugmentationSettings(random_crop=False, video_mask=False, flip=1.0)
    assert (augment_video(mouth, settings, np.random.default_rng(0)) == mouth[:, :, ::-1]).all()
    augment_video(mouth, AugmentationSettings(), np.random.default_rng(0))
    assert (mouth == before).all()


def test_masks_are_short_and_as_many_as_seconds() -> None:
    shares = []
    for seed in range(50):
        masked = mask_time(np.ones(100), 10, 25, np.random.default_rng(seed)) == 0
        runs = np.diff(np.flatnonzero(np.diff(np.r_[False, masked, False].astype(int)))[:])[::2]
        assert len(runs) <= 4
        shares.append(masked.mean())
    assert 0.1 < np.mean(shares) < 0.2  # four masks of 4.5 frames on average


def test_noise_comes_at_the_drawn_ratios_or_not_at_all() -> None:
    speech = tone(1.0)
    noise = TrainingNoise(recordings=(tone(3.0, 999.0),), snr_db=(0.0, 20.0), clean=True)
    ratios = []
    for seed in range(60):
        added = noise.add_to(speech, np.random.default_rng(seed)) - speech
        power = float(np.mean(added.astype(np.float64) ** 2))
        ratios.append(
            round(10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / power)) if power else None
        )
    assert set(ratios) == {0, 20, None}


def test_babble_is_built_from_clips(tmp_path) -> None:
    from avsr.clips.cache import ClipCache
    from avsr.errors import UsageError
    from avsr.manifest import read_manifest

    utterances = read_manifest(write_corpus(tmp_path))
    cache = ClipCache(tmp_path / "cache")

    def read(utterance):
        return cache.clip(utterance, picture=False).audio

    babble = [
        build_babble(utterances, read, n_voices=4, seed=seed, duration_s=2.0) for seed in (0, 0, 1)
    ]
    assert babble[0].shape == (32_000,)
    assert (babble[0] == babble[1]).all()
    assert (babble[0] != babble[2]).any()
    with pytest.raises(UsageError, match="none"):
        build_babble(utterances, lambda utterance: None, n_voices=4, seed=0)
