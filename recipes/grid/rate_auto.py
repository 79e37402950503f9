"""Does ``--rate auto`` pay? Error rate and tokens of every fixed pair of rates and of auto.

    python recipes/grid/rate_auto.py --manifest s1_test.jsonl --babble-from MANIFEST

With ``--tune`` it shows auto at several thresholds (for a development set), else at the one that
``avsr.recognition.rate_choice`` has.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsr import EncodedStreams, Request, Route
from avsr.clips.cache import ClipCache
from avsr.evaluation.noise_sources import VoiceReader
from avsr.manifest import read_manifest
from avsr.noise import Babble, mix_at_snr
from avsr.pretrained import load_model
from avsr.processing import fit_to_lips
from avsr.recognition.hypotheses import decode, encode
from avsr.recognition.rate_choice import (
    NOISY_SNR_DB,
    SURE_LOGPROB,
    estimate_snr_db,
    possible_routes,
)
from avsr.text import count_word_errors

_TRIED = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One clip at one pair of rates."""

    errors: int
    words: int
    sure: float
    snr_db: float


def main() -> None:
    """Read every clip at every pair, then print what each policy would have cost and got."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--babble-from", type=Path, required=True, help="manifest of the voices")
    parser.add_argument("--cache", type=Path, default=Path("rate-auto-cache"))
    parser.add_argument("--snr", default="0", help="in dB, several with commas")
    parser.add_argument("--model", default="grid-tiny")
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    conditions = [None, *map(float, options.snr.split(","))]
    table = _read(options.manifest, options.babble_from, options.cache, options.model, conditions)
    limits = _TRIED if options.tune else (math.exp(SURE_LOGPROB),)
    for snr_db, clips in table.items():
        print("clean" if snr_db is None else f"babble {snr_db:g} dB", f"({len(clips)} clips)")
        for route in clips[0]:
            wer = _wer([clip[route] for clip in clips])
            print(f"  {route.text}: WER {wer:.2f} %, {route.tokens_per_second:.1f} tokens/s")
        for limit in limits:
            chosen, tokens = _auto(clips, math.log(limit))
            print(f"  auto below {limit:.2f}: WER {_wer(chosen):.2f} %, {tokens:.1f} tokens/s")


def _read(
    manifest: Path, voices: Path, cache: Path, model: str, conditions: list[float | None]
) -> dict[float | None, list[dict[Route, Reading]]]:
    loaded = load_model(model)
    kept = ClipCache(cache)
    noise = Babble(others=read_manifest(voices), read=VoiceReader(), seed=0)
    table: dict[float | None, list[dict[Route, Reading]]] = defaultdict(list)
    for utterance in read_manifest(manifest):
        clip = kept.clip(utterance)
        if clip.mouth is None or clip.audio is None:
            raise SystemExit(f"{utterance.path}: lacks sound or face")
        lips = encode(loaded, mouths=[clip.mouth])
        speech = fit_to_lips(clip.audio, clip.mouth)
        for snr_db in conditions:
            sound = speech
            if snr_db is not None:
                babble = noise.for_utterance(utterance, len(speech))
                sound = mix_at_snr(speech, babble, snr_db).astype(np.float32)
            heard = encode(loaded, waveforms=[sound])
            streams = EncodedStreams(audio=heard.audio, video=lips.video)
            read: dict[Route, Reading] = {}
            for route in possible_routes(loaded, "av", Request()):
                found = decode(loaded, streams, route)[0]
                count = count_word_errors([utterance.text], [found.text])
                read[route] = Reading(
                    errors=count.n_errors,
                    words=count.n_words,
                    sure=found.avg_logprob,
                    snr_db=estimate_snr_db(sound),
                )
            table[snr_db].append(read)
    return table


def _auto(clips: list[dict[Route, Reading]], limit: float) -> tuple[list[Reading], float]:
    """What auto reads at a threshold, as ``rate_choice.decode_as_fine_as_needed`` does it."""
    chosen: list[Reading] = []
    tokens: list[float] = []
    for clip in clips:
        fine, coarse = next(iter(clip)), list(clip)[-1]
        noisy = clip[coarse].snr_db < NOISY_SNR_DB
        if noisy or clip[coarse].sure >= limit:
            chosen.append(clip[fine if noisy else coarse])
            tokens.append((fine if noisy else coarse).tokens_per_second)
        else:
            chosen.append(max(clip[coarse], clip[fine], key=lambda reading: reading.sure))
            tokens.append(coarse.tokens_per_second + fine.tokens_per_second)
    return chosen, float(np.mean(tokens))


def _wer(readings: list[Reading]) -> float:
    return 100 * sum(r.errors for r in readings) / sum(r.words for r in readings)


if __name__ == "__main__":
    main()
