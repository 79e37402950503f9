"""WER of pocketsphinx with the GRID grammar, on the sound that ``avsr evaluate`` would hear.

    pip install pocketsphinx
    python recipes/grid/pocketsphinx_baseline.py --manifest s1_test.jsonl [--snr 0 --babble-from M]

A peer for the audio-only rows: the same clips and, with ``--snr``, the same noise at the same
level. Its grammar allows nothing but command sentences; grid-tiny is not told of any grammar.
"""

import argparse

import jiwer
import numpy as np
from corpus import GRAMMAR
from pocketsphinx import Decoder  # pyright: ignore[reportMissingImports] (optional)

from avsr.manifest import Utterance, read_manifest
from avsr.noise import Babble, mix_at_snr
from avsr_frontends.media import read_audio

SPOKEN = {"z": "zed", "a": "letter_a"}  # British z, and the letter rather than the article


def grammar() -> str:
    """The command grammar in JSGF."""
    slots = [[SPOKEN.get(word, word) for word in slot] for slot in GRAMMAR]
    rule = " ".join("( " + " | ".join(slot) + " )" for slot in slots)
    return f"#JSGF V1.0; grammar grid; public <sentence> = {rule} ;"


def build_decoder() -> Decoder:
    """pocketsphinx's own English model, which knows "zed", and the letter a."""
    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    decoder.add_word("letter_a", "EY", True)
    decoder.add_jsgf_string("grid", grammar())
    decoder.activate_search("grid")
    return decoder


def recognise(decoder: Decoder, audio: np.ndarray) -> str:
    """Words of a waveform [N] at 16 kHz."""
    peak = max(1.0, float(np.abs(audio).max()))
    samples = np.int16(audio / peak * 32767)
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    words = decoder.hyp().hypstr.split() if decoder.hyp() else []
    written = {spoken: word for word, spoken in SPOKEN.items()}
    return " ".join(written.get(str(word), str(word)) for word in words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--snr", type=float, help="of babble, dB; clean if not given")
    parser.add_argument("--babble-from", help="manifest of the babble's voices; default: the same")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    utterances = read_manifest(args.manifest)
    voices = read_manifest(args.babble_from) if args.babble_from else utterances
    sounds: dict[str, np.ndarray] = {}

    def read(utterance: Utterance) -> np.ndarray:
        if utterance.id not in sounds:
            sounds[utterance.id] = read_audio(utterance.path, utterance.start, utterance.end)
        return sounds[utterance.id]

    babble = Babble(others=voices, read=read, seed=args.seed)
    decoder = build_decoder()
    hypotheses = []
    for utterance in utterances:
        audio = read(utterance)
        if args.snr is not None:
            audio = mix_at_snr(audio, babble.for_utterance(utterance, len(audio)), args.snr)
        hypotheses.append(recognise(decoder, audio))
    references = [utterance.text for utterance in utterances]
    noise = "clean" if args.snr is None else f"babble at {args.snr:g} dB"
    wer = 100 * jiwer.wer(references, hypotheses)
    print(f"{args.manifest}, {noise}: WER {wer:.1f} %, {len(references)} utterances")


if __name__ == "__main__":
    main()
