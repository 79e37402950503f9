"""Decodes mutations of a small media file, in a process that a native abort may end.

    python -m tests.fuzzed_decoding FILE FIRST LAST

prints the number of each mutation before it is decoded, and of the last one what was wrong, if
anything was. Mutation K of a file is always the same.
"""

import resource
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np

from avsr_frontends.media import MediaError, iter_audio, iter_video, probe

LIMIT_S = 20  # for one mutation; the unchanged files take 0.1 s
MEMORY_BYTES = 600_000_000  # that decoding may add
HEADER = 600  # bytes at both ends in which half of the mutations fall
MOST_FRAMES = 5_000  # pictures and pieces of sound that are read at most
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000)


def mutated(content: bytes, number: int) -> bytes:
    """Mutation ``number`` of a file: one to eight changes of header or payload."""
    generator = np.random.default_rng(number)
    data = bytearray(content)
    for _ in range(int(generator.integers(1, 9))):
        if len(data) < 32:
            break
        near_end = generator.random() < 0.5
        reach = min(HEADER, len(data)) if near_end else len(data)
        at = int(generator.integers(0, max(1, reach - 8)))
        if near_end and generator.random() < 0.3:
            at = len(data) - 8 - at
        at = max(0, at)
        kind = int(generator.integers(0, 6))
        if kind == 0:
            data[at] ^= 1 << int(generator.integers(0, 8))
        elif kind == 1:
            data[at] = int(generator.integers(0, 256))
        elif kind == 2:
            width = int(generator.choice([1, 2, 4]))
            extreme = int(generator.choice(EXTREMES)) & ((1 << 8 * width) - 1)
            order = "big" if generator.random() < 0.5 else "little"
            data[at : at + width] = extreme.to_bytes(width, order)  # pyright: ignore[reportArgumentType]
        elif kind == 3:
            length = int(generator.integers(1, 200))
            data[at : at + length] = generator.bytes(length)
        elif kind == 4:
            length = int(generator.integers(1, 2000))
            data[at:at] = data[at : at + length]
        else:
            length = int(generator.integers(1, 2000))
            del data[at : at + length]
    return bytes(data)


def decode(path: Path) -> None:
    """Read all that a file holds, as the recogniser does; media errors are answers."""
    try:
        info = probe(path)
    except MediaError:
        return
    readers = [iter_audio] * info.has_audio + [iter_video] * info.has_video
    for start in (None, 0.7):
        for read in readers:
            try:
                for n_read, _ in enumerate(read(path, start)):
                    if n_read == MOST_FRAMES:
                        break
            except MediaError:
                continue


def main(path: Path, first: int, last: int) -> None:
    """Decode some mutations; the process ends where one of them does harm."""
    content = path.read_bytes()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            print(number, flush=True)
            changed = Path(folder) / f"{number}{path.suffix}"
            changed.write_bytes(mutated(content, number))
            signal.alarm(LIMIT_S)  # ends the process
            decode(changed)
            signal.alarm(0)
            changed.unlink()
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - used
            if grown > MEMORY_BYTES:
                sys.exit(f"memory grew by {grown / 1e6:.0f} MB")
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
