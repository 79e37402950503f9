"""Two thousand damaged files: no abort, no hang, no unbounded memory, no unknown error."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clips import counter_frame, write_clip
from tests.fuzzed_decoding import mutated
from tests.signals import tone

ROOT = Path(__file__).parents[2]
N_MUTATIONS = 2000
FRAMES = [counter_frame(k / 25) for k in range(25)]
KINDS = {
    "mp4": {"frames": FRAMES, "sound_codec": "aac"},
    "mkv": {"frames": FRAMES, "sound_codec": "pcm_s16le"},
    "ts": {"frames": FRAMES, "sound_codec": "aac"},
    "avi": {"frames": FRAMES, "codec": "mpeg4", "options": {}},
    "opus": {"sound_codec": "libopus"},
    "mp3": {"sound_codec": "libmp3lame"},
}


def small_file(folder: Path, suffix: str) -> Path:
    return write_clip(folder / f"whole.{suffix}", sound=tone(1.0), **KINDS[suffix])


def harm_done(path: Path, first: int, last: int) -> list[str]:
    """What mutations of a file do that they must not, a line for each."""
    found: list[str] = []
    while first < last:
        command = [sys.executable, "-m", "tests.fuzzed_decoding", str(path), str(first), str(last)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        lines = done.stdout.split()
        if lines and lines[-1] == "done":
            break
        number = int(lines[-1]) if lines else first
        cause = (done.stderr.strip().splitlines() or [""])[-1]
        found.append(f"{path.suffix} {number}: ended with {done.returncode} {cause}")
        first = number + 1
    return found


def test_mutations_are_always_the_same() -> None:
    content = bytes(range(256)) * 20
    assert mutated(content, 7) == mutated(content, 7)
    assert len({mutated(content, number) for number in range(200)}) > 190


def test_a_few_damaged_files(tmp_path: Path) -> None:
    assert harm_done(small_file(tmp_path, "mkv"), 10_000, 10_020) == []


@pytest.mark.slow
@pytest.mark.parametrize("suffix", KINDS)
def test_damaged_files_do_no_harm(tmp_path: Path, suffix: str) -> None:
    path = small_file(tmp_path, suffix)
    n_each = -(-N_MUTATIONS // len(KINDS))
    half = n_each // 2
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(lambda span: harm_done(path, *span), [(0, half), (half, n_each)])
        assert [harm for part in parts for harm in part] == []
