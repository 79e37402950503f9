"""How often ``english`` doubts what it reads from sound and lips, as ``avsr transcribe`` reads.

    python recipes/english/lips_doubts.py --manifest s1_test.jsonl --babble-from VOICES.jsonl \
        --other runs/other_voices/test/other

reads each clip as it is, in babble of 0 dB, and with its sound replaced by another language (shards
of ``other_voices.py``), and prints for each how many are doubted, in how many the lips carried the
text, and the word errors.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from shards import read_shard

import avsr
from avsr.clips.read import read_utterance
from avsr.evaluation.noise_sources import VoiceReader
from avsr.manifest import read_manifest
from avsr.noise import Babble, mix_at_snr
from avsr.recognition.readability import readability_doubts
from avsr.text import count_word_errors

SNR_DB = 0.0


@dataclass(kw_only=True)
class Count:
    """What came of the clips of one kind."""

    clips: int = 0
    doubted: int = 0
    by_lips: int = 0
    errors: int = 0
    words: int = 0


def main() -> None:
    """Read all, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--n", type=int, help="at most so many clips")
    parser.add_argument("--babble-from", type=Path, required=True, help="manifest of the voices")
    parser.add_argument("--other", type=Path, required=True, help="shards of other languages")
    parser.add_argument("--model", default="english")
    options = parser.parse_args()
    recognizer = avsr.load(options.model)
    others = [
        (values / 32768).astype(np.float32)
        for file in sorted(options.other.glob("*.npz"))
        for values in read_shard(file).values
    ]
    babble = Babble(others=read_manifest(options.babble_from), read=VoiceReader(), seed=0)
    draws = np.random.default_rng(0)
    counts = {kind: Count() for kind in ("as it is", "babble, 0 dB", "another language")}
    for utterance in read_manifest(options.manifest)[: options.n]:
        clip = read_utterance(utterance)
        assert clip.audio is not None
        noise = babble.for_utterance(utterance, len(clip.audio))
        sounds = (
            clip.audio,
            mix_at_snr(clip.audio, noise, SNR_DB),
            np.resize(others[draws.integers(len(others))], len(clip.audio)),
        )
        for count, sound in zip(counts.values(), sounds, strict=True):
            heard = replace(clip, audio=sound.astype(np.float32))
            result = recognizer.transcribe(heard, modality="av")
            shares = [segment.sound_share for segment in result.segments]
            count.clips += 1
            count.doubted += bool(readability_doubts(result.readability))
            count.by_lips += any(share is not None and share < 0.5 for share in shares)
            count.errors += count_word_errors([utterance.text], [result.text]).n_errors
            count.words += len(utterance.text.split())
    print("| sound | clips | doubted | carried by the lips | WER against what was said there |")
    print("|---|---|---|---|---|")
    for kind, one in counts.items():
        wer = 100 * one.errors / one.words
        print(f"| {kind} | {one.clips} | {one.doubted} | {one.by_lips} | {wer:.1f} |")


if __name__ == "__main__":
    main()
