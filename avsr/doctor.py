"""Checks of an installation: what works, what does not, and what to do about it."""

import importlib
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

from avsr.errors import one_line
from avsr.model_files.bundled import BUNDLED_ALWAYS, bundled_models
from avsr.model_files.places import is_offline, model_store, settings_folder
from avsr.model_files.store import default_model
from avsr.version import __version__
from avsr.workers import available_cores

_PYTHONS = ((3, 10), (3, 12))  # oldest and newest
_PACKAGES = {  # distribution: module to load
    "torch": "torch",
    "torchaudio": "torchaudio",
    "transformers": "transformers",
    "peft": "peft",
    "av": "av",
    "mediapipe": "mediapipe",
    "numpy": "numpy",
    "silero-vad": None,  # by the voice detector: importing it changes the number of threads
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        about: what was looked at.
        text: what is there, or what is wrong and what to do.
        is_broken: whether something does not work.
    """

    about: str
    text: str
    is_broken: bool = False


def examine(*, load: bool = False) -> Iterator[Finding]:
    """Check an installation, one finding after the other; nothing is downloaded or sent.

    Args:
        load: also load every library and model, and read with them, which takes tens of seconds.
    """
    yield Finding(about="avsr", text=f"{__version__}, code Apache-2.0")
    yield _python()
    for distribution, module in _PACKAGES.items():
        yield _tried(distribution, partial(_package, distribution, module if load else None))
    yield _tried("device", _devices if load else _cores)
    yield _tried("media", _media)
    yield _tried("system libraries", _system_libraries)
    if load:
        yield _tried("face models", _face_models)
        yield _tried("voice detector", _voice_detector)
        yield _tried("bundled model", _bundled_model)
    yield from _bases()
    yield _tried("default model", _default)
    places = {
        "models": model_store(),
        "settings": settings_folder(),
        "temporary files": Path(tempfile.gettempdir()),
        "current folder": Path.cwd(),
    }
    for name, folder in places.items():
        yield _tried(name, partial(_writable, folder))
    text = "never used" if is_offline() else "used only to fetch models"
    yield Finding(about="network", text=text)


def _tried(about: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(about=about, text=check())
    except Exception as error:  # whatever it is, it is the finding
        cause = f"{type(error).__name__}: {one_line(error)}"
        return Finding(about=about, text=f"{cause}; {_remedy(about, error)}", is_broken=True)


def _remedy(about: str, error: Exception) -> str:
    if "libGL" in str(error) or "libgthread" in str(error):
        return "install the system packages libgl1 and libglib2.0-0"
    if isinstance(error, OSError) and about not in _PACKAGES:
        return "give write access, or name another folder by AVSR_CACHE, AVSR_CONFIG or TMPDIR"
    return "install again: pip install --force-reinstall avsr"


def _python() -> Finding:
    version = sys.version_info[:2]
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if not _PYTHONS[0] <= version <= _PYTHONS[1]:
        text += "; Python 3.10 to 3.12 is needed"
        return Finding(about="python", text=text, is_broken=True)
    return Finding(about="python", text=text)


def _package(distribution: str, module: str | None) -> str:
    if module is not None:
        importlib.import_module(module)
    return metadata.version(distribution)


def _cores() -> str:
    return f"cpu ({available_cores()} cores)"


def _devices() -> str:
    import torch

    devices = [f"cpu ({torch.get_num_threads()} threads on {available_cores()} cores)"]
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        devices.append(f"cuda:{index} ({torch.cuda.get_device_name(index)}, {memory:.0f} GiB)")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return ", ".join(devices)


def _media() -> str:
    import av

    missing = [name for name in ("h264", "vp9", "aac", "opus") if name not in av.codecs_available]
    versions = av.library_versions
    text = f"FFmpeg libraries, libavcodec {'.'.join(map(str, versions['libavcodec']))}"
    return f"{text}; cannot decode {', '.join(missing)}" if missing else text


def _system_libraries() -> str:
    import cv2

    return f"those of OpenCV {cv2.__version__} are there"


def _face_models() -> str:
    import numpy as np

    from avsr.clips.mouth_tracker import MouthTracker

    with MouthTracker() as tracker:
        tracker.track_faces([np.zeros((64, 64, 3), dtype=np.uint8)])
    return "detector and mesh work, Apache-2.0"


def _voice_detector() -> str:
    import numpy as np

    from avsr_frontends.activity import voice_probabilities

    voice_probabilities(np.zeros(16_000, dtype=np.float32))
    return "works, MIT"


def _bundled_model() -> str:
    import numpy as np

    from avsr.recognizer import load

    recognizer = load(BUNDLED_ALWAYS, "cpu")
    sound = np.random.default_rng(0).normal(0, 0.01, 8_000).astype(np.float32)
    recognizer.transcribe(sound)
    return f"{BUNDLED_ALWAYS} works, {recognizer.loaded.licence}"


def _default() -> str:
    chosen = default_model()
    return f"{chosen.name} ({chosen.reason})"


def _bases() -> Iterator[Finding]:
    """Whether the base models are here that bundled models fetch on first use."""
    for model in bundled_models().values():
        if not model.bases:
            continue
        text = f"ready, {model.licence}"
        if model.missing:
            wanted = ", ".join(f"{base.name} ({base.megabytes} MB)" for base in model.missing)
            text = f"not ready: avsr models download {model.name} fetches {wanted}"
        yield Finding(about=f"model {model.name}", text=text)


def _writable(folder: Path) -> str:
    """Check that a file can be made in a folder, or in the nearest one above that exists."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    with tempfile.NamedTemporaryFile(dir=place, prefix=".avsr-"):
        pass
    return f"{folder}, writable" if place == folder else f"{folder}, not made yet, can be"
