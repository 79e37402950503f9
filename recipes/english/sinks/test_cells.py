"""Measure on test clips what was chosen on development clips: called by run.py, once.

    python recipes/english/sinks/test_cells.py --cells DIR --test DIR --out DIR [--words]
        [--test-lips DIR]

Reads the trained weights of the cells with weight 0 and with the best weight above 0, of either
training. What is in the folder of results is not measured again.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from cell_clips import read_clips
from cell_measures import measure
from cell_results import Results
from safetensors.torch import load_file
from train_cells import Start, model_folder, routes_of, trained_parameters

from avsr import AvsrProcessor
from avsr.atomic import write_text_atomically
from avsr.sinks.experiment import Cell


def load_cell(start: Start, cell: Cell, weights: Path) -> Any:
    """The English model with what a cell has trained."""
    model = start.begin(0)
    parameters = trained_parameters(model, cell)
    with torch.no_grad():
        for name, value in load_file(weights).items():
            parameters[name].copy_(value)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", required=True, type=Path)
    parser.add_argument("--test", required=True, type=Path, help="folder of features")
    parser.add_argument("--test-lips", type=Path, help="folder of features of lips")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--model", default="english", help="bundled model, or folder of one")
    parser.add_argument("--words", action="store_true", help="also search greedily")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = model_folder(args.model)
    processor = AvsrProcessor.from_pretrained(folder)
    end = int(processor.tokenizer.eos_token_id)
    clips = read_clips(args.test, processor.tokenizer, end, args.test_lips)
    chosen = Results(args.cells).chosen_weights()
    print(f"chosen: {chosen}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    start = Start(folder)
    for path in sorted(args.cells.glob("*.json")):
        cell = Cell(**json.loads(path.read_text())["cell"])
        wanted = cell.weight in (0, chosen.get(cell.training)) and cell.layers == "paper"
        if not wanted or (args.out / path.name).exists():
            continue
        model = load_cell(start, cell, path.with_suffix(".safetensors"))
        rows = [
            measure(model, processor, clips, route, with_words=args.words, n_described=0)
            for route in routes_of(model, cell)
        ]
        results = {"cell": asdict(cell), "settings": {"clips": len(clips)}, "log": [], "rows": rows}
        write_text_atomically(args.out / path.name, json.dumps(results) + "\n")
        print(path.stem, flush=True)


if __name__ == "__main__":
    main()
