"""What a benchmark measured, as plain values for JSON and as tables."""

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

import torch

from avsr.benchmark.comparison import Comparison
from avsr.benchmark.stages import StageRow
from avsr.pretrained import LoadedModel
from avsr.scoring.results import row_route
from avsr.version import __version__


def circumstances(loaded: LoadedModel, command: str) -> dict[str, Any]:
    """What was run, on what and when."""
    on_gpu = loaded.device.type == "cuda"
    return {
        "command": command,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "model": loaded.name,
        "dtype": str(next(loaded.model.parameters()).dtype).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
        "device": torch.cuda.get_device_name(loaded.device) if on_gpu else _processor(),
        "threads": torch.get_num_threads(),
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "versions": {
            "avsr": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "peft")},
        },
    }


def stage_row(row: StageRow) -> dict[str, Any]:
    """One measurement as plain values."""
    return {
        "clip_s": round(row.clip_s, 3),
        "n_clips": row.n_clips,
        "modality": row.reading.modality,
        "audio_rate": row.reading.audio_rate,
        "video_rate": row.reading.video_rate,
        "search": str(row.search),
        "num_beams": row.search.num_beams,
        "n_prefix": row.n_prefix,
        "n_tokens": row.n_tokens,
        "seconds": {name: round(seconds, 6) for name, seconds in row.seconds.items()},
        "gflop": {name: round(count / 1e9, 3) for name, count in row.operations.items()},
        "total_s": round(row.total_s, 6),
        "real_time_factor": round(row.real_time_factor, 5),
        "peak_mb": round(row.peak_bytes / 1e6, 1),
        "accepted": None if row.accepted is None else round(row.accepted, 4),
    }


def comparison_row(comparison: Comparison) -> dict[str, Any]:
    """One comparison as plain values."""
    return {
        "readings": [str(reading) for reading in comparison.readings],
        "num_beams": comparison.num_beams,
        "batch_size": comparison.batch_size,
        "n_pairs": len(comparison.ours_s),
        "speed_up": round(comparison.speed_up, 3),
        "speed_ups": [round(ratio, 3) for ratio in comparison.ratios],
        "ours_s": [round(seconds, 4) for seconds in comparison.ours_s],
        "reference_s": [round(seconds, 4) for seconds in comparison.reference_s],
        "n_texts": comparison.n_texts,
        "n_same_tokens": comparison.n_same,
    }


def stage_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of :func:`stage_row` as a table of plain text; times in milliseconds."""
    stages = list(dict.fromkeys(name for row in rows for name in row["seconds"]))
    lines = [
        ["clip s", "clips", "read by", "search", "prefix", "tokens", *(f"{s} ms" for s in stages),
         "total ms", "x real time", "GFLOP", "MB"]
    ]  # fmt: skip
    for row in rows:
        accepted = "" if row["accepted"] is None else f" {row['accepted']:.0%}"
        lines.append(
            [
                f"{row['clip_s']:g}",
                str(row["n_clips"]),
                str(row_route(row)),
                row["search"] + accepted,
                str(row["n_prefix"]),
                str(row["n_tokens"]),
                *(_milliseconds(row["seconds"].get(stage)) for stage in stages),
                _milliseconds(row["total_s"]),
                f"{1 / max(row['real_time_factor'], 1e-9):.1f}",
                f"{sum(row['gflop'].values()):.1f}",
                f"{row['peak_mb']:.0f}",
            ]
        )
    return _aligned(lines)


def comparison_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of :func:`comparison_row` as a table of plain text."""
    lines = [["readings", "beams", "batch", "pairs", "published s", "here s", "speed-up",
              "least", "most", "same tokens"]]  # fmt: skip
    for row in rows:
        lines.append(
            [
                str(len(row["readings"])),
                str(row["num_beams"]),
                str(row["batch_size"]),
                str(row["n_pairs"]),
                f"{statistics.median(row['reference_s']):.2f}",
                f"{statistics.median(row['ours_s']):.2f}",
                f"{row['speed_up']:.1f}x",
                f"{min(row['speed_ups']):.1f}x",
                f"{max(row['speed_ups']):.1f}x",
                f"{row['n_same_tokens']}/{row['n_texts']}",
            ]
        )
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + "\n"
        for line in lines
    )


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{1000 * seconds:.1f}" if seconds < 0.1 else f"{1000 * seconds:.0f}"


def _processor() -> str:
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
