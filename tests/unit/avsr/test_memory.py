"""What a process holds does not grow with what it has read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

READ_MANY_LENGTHS = """
import random
from pathlib import Path
import numpy as np
import torch
from avsr.pretrained import load_model
from avsr.recognition.hypotheses import encode

def held_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

torch.set_num_threads(1)
loaded = load_model("grid-tiny", "cpu")
lengths = random.Random(0).sample(range(20, 200), 150)
for number, n_frames in enumerate(lengths):
    encode(loaded, mouths=[np.zeros((n_frames, 96, 96), np.uint8)])
    if number in (29, 149):
        print(held_mb())
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells this so")
def test_many_lengths_of_input_leave_nothing_behind() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ONEDNN")}
    command = [sys.executable, "-c", READ_MANY_LENGTHS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    early, late = map(float, done.stdout.split())
    assert late - early < 80
