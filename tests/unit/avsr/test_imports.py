"""Lazy imports: what starts quickly must not import what is slow to import."""

import subprocess
import sys
from pathlib import Path

import pytest

import avsr

HEAVY = {
    "accelerate", "av", "cv2", "gradio", "jiwer", "matplotlib", "mediapipe", "numpy", "pandas",
    "peft", "scipy", "sentencepiece", "silero_vad", "sklearn", "tokenizers", "torch", "torchaudio",
    "transformers",
}  # fmt: skip


def modules_after(code: str) -> set[str]:
    """Names of all modules that a fresh interpreter has imported after running ``code``."""
    code = f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_avsr() -> None:
    bare = modules_after("")
    imported = modules_after("import avsr") - bare
    assert not imported & HEAVY
    assert len(imported) < 60


@pytest.mark.parametrize(
    "arguments", [["--help"], ["transcribe", "--help"], ["bench", "--help"], ["--version"]]
)
def test_help(arguments: list[str]) -> None:
    imported = modules_after(f"from avsr.cli import run; run({arguments})")
    assert not imported & HEAVY
    assert len(imported) < 600


def test_doctor_loads_nothing_slow() -> None:
    """What it does import shows whether system libraries are there."""
    imported = modules_after("from avsr.cli import run; run(['doctor'])")
    assert imported & HEAVY == {"av", "cv2", "numpy"}
    assert len(imported) < 700


def test_long_commands_show_that_they_work_before_they_load_anything(tmp_path: Path) -> None:
    code = f"""
from avsr.cli import run
from avsr.commands.progress import ProgressDisplay
class Shown(BaseException):
    pass
def waiting(display, what):
    raise Shown
ProgressDisplay.waiting = waiting
for command in (
    "transcribe demo/samples/clean.mp4",
    "evaluate --manifest demo/samples/manifest.jsonl",
    "prepare demo/samples/manifest.jsonl -o {tmp_path}",
    "sinks demo/samples/clean.mp4 -o {tmp_path}",
    "bench",
):
    try:
        run(command.split())
    except Shown:
        continue
    raise AssertionError(command)
"""
    assert not modules_after(code) & HEAVY


def test_transcribing_loads_what_it_uses() -> None:
    """Not what libraries import beside: drawings, a compiler, symbols, work on many machines."""
    code = (
        "from avsr.cli import run\n"
        "assert run(['transcribe', 'demo/samples/clean.mp4', '-m', 'grid-tiny', '-q']) == 0"
    )
    imported = modules_after(code)
    assert "mediapipe" in imported
    plots = {name for name in imported if name.startswith(("matplotlib.", "PIL.", "fontTools."))}
    assert not plots & {"matplotlib.figure", "matplotlib.backend_bases", "matplotlib.font_manager"}
    assert not imported & {"scipy", "sounddevice", "sympy", "torch._dynamo.utils"}
    assert not imported & {"torch.distributed.fsdp", "torch.distributed.tensor"}
    assert len(imported) < 2700


def test_a_lazy_module_is_whole_when_it_is_used() -> None:
    code = (
        "from avsr_frontends.lazy_import import import_lazily\n"
        "import_lazily('matplotlib.pyplot')\n"
        "import matplotlib.pyplot as plt\n"
        "assert 'matplotlib.figure' not in sys.modules\n"
        "assert plt.figure is not None"
    )
    assert "matplotlib.figure" in modules_after(code)


def test_a_late_decorator_does_its_work_when_it_is_called() -> None:
    code = (
        "from avsr.commands.quick_start import import_sparingly\n"
        "import_sparingly()\n"
        "import torch\n"
        "one_more = torch.compiler.disable(recursive=False)(lambda number: number + 1)\n"
        "assert 'torch._dynamo.utils' not in sys.modules\n"
        "assert one_more(1) == 2\n"
        "double = torch.compile(lambda number: number * 2, backend='eager')\n"
        "assert double(torch.ones(1)) == 2"
    )
    assert {"torch._dynamo.utils", "sympy"} <= modules_after(code)


def test_every_public_name_is_there() -> None:
    assert [name for name in avsr.__all__ if not hasattr(avsr, name)] == []
    assert set(avsr.__all__) == set(avsr._MODULE_OF)


def test_the_check_sees_heavy_modules() -> None:
    assert modules_after("import numpy") & HEAVY == {"numpy"}
