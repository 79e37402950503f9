"""What a text is doubted by: cases to read, their signs, the fit and its table.

``readability.py`` of a model's recipe says which cases.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch

import avsr
from avsr.clips.clip import Clip
from avsr.recognition.hypotheses import decode, encode
from avsr.recognition.readability import (
    Signs,
    gather_signs,
    readability,
    readability_doubts,
)
from avsr.route import Modality

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
        words: what is said in it, lower case; None where that is not known.
    """

    kind: str
    readable: bool
    clip: Clip
    modalities: tuple[Modality, ...] = ("audio",)
    words: str | None = None


def measure(recognizer: avsr.Recognizer, cases: Iterable[Case], out: Path) -> None:
    """Read all cases and write the signs of each reading as a line of JSON."""
    waiting: dict[Modality, list[Case]] = defaultdict(list)
    rows: list[dict[str, Any]] = []
    for case in cases:
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
        wer = None if case.words is None else jiwer.wer(case.words, read.text)
        rows.append({**about, "text": read.text, "wer": wer, "signs": asdict(signs)})
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


def log_odds(row: dict[str, Any], weights: dict[str, float]) -> float:
    """What the weights of a modality make of a reading of at least one token."""
    found = {"bias": 1.0, **Signs(**row["signs"]).per_token()}
    return sum(value * found[name] for name, value in weights.items())


def table(rows: list[dict[str, Any]], weights: dict[str, dict[str, float]]) -> Iterator[str]:
    """For each kind and modality, how many are doubted, and how wrong these and the others are."""
    doubted: dict[tuple[bool, str, str], list[bool]] = defaultdict(list)
    errors: dict[tuple[bool, str, str], list[float | None]] = defaultdict(list)
    for row in rows:
        probability = readability([{row["modality"]: Signs(**row["signs"])}], weights)
        is_doubted = bool(readability_doubts(probability))
        group = (row["readable"], row["kind"], row["modality"])
        doubted[group].append(is_doubted)
        errors[group].append(row["wer"])
    yield "| what is said | read from | clips | doubted | mean WER of these, of the others |"
    yield "|---|---|---|---|---|"
    for group, found in sorted(doubted.items(), key=lambda item: not item[0][0]):
        share = f"{sum(found)} ({100 * np.mean(found):.1f} %)"
        wrong = ", ".join(
            mean_percent(
                [wer for wer, is_one in zip(errors[group], found, strict=True) if is_one == side]
            )
            for side in (True, False)
        )
        yield f"| {group[1]} | {group[2]} | {len(found)} | {share} | {wrong} |"


def mean_percent(errors: list[float | None]) -> str:
    """The mean of those that are known, in %."""
    known = [wer for wer in errors if wer is not None]
    return f"{100 * np.mean(known):.0f}" if known else "-"


def set_and_test(
    model: str,
    cases: Callable[[str, argparse.Namespace], Iterable[Case]],
    fitted: Callable[[list[dict[str, Any]]], dict[str, dict[str, float]]],
    **folders: str,
) -> None:
    """The command of a recipe: measure, fit on the development part, measure again.

    Args:
        model: what is read with, unless the command says otherwise.
        cases: gives those of a split, by the command's arguments.
        fitted: gives weights for the readings of the development part.
        folders: further ones that the command must name, each with what is in it.
    """
    parser = argparse.ArgumentParser(description="Set and test by what a text is doubted.")
    parser.add_argument("--grid", type=Path, required=True, help="folder of the GRID manifests")
    parser.add_argument("--speech", type=Path, required=True, help="folder of other recordings")
    parser.add_argument("--texts", type=Path, required=True, help="sentences.tsv.gz")
    parser.add_argument("--noise", type=Path, required=True, help="folder of noise (.flac)")
    for name, what in folders.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default=model)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    recognizer = avsr.load(arguments.model)
    rows: dict[str, list[dict[str, Any]]] = {}
    for split in ("dev", "test"):
        kept = arguments.work / f"{split}.jsonl"
        if not kept.is_file():
            measure(recognizer, cases(split, arguments), kept)
        rows[split] = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    weights = fitted(rows["dev"])
    file = arguments.work / "readability.json"
    file.write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")
    for split in ("dev", "test"):
        print(f"\n{split}:\n", *table(rows[split], weights), sep="\n")
