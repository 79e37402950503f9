"""Memory of converting and loading a model that is large beside everything else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.published import Published, Recipe

RUN = """
import sys
from pathlib import Path
from avsr import AvsrForConditionalGeneration
from avsr.conversion import ConversionOptions, plan_conversion

def resident(field):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition(field + ":")[2].split()[0])

folder = Path(sys.argv[2])
before = resident("VmRSS")
if sys.argv[1] == "convert":
    options = ConversionOptions(
        language_model=folder / "llm", audio_encoder=folder / "whisper", audio_rates=[4]
    )
    (folder / "model").mkdir(exist_ok=True)
    plan_conversion(folder / "checkpoint.pth", options).write(folder / "model")
else:
    model = AvsrForConditionalGeneration.from_pretrained(folder / "model")
    total = sum(float(parameter.sum()) for parameter in model.parameters())  # touch all of it
print(resident("VmHWM") - before)  # getrusage would count the parent process too
"""


def peak_bytes(action: str, folder: Path) -> int:
    """Memory that an action adds at its peak to that of the imports."""
    command = [sys.executable, "-c", RUN, action, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(result.stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory as Linux tells it")
def test_peak_memory(tmp_path: Path) -> None:
    """Conversion holds one tensor at a time; a loaded model is mapped, not copied."""
    recipe = Recipe(streams=("audio",), hidden=512, layers=13, prompts=False)
    published = Published(tmp_path, recipe)
    size = published.file.stat().st_size
    assert size > 200e6
    del published
    (tmp_path / "model").mkdir()
    converting = peak_bytes("convert", tmp_path)
    stored = (tmp_path / "model" / "model.safetensors").stat().st_size
    loading = peak_bytes("load", tmp_path)
    print(f"\nfile {size / 1e6:.0f} MB: converting {converting / 1e6:.0f} MB, ", end="")
    print(f"folder {stored / 1e6:.0f} MB: loading {loading / 1e6:.0f} MB")
    assert converting < 0.5 * size
    assert loading < 1.2 * stored
