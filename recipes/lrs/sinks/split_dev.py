"""Keep whole talks of LRS3's trainval apart as a development set: split_dev.py data/lrs3

writes ``sinks-train.jsonl`` and ``sinks-dev.jsonl`` beside ``trainval.jsonl``. Every choice of the
experiment is made on the second; the test set is read once, at the end, if at all.
"""

import argparse
import json
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="made by avsr prepare")
    parser.add_argument("--talks", type=int, default=40)
    args = parser.parse_args()
    with open(args.folder / "trainval.jsonl", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    talk = [line.get("speaker") or Path(line["path"]).parent.name for line in lines]
    names = sorted(set(talk))
    kept = set(np.random.default_rng(0).permutation(names)[: args.talks].tolist())
    for name, wanted in (("sinks-train", False), ("sinks-dev", True)):
        chosen = [x for x, t in zip(lines, talk, strict=True) if (t in kept) == wanted]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in chosen)
        (args.folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{name}: {len(chosen)} clips")


if __name__ == "__main__":
    main()
