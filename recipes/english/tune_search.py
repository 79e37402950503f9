"""Choose how English is searched for: python recipes/english/tune_search.py --model DIR ...

Reads development clips (cached features and drafts, as ``train_reader.py`` has them) with every
combination and prints WER. The chosen ones belong into the model's ``generation_config.json``.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import jiwer
import torch
from reader_data import Source

from avsr import AvsrForConditionalGeneration, AvsrProcessor, Route, SearchOptions
from avsr.route import Modality
from avsr.tokenizer import plain_ids

ROUTES: dict[Modality, Route] = {
    "audio": Route(modality="audio", audio_rate=4),
    "av": Route(modality="av", audio_rate=4, video_rate=2),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--dev", required=True, type=Path, help="features of sound")
    parser.add_argument("--lips", type=Path, help="features of lips: sound and lips are read")
    parser.add_argument("--name", default="", help="beginning of the shards' names")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--beams", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--ctc-weight", nargs="+", type=float, default=[0.0, 0.3])
    parser.add_argument("--ctc-texts", nargs="+", type=int, default=[0, 4])
    parser.add_argument("--margin", nargs="+", type=float, default=[-99.0, 0.0, 0.3, 0.8])
    parser.add_argument("--no-draft", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model: Any = AvsrForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32)
    processor: Any = AvsrProcessor.from_pretrained(args.model)
    modality: Modality = "audio" if args.lips is None else "av"
    source = Source(args.dev, args.lips)
    batches = source.first(args.clips, 16, not args.no_draft, modality, args.name)
    wanted = [text for batch in batches for text in batch.texts]
    drafts = [draft or "" for batch in batches for draft in batch.drafts]
    print(f"{len(wanted)} clips; drafts alone {100 * jiwer.wer(wanted, drafts):.1f} %", flush=True)
    model.eval()
    for beams, weight, n_texts, margin in itertools.product(
        args.beams, args.ctc_weight, args.ctc_texts, args.margin
    ):
        if beams == 1 and (weight, n_texts) != (args.ctc_weight[0], args.ctc_texts[0]):
            continue
        search = SearchOptions(
            num_beams=beams, ctc_weight=weight, ctc_texts=n_texts, draft_margin=margin
        )
        said: list[str] = []
        for batch in batches:
            ids = [
                None if draft is None else plain_ids(processor.tokenizer, f" {draft}")
                for draft in batch.drafts
            ]
            with torch.inference_mode():
                found = model.generate(
                    streams=batch.streams, route=ROUTES[modality], search=search,
                    drafts=None if args.no_draft else ids,
                )  # fmt: skip
            said += [" ".join(text.lower().split()) for text in processor.batch_decode(found)]
        wer = 100 * jiwer.wer(wanted, said)
        print(
            f"beams {beams} ctc {weight}, {n_texts} texts, margin {margin}: {wer:.1f} %", flush=True
        )


if __name__ == "__main__":
    main()
