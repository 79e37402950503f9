"""How a server bears many clients: nothing lost, nothing mixed up, how much faster than in turn.

    avsr serve --model grid-tiny &
    python recipes/serve/load.py recordings/*.wav --model grid-tiny
    python recipes/serve/load.py recordings/*.wav --model grid-tiny --soak-minutes 60

The texts that count as right are those that the server gives to one request after another. A soak
asks half as fast as the server can answer, and watches its memory.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx

_PATIENCE_S = 600.0
_SAMPLE_S = 30.0  # between two looks at the memory


@dataclass(kw_only=True)
class Load:
    """A server and what it is asked.

    Attributes:
        client: connections to it.
        model: what it calls its model.
        contents: of each recording.
        expected: the text of each, once known.
        outcomes: how often a request was answered, refused, mixed up or lost.
        cpu_s: seconds of a core that the server spent on the last run.
    """

    client: httpx.Client
    model: str
    contents: dict[Path, bytes]
    expected: dict[Path, str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, path: Path) -> None:
        """Ask for one recording and count what comes of it."""
        try:
            answer = self.client.post(
                "/v1/audio/transcriptions",
                files={"file": (path.name, self.contents[path])},
                data={"model": self.model},
            )
        except httpx.HTTPError as error:
            self._count(f"lost ({type(error).__name__})")
            return
        if answer.status_code == 429:
            self._count("refused")
        elif answer.status_code != 200:
            self._count(f"failed ({answer.status_code})")
        elif self.expected.setdefault(path, answer.json()["text"]) != answer.json()["text"]:
            self._count("mixed up")
        else:
            self._count("answered")

    def run(self, paths: Sequence[Path], n_clients: int) -> float:
        """Ask for all; the seconds that this took."""
        self.outcomes.clear()
        before_s = self.measured("process_cpu_seconds_total")
        started = time.perf_counter()
        with ThreadPoolExecutor(n_clients) as pool:
            list(pool.map(self.ask, paths))
        seconds = time.perf_counter() - started
        self.cpu_s = self.measured("process_cpu_seconds_total") - before_s
        return seconds

    def measured(self, name: str) -> float:
        """A number that the server tells about itself."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise SystemExit(f"the server's metrics lack {name}")

    def memory_mb(self) -> float:
        """Resident memory of the server, in units of 10^6 bytes."""
        return self.measured("process_resident_memory_bytes") / 1e6

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


def main() -> None:
    """Ask, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    parser.add_argument("--model", default="english")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--soak-minutes", type=float, default=0.0)
    options = parser.parse_args()
    with httpx.Client(
        base_url=options.address,
        timeout=_PATIENCE_S,
        headers={"authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"},
        limits=httpx.Limits(max_connections=None),
    ) as client:
        load = Load(
            client=client,
            model=options.model,
            contents={path: path.read_bytes() for path in options.recordings},
        )
        paths = list(itertools.islice(itertools.cycle(options.recordings), options.requests))
        _tell("once each", len(load.contents), load.run(options.recordings, 1), load)
        alone_s = load.run(paths, 1)
        _tell("one after another", len(paths), alone_s, load)
        random.Random(0).shuffle(paths)
        together_s = load.run(paths, options.clients)
        _tell(f"{options.clients} clients", len(paths), together_s, load)
        n_answered = load.outcomes["answered"]
        print(f"throughput: {alone_s / together_s * n_answered / len(paths):.2f} times")
        if options.soak_minutes:
            _soak(load, paths, 2 * together_s / len(paths), options)


def _soak(load: Load, paths: Sequence[Path], every_s: float, options: argparse.Namespace) -> None:
    """Ask at a steady pace; print the memory now and then."""
    load.outcomes.clear()
    load.cpu_s = 0.0
    begun = time.monotonic()
    looks = begun
    with ThreadPoolExecutor(options.clients) as pool:
        for due, path in zip(_beats(begun, every_s), itertools.cycle(paths), strict=False):
            if due > begun + 60 * options.soak_minutes:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            pool.submit(load.ask, path)
            if due >= looks:
                looks += _SAMPLE_S
                print(f"{due - begun:5.0f} s: {load.memory_mb():.0f} MB", flush=True)
    _tell("soak", load.outcomes.total(), time.monotonic() - begun, load)
    print(f"at the end: {load.memory_mb():.0f} MB")


def _beats(begun: float, every_s: float) -> Iterator[float]:
    for number in itertools.count():
        yield begun + number * every_s


def _tell(what: str, n_requests: int, seconds: float, load: Load) -> None:
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(load.outcomes.items()))
    cpu = f" ({load.cpu_s:.1f} s of a core)" if load.cpu_s else ""
    print(f"{what}: {n_requests} requests in {seconds:.1f} s{cpu}: {outcomes}", flush=True)


if __name__ == "__main__":
    main()
