"""Five hundred files of all kinds in one run, a quarter of them damaged: nothing lost, no leak."""

import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avsr_frontends.media import iter_video, read_audio
from avsr_frontends.rates import SAMPLE_RATE
from tests.clips import write_clip
from tests.hostile import BAD

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "demo" / "samples" / "clean.mp4"
TEXT = "set blue with t one please"
N_FILES = 500
GROWTH_MB = 20  # of what is typical; single films may take more for a while
SOUND = {
    "wav": "pcm_s16le", "flac": "flac", "m4a": "aac", "mka": "pcm_s16le", "caf": "pcm_s16be",
    "aiff": "pcm_s16be", "ogg": "flac", "au": "pcm_s16be",
}  # fmt: skip
PICTURES = {"mp4": "aac", "mkv": "pcm_s16le", "ts": "aac", "mov": "pcm_s16le"}
# What waits for somebody, is no file of its own, or cannot be told from a folder's other content.
NOT_COPIES = ("pipe.mp4", "device", "absent.mp4", "nowhere.mp4", "circle.mp4", "socket.mp4",
              "folder", "folder.mp4", "link_to_folder.mp4")  # fmt: skip


def _good_files(folder: Path) -> list[Path]:
    """One of each kind, all with the same words."""
    sound, frames = read_audio(SAMPLE), list(iter_video(SAMPLE))
    files = [
        write_clip(folder / f"sound.{suffix}", sound=sound, sample_rate=SAMPLE_RATE,
                   sound_codec=codec)
        for suffix, codec in SOUND.items()
    ]  # fmt: skip
    files += [
        write_clip(folder / f"film.{suffix}", frames, sound=sound, sound_codec=codec)
        for suffix, codec in PICTURES.items()
    ]
    return files


def _linked(folder: Path, number: int, source: Path) -> Path:
    path = folder / f"{number:03d}_{source.name}"
    os.link(source, path)
    return path


def _memory_mb(process_id: int) -> float:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory as Linux tells it")
def test_five_hundred_files(tmp_path: Path) -> None:
    sources, run = tmp_path / "sources", tmp_path / "run"
    sources.mkdir()
    run.mkdir()
    good = _good_files(sources)
    makers: list[Callable[[Path], Path]] = [
        maker for name, maker in BAD.items() if name not in NOT_COPIES
    ]
    bad = [maker(sources) for maker in makers]
    films = [file for file in good if file.name.startswith("film")]
    sounds = [file for file in good if file not in films]
    expected: dict[str, str | None] = {}
    order = [*good, *bad]  # each kind once: what is loaded for it once is loaded
    n_bad = N_FILES // 4
    rest = [bad[number % len(bad)] for number in range(n_bad - len(bad))]
    for number in range(N_FILES - n_bad - len(good)):
        kinds = films if number % 4 == 0 else sounds
        rest.append(kinds[number // 4 % len(kinds)])
    random.Random(0).shuffle(rest)
    for number, source in enumerate(order + rest):
        expected[str(_linked(run, number, source))] = TEXT if source in good else None
    command = [sys.executable, "-m", "avsr", "transcribe", "--threads", "1"]
    command += ["--json-lines", "--quiet", "-f", "all", "-o", str(tmp_path / "texts"), *expected]
    with (tmp_path / "told.txt").open("w") as told_file:
        process = subprocess.Popen(
            command,
            env={**os.environ, "AVSR_DEVICE": "cpu"},
            stdout=subprocess.PIPE,
            stderr=told_file,
            text=True,
        )
    assert process.stdout is not None
    found: dict[str, str | None] = {}
    memory_mb: list[float] = []
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "segment":
            continue
        found[event["file"]] = event["text"] if event["event"] == "result" else None
        memory_mb.append(_memory_mb(process.pid))
    assert process.wait() == 1
    told = (tmp_path / "told.txt").read_text()
    assert found == expected
    assert len(expected) == N_FILES
    assert sum(text is None for text in expected.values()) == n_bad
    assert f"{n_bad} of {N_FILES} files failed; the others are done" in told
    assert told.count("\n") == n_bad + 1
    assert "Traceback" not in told
    assert len(list((tmp_path / "texts").iterdir())) == 5 * (N_FILES - n_bad)
    early, late = memory_mb[len(order) : len(order) + 100], memory_mb[-100:]
    assert statistics.median(late) - statistics.median(early) < GROWTH_MB, memory_mb[::25]
    assert max(late) - max(early) < 5 * GROWTH_MB, memory_mb[::25]
    print(f"memory: {statistics.median(early):.0f} MB early, {statistics.median(late):.0f} MB late")
