"""Measuring one piece of work: seconds, floating-point operations, memory."""

import gc
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

_SAMPLE_EVERY_S = 0.005  # resident memory is looked at so often


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Seconds on the wall clock until the device has finished the work."""
    synchronise(device)
    started = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - started


def median_seconds(work: Callable[[], Any], device: torch.device, repeats: int) -> float:
    """Median of ``repeats`` runs, after one that is not counted."""
    work()
    return statistics.median(seconds_of(work, device) for _ in range(repeats))


def operations_of(work: Callable[[], Any]) -> int:
    """Floating-point operations of matrix products, convolutions and attention; 2 per product."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@dataclass
class Peak:
    """Highest memory in use, in bytes."""

    n_bytes: int = 0


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Find the highest memory in use during the ``with`` block.

    On a GPU what PyTorch has allocated there; elsewhere the resident memory of the process.
    """
    gc.collect()
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.n_bytes = torch.cuda.max_memory_allocated(device)
        return
    process, done = psutil.Process(), threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_EVERY_S):
            peak.n_bytes = max(peak.n_bytes, process.memory_info().rss)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.n_bytes = max(peak.n_bytes, process.memory_info().rss)
