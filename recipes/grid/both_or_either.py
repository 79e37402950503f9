"""Is a reading of sound and lips no worse than that of either? WER by sound, lips, both and fused.

    python recipes/grid/both_or_either.py --manifest s1_test.jsonl --babble-from MANIFEST --work DIR

With ``--fit`` the weights of ``avsr/recognition/fusion.py`` are set on the (development) manifests,
``fusion.json`` is written to DIR, and each manifest's fused column is read with the weights that
the other manifests alone give.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from avsr import EncodedStreams, Route
from avsr.clips.cache import ClipCache
from avsr.evaluation.noise_sources import VoiceReader
from avsr.manifest import read_manifest
from avsr.model_files.fusion import FUSION_FILE, FUSION_NAMES, FusionWeights
from avsr.noise import Babble, generator_for, mix_at_snr
from avsr.pretrained import LoadedModel, load_model
from avsr.processing import fit_to_lips
from avsr.recognition.fusion import Judgement, fuse, judgement_of, signs_of
from avsr.recognition.hypotheses import Hypothesis, encode
from avsr.recognition.joint_decoding import DecodingJob, decode_jobs
from avsr.route import MODALITIES, Modality
from avsr.text import count_word_errors

BOTH = Route.parse("A4 V2")
LIPS = ("whole", "blurred", "frozen", "other")  # "other": of another clip
BLUR_PX = 5.0  # standard deviation


@dataclass(frozen=True, kw_only=True)
class Case:
    """One clip in one condition, read in three ways."""

    condition: str
    spoken: str
    readings: dict[Modality, Hypothesis]
    judgement: Judgement

    def errors(self, hypothesis: Hypothesis) -> int:
        """Wrong words of a reading."""
        return count_word_errors([self.spoken], [hypothesis.text]).n_errors


def main() -> None:
    """Read all clips in all conditions, fit if asked, and print a table for each manifest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--manifest", type=Path, action="append", required=True)
    parser.add_argument("--only", default="", help="clips whose id begins so")
    parser.add_argument("--n", type=int, help="at most so many clips of each manifest")
    parser.add_argument("--babble-from", type=Path, required=True, help="manifest of the voices")
    parser.add_argument("--snr", default="10,5,0,-5", help="in dB, several with commas")
    parser.add_argument("--draws", type=int, default=1, help="babble drawn so often for each clip")
    parser.add_argument("--lips", default="whole", help=f"of {', '.join(LIPS)}, with commas")
    parser.add_argument("--model", default="grid-tiny")
    parser.add_argument("--work", type=Path, default=Path("both-or-either"))
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    loaded = load_model(options.model)
    sets = {str(path): read_cases(loaded, path, options) for path in options.manifest}
    if options.fit:
        weights = fit([case for cases in sets.values() for case in cases])
        (options.work / FUSION_FILE).write_text(json.dumps(weights, indent=2) + "\n")
    for name, cases in sets.items():
        weights = loaded.fusion
        others = [case for other in sets if other != name for case in sets[other]]
        if options.fit and others:
            weights = fit(others)
        print(name)
        print_table(cases, weights)


def read_cases(loaded: LoadedModel, manifest: Path, options: argparse.Namespace) -> list[Case]:
    """Read each clip by sound, lips and both in each condition."""
    utterances = [one for one in read_manifest(manifest) if one.id.startswith(options.only)]
    utterances = (utterances[::2] + utterances[1::2])[: options.n]
    kept = ClipCache(options.work / "clips")
    clips = [kept.clip(utterance) for utterance in utterances]
    mouths = [clip.mouth for clip in clips if clip.mouth is not None]
    if len(mouths) < len(clips):
        raise SystemExit(f"{manifest}: some clip lacks a face")
    voices, voice_reader = read_manifest(options.babble_from), VoiceReader()
    babbles = [Babble(others=voices, read=voice_reader, seed=n) for n in range(options.draws)]
    levels = [float(level) for level in options.snr.split(",")]
    cases: list[Case] = []
    for index, (utterance, clip) in enumerate(zip(utterances, clips, strict=True)):
        assert clip.audio is not None
        speech = fit_to_lips(clip.audio, mouths[index])
        noises = [babble.for_utterance(utterance, len(speech)) for babble in babbles]
        generator = generator_for(utterance.id, 7)
        distance = 1 + int(generator.integers(max(1, len(mouths) - 1)))
        other = mouths[(index + distance) % len(mouths)]
        kinds = options.lips.split(",")
        seen = [encode(loaded, mouths=[ruined(mouths[index], other, kind)]) for kind in kinds]
        sounds = [(None, speech)]
        sounds += [
            (snr_db, mix_at_snr(speech, noise, snr_db)) for snr_db in levels for noise in noises
        ]
        for (snr_db, mixed), (kind, lips) in itertools.product(
            sounds, zip(kinds, seen, strict=True)
        ):
            heard = encode(loaded, waveforms=[mixed.astype(np.float32)])
            streams = EncodedStreams(audio=heard.audio, video=lips.video)
            level = "clean" if snr_db is None else f"{snr_db:g} dB"
            cases.append(_case(loaded, streams, f"{level}, {kind} lips", utterance.text))
    return cases


def ruined(mouth: np.ndarray, other: np.ndarray, kind: str) -> np.ndarray:
    """Lips [T, 96, 96] as they are or ruined; the other clip's last picture stays if it ends."""
    if kind == "blurred":
        return np.stack([cv2.GaussianBlur(frame, (0, 0), BLUR_PX) for frame in mouth])
    if kind == "frozen":
        return np.repeat(mouth[len(mouth) // 2][None], len(mouth), axis=0)
    if kind == "other":
        return other[np.minimum(np.arange(len(mouth)), len(other) - 1)]
    return mouth


def _case(loaded: LoadedModel, streams: EncodedStreams, condition: str, spoken: str) -> Case:
    routes = [BOTH.by(modality) for modality in MODALITIES]
    jobs = [DecodingJob(streams=streams.of(route), route=route) for route in routes]
    found = decode_jobs(loaded, jobs, max_rows=len(jobs))
    readings: dict[Modality, Hypothesis] = {
        route.modality: one[0] for route, one in zip(routes, found, strict=True)
    }
    texts = list(dict.fromkeys(reading.token_ids for reading in readings.values()))
    return Case(
        condition=condition,
        spoken=spoken,
        readings=readings,
        judgement=judgement_of(loaded, streams, texts),
    )


def fit(cases: list[Case], steps: int = 400) -> dict[str, float]:
    """Weights, none negative, of the least expected WER where texts are drawn by their scores."""
    rows = [_table(case) for case in cases]
    features = torch.zeros(len(cases), 3, len(FUSION_NAMES))
    errors = torch.zeros(len(cases), 3)
    absent = torch.full((len(cases), 3), -1e9)
    for index, (table, wrong) in enumerate(rows):
        features[index, : len(table)] = torch.tensor(table)
        errors[index, : len(table)] = torch.tensor(wrong)
        absent[index, : len(table)] = 0.0
    weights = torch.full((len(FUSION_NAMES),), 0.3, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.03)
    for _ in range(steps):
        optimizer.zero_grad()
        chances = (features @ weights + absent).softmax(dim=1)
        loss = (chances * errors).sum(dim=1).mean() + 1e-3 * weights.square().mean()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            weights.clamp_(min=0.0)
    values = [round(value, 3) for value in weights.tolist()]
    return dict(zip(FUSION_NAMES, values, strict=True))


def _table(case: Case) -> tuple[list[list[float]], list[float]]:
    """For each text what its weights are multiplied by, and its share of wrong words."""
    signs = signs_of(case.readings, case.judgement)
    said = {reading.token_ids: reading for reading in case.readings.values()}
    wrong = [case.errors(said[text]) / len(case.spoken.split()) for text in signs]
    return [[found[name] for name in FUSION_NAMES] for found in signs.values()], wrong


def print_table(cases: list[Case], weights: FusionWeights) -> None:
    """WER in %, and fused against the better stream with a paired interval of 95 %."""
    print("| condition | sound | lips | both, plain | both, fused | fused against the better |")
    print("|---|---|---|---|---|---|")
    for condition in dict.fromkeys(case.condition for case in cases):
        chosen = [case for case in cases if case.condition == condition]
        words = np.array([len(case.spoken.split()) for case in chosen])
        wrong = np.array(
            [
                [case.errors(case.readings[name]) for name in MODALITIES]
                + [case.errors(fuse(case.readings, case.judgement, weights))]
                for case in chosen
            ]
        )  # [N, 4]
        rates = 100 * wrong.sum(axis=0) / words.sum()
        gain = wrong[:, 3] - wrong[:, int(rates[:2].argmin())]
        picks = np.random.default_rng(0).integers(len(chosen), size=(2000, len(chosen)))
        low, high = np.percentile(
            100 * gain[picks].sum(axis=1) / words[picks].sum(axis=1), [2.5, 97.5]
        )
        change = 100 * gain.sum() / words.sum()
        cells = " | ".join(f"{rate:.1f}" for rate in rates)
        print(f"| {condition} | {cells} | {change:+.1f} ({low:+.1f} to {high:+.1f}) |")
    kept = [
        case.errors(fuse(case.readings, case.judgement, weights))
        <= min(case.errors(case.readings[stream]) for stream in ("audio", "video"))
        for case in cases
    ]
    print(f"\nno worse than the better stream: {sum(kept)} of {len(kept)} readings")


if __name__ == "__main__":
    main()
