"""Which tokens are sinks in a trained cell: one line for each that is one in three layers or more.

python recipes/english/sinks/cell_sinks.py --cell work/cells/NAME.json --dev DIR [--dev-lips DIR]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from cell_clips import read_clips
from test_cells import load_cell
from train_cells import Start, model_folder, routes_of

from avsr import AvsrProcessor
from avsr.sinks import analyse_sinks, label_tokens
from avsr.sinks.experiment import Cell

LEAST_LAYERS = 3


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cell", required=True, type=Path)
    parser.add_argument("--dev", required=True, type=Path, help="folder of features")
    parser.add_argument("--dev-lips", type=Path, help="folder of features of lips")
    parser.add_argument("--model", default="english", help="bundled model, or folder of one")
    parser.add_argument("--clips", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = model_folder(args.model)
    tokenizer = AvsrProcessor.from_pretrained(folder).tokenizer
    clips = read_clips(args.dev, tokenizer, int(tokenizer.eos_token_id), args.dev_lips)
    cell = Cell(**json.loads(args.cell.read_text())["cell"])
    model = load_cell(Start(folder), cell, args.cell.with_suffix(".safetensors"))
    for route in routes_of(model, cell):
        prompt = ["word"] * len(model.config.prompt_ids[route.modality])
        for row in range(args.clips):
            streams, labels = clips.batch([row])
            text = ["text"] * labels.numel()
            names = label_tokens(model.config, route, clips.n_tokens(row, route), prompt, text=text)

            def run(streams: Any = streams, labels: Any = labels, route: Any = route) -> None:
                model(streams=streams, route=route, labels=labels)

            found = analyse_sinks(model.language_model, run, names)
            for index, label in enumerate(names):
                layers = [
                    layer + 1 for layer in range(found.n_layers) if found.is_sink[layer, index]
                ]
                if len(layers) >= LEAST_LAYERS:
                    peak, attention = found.peaks[1:, index].max(), found.received[1:, index].mean()
                    print(f"{route.text}, clip {row}, {label.name}: layers {layers}, largest "
                          f"activation {peak:.0f}, attention {attention:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
