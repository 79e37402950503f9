"""This model beside others on the same clips: python recipes/english/peers.py --manifest F

    pip install faster-whisper pocketsphinx
    python recipes/english/peers.py --manifest F [--whisper DIR] [--snr 0 --babble-from M]

Systems: ``avsr`` (sound alone, its own settings), ``faster-whisper`` with tiny.en (``--whisper``:
the folder of the CTranslate2 model), as it comes (5 beams, and other temperatures where a text
repeats itself) and greedy (``faster-whisper-greedy``), ``pocketsphinx`` (its own English model).
Each runs in a process of its own, on one thread unless told otherwise: WER of lower-case words with
numbers as words, seconds for a second of sound after loading, and the process's largest memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jiwer
import numpy as np

from avsr.manifest import Utterance, read_manifest
from avsr.noise import Babble, mix_at_snr
from avsr.text import spoken_form
from avsr_frontends.media import read_audio

SYSTEMS = ("avsr", "faster-whisper", "faster-whisper-greedy", "pocketsphinx")
Read = Callable[[np.ndarray], str]


def avsr_reader(args: argparse.Namespace) -> Read:
    """This project, by its one call."""
    import torch

    import avsr

    torch.set_num_threads(args.threads)
    recognizer = avsr.load(args.model)
    file = Path(args.scratch) / "clip.wav"

    def read(sound: np.ndarray) -> str:
        peak = max(1.0, float(np.abs(sound).max()))
        with wave.open(str(file), "wb") as output:
            output.setparams((1, 2, 16_000, 0, "NONE", ""))
            output.writeframes(np.int16(sound / peak * 32767).tobytes())
        return recognizer.transcribe(file, modality="audio").text

    return read


def whisper_reader(args: argparse.Namespace, **search: float) -> Read:
    """tiny.en with its own decoder, as it comes unless a search is given."""
    from faster_whisper import WhisperModel  # pyright: ignore[reportMissingImports] (optional)

    name = "tiny.en" if args.whisper is None else str(args.whisper)
    model = WhisperModel(name, device="cpu", compute_type="float32", cpu_threads=args.threads)

    def read(sound: np.ndarray) -> str:
        segments, _ = model.transcribe(sound, language="en", **search)
        return " ".join(segment.text for segment in segments)

    return read


def pocketsphinx_reader(_args: argparse.Namespace) -> Read:
    """Its own acoustic and language model."""
    from pocketsphinx import Decoder  # pyright: ignore[reportMissingImports] (optional)

    decoder = Decoder(samprate=16_000, loglevel="FATAL")

    def read(sound: np.ndarray) -> str:
        peak = max(1.0, float(np.abs(sound).max()))
        decoder.start_utt()
        decoder.process_raw(np.int16(sound / peak * 32767).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return str(found.hypstr) if found else ""

    return read


READERS = {
    "avsr": avsr_reader,
    "faster-whisper": whisper_reader,
    "faster-whisper-greedy": partial(whisper_reader, beam_size=1, temperature=0.0),
    "pocketsphinx": pocketsphinx_reader,
}


def sounds(args: argparse.Namespace, utterances: list[Utterance]) -> list[np.ndarray]:
    """The clips, in babble where asked, as ``avsr evaluate`` mixes it."""

    def read(utterance: Utterance) -> np.ndarray:
        return read_audio(utterance.path, utterance.start, utterance.end)

    clips = [read(utterance) for utterance in utterances]
    if args.snr is None:
        return clips
    voices = read_manifest(args.babble_from) if args.babble_from else utterances
    babble = Babble(others=voices, read=read, seed=args.seed)
    return [
        mix_at_snr(clip, babble.for_utterance(utterance, len(clip)), args.snr).astype(np.float32)
        for utterance, clip in zip(utterances, clips, strict=True)
    ]


def run(args: argparse.Namespace) -> dict[str, float]:
    """Read all clips with one system."""
    utterances = read_manifest(args.manifest)[: args.clips]
    clips = sounds(args, utterances)
    read = READERS[args.only](args)
    read(clips[0])  # what is made at the first use does not count
    began = time.perf_counter()
    said = [read(clip) for clip in clips]
    took = time.perf_counter() - began
    texts = [" ".join(spoken_form(text).split()) for text in said]
    if args.texts:
        lines = [f"{u.id}\t{u.text}\t{text}" for u, text in zip(utterances, texts, strict=True)]
        Path(f"{args.texts}.{args.only}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "wer": 100 * float(jiwer.wer([utterance.text for utterance in utterances], texts)),
        "real_time_factor": took / (sum(map(len, clips)) / 16_000),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--model", default="english", help="of avsr")
    parser.add_argument("--whisper", type=Path, help="folder of tiny.en for faster-whisper")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--snr", type=float, help="of babble, dB; clean if not given")
    parser.add_argument("--babble-from", help="manifest of the babble's voices; default: the same")
    parser.add_argument("--clips", type=int, help="only the first so many")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--texts", help="beginning of files for what was read")
    parser.add_argument("--scratch", default="/tmp", help="folder for one sound file")
    parser.add_argument("--only", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(run(args)))
        return
    for system in args.systems:
        command = [sys.executable, __file__, *sys.argv[1:], "--only", system]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{system}: failed, see above")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{system}: WER {found['wer']:.1f} %, {found['real_time_factor']:.2f} s for a second "
            f"of sound, {found['memory_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
