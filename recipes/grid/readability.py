"""By what a text is doubted: set on development clips, measured on others.

    python recipes/grid/readability.py --grid DATA --speech SPEECH --texts sentences.tsv.gz \
        --noise NOISE --work runs/readability

reads GRID clips (clean, in noise of 10 dB, in babble of 0 dB, and dubbed with other speech),
synthetic commands, recordings of other English, and other sentences and languages by espeak-ng;
fits the weights (``readability.json``, to be copied into the model's folder) on the development
part alone and prints, for each kind of the test part, how many are doubted. Readings are kept in
``--work``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from other_speech import LANGUAGES, english_sentences

import avsr
from avsr.clips.clip import Clip
from avsr.clips.read import read_utterance
from avsr.manifest import Utterance, read_manifest
from avsr.noise import mix_at_snr
from avsr.recognition.hypotheses import decode, encode
from avsr.recognition.readability import (
    Signs,
    gather_signs,
    readability,
    readability_doubts,
)
from avsr.route import Modality
from avsr_frontends.media import read_audio
from avsr_frontends.rates import SAMPLE_RATE

SYNTHETIC = Path(__file__).parents[1] / "synthetic"
GRID = {
    "dev": (("s1_dev.jsonl", "s1"), ("more.jsonl", "s4")),
    "test": (("unseen.jsonl", ""), ("s1_test.jsonl", "s1"), ("more.jsonl", "s31")),
}
SPEECH = {"dev": ("speechocean_dev",), "test": ("speechocean_test", "native_test")}
N_SYNTHETIC = 60  # sentences of each kind
NOISE_DB, BABBLE_DB = 10.0, 0.0
N_BABBLE = 4  # voices
LONGEST_S = 16
BATCH = 12
DECAY = 1e-3  # of the weights, which few clips must not drive to extremes


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to read.

    Attributes:
        kind: its line in the table.
        readable: whether the model was made for it.
        clip: sound, lips or both.
        modalities: how it is read.
    """

    kind: str
    readable: bool
    clip: Clip
    modalities: tuple[Modality, ...] = ("audio",)


def other_speech(split: str, arguments: Any, rng: random.Random) -> Iterator[tuple[str, Clip]]:
    """Speech that the model was not made for, with its kind."""
    for name in SPEECH[split]:
        for utterance in read_manifest(arguments.speech / f"{name}.jsonl"):
            yield name, read_utterance(utterance, picture=False)
    sys.path.insert(0, str(SYNTHETIC))
    say = importlib.import_module("clips").say
    sample_voice = importlib.import_module("voices").sample_voice
    free = english_sentences(arguments.texts, split, rng)
    for _ in range(N_SYNTHETIC):
        yield "espeak en", Clip(audio=say(next(free), sample_voice(split, rng), rng).samples)
    for language, sentences in LANGUAGES[split].items():
        for sentence in sentences:
            voice = replace(sample_voice(split, rng), accent=language)
            yield f"espeak {language}", Clip(audio=say(sentence.split(), voice, rng).samples)


def commands(split: str, rng: random.Random) -> Iterator[Clip]:
    """GRID commands by espeak-ng."""
    clips, voices = importlib.import_module("clips"), importlib.import_module("voices")
    grammar = importlib.import_module("sentences")
    sentences = grammar.grid_sentences(split, rng)
    for _ in range(N_SYNTHETIC):
        words = next(sentences)
        voice, spoken = voices.sample_voice(split, rng), grammar.grid_spoken(words)
        yield Clip(audio=clips.say(words, voice, rng, spoken=spoken).samples)


def cases(split: str, arguments: Any) -> Iterator[Case]:
    """All that is read of one split; the same every time."""
    rng = random.Random(split)
    draws = np.random.default_rng(rng.getrandbits(32))
    noises = [read_audio(file) for file in sorted(arguments.noise.glob("*.flac"))]
    foreign: list[np.ndarray] = []
    for kind, clip in other_speech(split, arguments, rng):
        assert clip.audio is not None
        sound = clip.audio[: LONGEST_S * SAMPLE_RATE]
        foreign.append(sound)
        yield Case(kind=kind, readable=False, clip=Clip(audio=sound))
    for clip in commands(split, rng):
        yield Case(kind="espeak commands", readable=True, clip=clip)
    for manifest, speaker in GRID[split]:
        for utterance in read_manifest(arguments.grid / manifest):
            if utterance.speaker == speaker or not speaker:
                name = speaker or Path(manifest).stem
                yield from grid_cases(name, utterance, noises, foreign, draws)


def grid_cases(
    name: str,
    utterance: Utterance,
    noises: list[np.ndarray],
    foreign: list[np.ndarray],
    draws: np.random.Generator,
) -> Iterator[Case]:
    """One GRID clip as it is, in noise, in babble, and with somebody else's words."""
    clip = read_utterance(utterance)
    assert clip.audio is not None
    voice, length = clip.audio, len(clip.audio)

    def others(sounds: list[np.ndarray]) -> np.ndarray:
        sound = sounds[draws.integers(len(sounds))]
        return np.resize(sound[draws.integers(max(1, len(sound) - length)) :], length)

    def mixed(kind: str, noise: np.ndarray, snr_db: float, *modalities: Modality) -> Case:
        sound = mix_at_snr(voice, noise, snr_db).astype(np.float32)
        kind = f"{name}, {kind} {snr_db:.0f} dB"
        return Case(
            kind=kind, readable=True, clip=replace(clip, audio=sound), modalities=modalities
        )

    yield Case(kind=name, readable=True, clip=clip, modalities=("audio", "av"))
    yield mixed("noise", others(noises), NOISE_DB, "audio", "av")
    babble = np.sum([others(foreign) for _ in range(N_BABBLE)], axis=0)
    yield mixed("babble", babble, BABBLE_DB, "av")
    other = foreign[draws.integers(len(foreign))][:length]
    dubbed = replace(clip, audio=np.pad(other, (0, length - len(other))))
    yield Case(kind=f"{name}, dubbed", readable=False, clip=dubbed, modalities=("av",))


def measure(recognizer: avsr.Recognizer, split: str, arguments: Any, out: Path) -> None:
    """Read all cases of a split and write the signs of each reading as a line of JSON."""
    waiting: dict[Modality, list[Case]] = defaultdict(list)
    rows: list[dict[str, Any]] = []
    for case in cases(split, arguments):
        for modality in case.modalities:
            waiting[modality].append(case)
            if len(waiting[modality]) == BATCH:
                rows += read_batch(recognizer, modality, waiting.pop(modality))
    for modality, batch in waiting.items():
        rows += read_batch(recognizer, modality, batch)
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@torch.inference_mode()
def read_batch(
    recognizer: avsr.Recognizer, modality: Modality, batch: list[Case]
) -> list[dict[str, Any]]:
    """Read cases in one way."""
    loaded, route = recognizer.loaded, recognizer.loaded.route(modality)
    sounds = [case.clip.audio for case in batch if case.clip.audio is not None]
    mouths = [case.clip.mouth for case in batch if case.clip.mouth is not None]
    streams = encode(
        loaded,
        waveforms=sounds if route.has_audio else None,
        mouths=mouths if route.has_video else None,
    )
    rows = []
    for row, (case, read) in enumerate(zip(batch, decode(loaded, streams, route), strict=True)):
        signs = gather_signs(loaded, read, streams.rows([row]), route)
        about = {"kind": case.kind, "readable": case.readable, "modality": modality}
        rows.append({**about, "text": read.text, "signs": asdict(signs)})
    return rows


def fit(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Logistic regression for each modality; each kind counts alike, and so do both sides."""
    fitted: dict[str, dict[str, float]] = {}
    for modality in sorted({row["modality"] for row in rows}):
        mine = [row for row in rows if row["modality"] == modality and row["signs"]["n_tokens"]]
        found = [Signs(**row["signs"]).per_token() for row in mine]
        names = sorted(found[0])
        signs = torch.tensor([[one[name] for name in names] for one in found], dtype=torch.float64)
        target = torch.tensor([float(row["readable"]) for row in mine], dtype=torch.float64)
        share = {
            side: len({row["kind"] for row in mine if row["readable"] == side})
            for side in (True, False)
        }
        counts: dict[str, int] = defaultdict(int)
        for row in mine:
            counts[row["kind"]] += 1
        weight = torch.tensor(
            [1 / counts[row["kind"]] / share[row["readable"]] for row in mine], dtype=torch.float64
        )
        fitted[modality] = dict(
            zip(["bias", *names], regression(signs, target, weight), strict=True)
        )
    return fitted


def regression(signs: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> list[float]:
    """Bias and weights, [1 + F], of F signs [N, F] for N targets of 0 and 1."""
    scale, middle = signs.std(dim=0), signs.mean(dim=0)
    inputs = torch.cat([torch.ones(len(signs), 1, dtype=signs.dtype), (signs - middle) / scale], 1)
    values = torch.zeros(inputs.shape[1], dtype=signs.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([values], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            inputs @ values, target, reduction="none"
        )
        total = (weight * each).sum() / 2 + DECAY * (values[1:] ** 2).sum()
        total.backward()
        return total

    optimizer.step(loss)
    slopes = values.detach()[1:] / scale
    bias = float(values.detach()[0] - (slopes * middle).sum())
    return [round(value, 3) for value in (bias, *slopes.tolist())]


def table(rows: list[dict[str, Any]], weights: dict[str, dict[str, float]]) -> Iterator[str]:
    """For each kind and modality, how many are doubted."""
    doubted: dict[tuple[bool, str, str], list[bool]] = defaultdict(list)
    for row in rows:
        probability = readability([{row["modality"]: Signs(**row["signs"])}], weights)
        is_doubted = bool(readability_doubts(probability))
        doubted[row["readable"], row["kind"], row["modality"]].append(is_doubted)
    yield "| what is said | read from | clips | doubted |"
    yield "|---|---|---|---|"
    for (_, kind, modality), found in sorted(doubted.items(), key=lambda item: not item[0][0]):
        share = f"{sum(found)} ({100 * np.mean(found):.1f} %)"
        yield f"| {kind} | {modality} | {len(found)} | {share} |"


def main() -> None:
    """Measure, fit, measure again."""
    parser = argparse.ArgumentParser(description="Set and test by what a text is doubted.")
    parser.add_argument("--grid", type=Path, required=True, help="folder of the GRID manifests")
    parser.add_argument("--speech", type=Path, required=True, help="folder of other recordings")
    parser.add_argument("--texts", type=Path, required=True, help="sentences.tsv.gz")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise (.flac)")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="grid-tiny")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    recognizer = avsr.load(arguments.model)
    rows: dict[str, list[dict[str, Any]]] = {}
    for split in ("dev", "test"):
        kept = arguments.work / f"{split}.jsonl"
        if not kept.is_file():
            measure(recognizer, split, arguments, kept)
        rows[split] = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    weights = fit(rows["dev"])
    file = arguments.work / "readability.json"
    file.write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
    for split in ("dev", "test"):
        print(f"\n{split}:\n", *table(rows[split], weights), sep="\n")


if __name__ == "__main__":
    main()
