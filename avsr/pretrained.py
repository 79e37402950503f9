"""Finding and loading models: by bundled name, by folder, or by hub id."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from avsr.config import AvsrConfig
from avsr.errors import ModelUnavailableError, UsageError, one_line
from avsr.memory import keep_few_shapes
from avsr.model import AvsrForConditionalGeneration
from avsr.model_files.base_fetching import fetch_bases
from avsr.model_files.fusion import FusionWeights, read_fusion
from avsr.model_files.readability import ReadabilityWeights, read_readability
from avsr.model_files.store import ModelPlace, default_model, find_model
from avsr.processing import AvsrProcessor
from avsr.progress import Progress, Say, say_in_log, show_nothing
from avsr.route import MODALITIES, Modality, Route, Stream
from avsr.trained_route import trained_route
from avsr_frontends.rates import AUDIO_ENCODER_FPS

__all__ = [
    "DEFAULT_MODEL",
    "MAX_SEGMENT_S",
    "LoadedModel",
    "choose_device",
    "load_model",
    "model_digest",
]

MAX_SEGMENT_S = 16.0  # longest clip that the published models were trained on
DEFAULT_MODEL = "auto"  # see avsr.model_files.store
_UNTRAINED_RATE = (  # the ablation of Llama-MTSK, LRS3, rates 2/4/6/8/10
    "expect many errors; pooling a published model that never saw rates 2/4/6/8/10 gave a WER of "
    "4/14/46/89/160 %, where trained rates gave 2.3 to 3.0 %"
)


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model ready for use.

    Attributes:
        name: how it is shown to the user.
        model: in evaluation mode, on ``device``.
        processor: its processor.
        device: where the model is.
        note: what a user must know before trusting it; empty if nothing.
        licence: of the weights; empty if the model's folder does not tell.
        allow_untrained_rate: whether rates that the model was not trained at may be asked for.
        location: the folder it was loaded from.
        readability: by what it is judged whether the model reads what is said; empty where that
            is not known.
        fusion: by what a reading of sound and lips is judged by those of either; empty where that
            is not known.
        warnings: what every result must tell, such as that it reads in place of another model.
    """

    name: str
    model: AvsrForConditionalGeneration
    processor: AvsrProcessor
    device: torch.device
    note: str = ""
    licence: str = ""
    allow_untrained_rate: bool = False
    location: str = ""
    readability: ReadabilityWeights = field(default_factory=dict)
    fusion: FusionWeights = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def modalities(self) -> list[Modality]:
        """Modalities that the model was trained on."""
        return [name for name in MODALITIES if name in (self.model.config.modalities or ())]

    @property
    def max_segment_s(self) -> float:
        """Longest piece of a clip, in seconds, that the model should be given at once."""
        audio_config: Any = self.model.config.audio_config
        if audio_config is None:
            return MAX_SEGMENT_S
        return min(MAX_SEGMENT_S, audio_config.max_source_positions / AUDIO_ENCODER_FPS)

    def rates(self, stream: Stream) -> list[int]:
        """Trained rates of a stream, finest first; empty for a model without its encoder."""
        config = self.model.config
        return [] if getattr(config, f"{stream}_config") is None else sorted(config.rates(stream))

    def route(
        self, modality: str, audio_rate: int | None = None, video_rate: int | None = None
    ) -> Route:
        """What is asked for, checked and with the finest trained rates in place of None.

        Raises:
            SettingError: naming what the model was trained for, see
                :func:`avsr.trained_route.trained_route`.
        """
        return trained_route(
            self.model.config,
            modality,
            audio_rate,
            video_rate,
            allow_untrained_rate=self.allow_untrained_rate,
            model=self.name,
        )

    def doubts_about(self, routes: Iterable[Route]) -> list[str]:
        """A warning for each rate that the model was not trained at; empty where all is well."""
        asked: set[tuple[Stream, int]] = {
            (stream, rate)
            for route in routes
            for stream in route.streams
            if (rate := route.rate(stream)) is not None
        }
        return [
            f"{self.name} was not trained at {stream} rate {rate} (only at "
            f"{', '.join(map(str, self.rates(stream)))}): {_UNTRAINED_RATE}"
            for stream, rate in sorted(asked)
            if rate not in self.rates(stream)
        ]


def load_model(
    name_or_folder: str | Path,
    device: str = "auto",
    *,
    allow_untrained_rate: bool = False,
    dtype: str = "auto",
    offline: bool = False,
    say: Say = say_in_log,
    progress: Progress = show_nothing,
) -> LoadedModel:
    """Load a model and its processor; what it needs is fetched the first time.

    Args:
        name_or_folder: a bundled name, a folder with a ``config.json``, a hub id ``owner/name``,
            or ``"auto"``, see :func:`avsr.model_files.store.default_model`.
        device: as :func:`choose_device` takes it.
        allow_untrained_rate: let the caller ask for rates that the model was not trained at.
        dtype: numbers to compute with; ``"auto"`` is what the weights are stored in, but float32 on
            a CPU that does not multiply bfloat16 in hardware.
        offline: never download.
        say: told what is fetched, and that another model reads than would if it could be had.
        progress: told how much of it has come.

    Raises:
        ModelUnavailableError: if there is no such model or it cannot be loaded.
        UsageError: if the device does not exist.
    """
    keep_few_shapes()
    chosen = choose_device(device)
    place, warnings = _complete_place(name_or_folder, offline, say, progress)
    try:
        wanted = _cpu_dtype(place.folder) if (dtype, chosen.type) == ("auto", "cpu") else dtype
        numbers: Any = "auto" if wanted == "auto" else getattr(torch, wanted)
        model = AvsrForConditionalGeneration.from_pretrained(
            place.folder, dtype=numbers, local_files_only=offline
        )
        processor = AvsrProcessor.from_pretrained(place.folder)
        readability = read_readability(place.folder)
        fusion = read_fusion(place.folder)
    except Exception as error:  # any failure to load is the same to the user, with its cause
        message = f"{place.name}: cannot load this model: {one_line(error)}"
        raise ModelUnavailableError(message) from error
    model.to(chosen).eval()  # pyright: ignore[reportArgumentType]
    return LoadedModel(
        name=place.name,
        model=model,
        processor=processor,
        device=chosen,
        note=place.bundled.note if place.bundled else "",
        licence=_licence(place),
        allow_untrained_rate=allow_untrained_rate,
        location=str(place.folder),
        readability=readability,
        fusion=fusion,
        warnings=warnings,
    )


def _complete_place(
    name_or_folder: str | Path, offline: bool, say: Say, progress: Progress
) -> tuple[ModelPlace, tuple[str, ...]]:
    """Where a model is, its base models fetched, and warnings if it is not the one wanted."""
    default = default_model() if name_or_folder == DEFAULT_MODEL else None
    name = name_or_folder if default is None else default.name
    place = find_model(name, offline=offline, progress=progress)
    try:
        fetch_bases(_base_names(place.folder), offline=offline, say=say, progress=progress)
    except ModelUnavailableError as error:
        remedy = f"avsr models download {place.name} fetches it where there is a network"
        if default is None or default.instead is None:
            advice = f"; {remedy}" if place.bundled else ""
            raise ModelUnavailableError(f"{place.name}: {error}{advice}") from error
        warning = f"{default.instead} reads in place of {place.name}: {error}; {remedy}"
        say(warning)
        return find_model(default.instead), (warning,)
    return place, ()


def _base_names(folder: Path) -> list[str]:
    """How a model's configuration names its base models; what it misses is told on loading."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return [base["name"] for base in (config.get("base_models") or {}).values()]
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return []


def model_digest(folder: str | Path) -> str:
    """SHA-256 over the configuration, tokenizer and weights of a model folder, by file name.

    Frozen base models that are stored elsewhere are named in the configuration, with revisions.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in (".json", ".safetensors"):
            digest.update(f"{path.relative_to(folder)}:{path.stat().st_size}:".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _cpu_dtype(folder: Path) -> str:
    """The type that a CPU is quickest with.

    Weights stored as bfloat16 stay so where the CPU multiplies it in hardware (the layers of a
    large language model take a third of the time); otherwise half precision is slow.
    """
    able = torch.cpu.get_capabilities()
    stored = str(AvsrConfig.from_pretrained(folder).dtype)
    if stored.endswith("bfloat16") and (able.get("avx512_bf16") or able.get("amx_bf16")):
        return "bfloat16"
    return "float32"


def choose_device(device: str) -> torch.device:
    """Turn a device option into a device.

    Args:
        device: a PyTorch device such as ``"cuda:1"``, or ``"auto"``: a GPU if there is one.

    Raises:
        UsageError: if there is no such device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        cause = one_line(error).split(". ")[0]
        message = f"device {device}: not usable here ({cause}); try auto or cpu"
        raise UsageError(message, settings=("device",)) from None
    return chosen


def _licence(place: ModelPlace) -> str:
    """Licence of the weights: known for bundled models, else from the head of the model card."""
    if place.bundled is not None:
        return place.bundled.licence
    card = place.folder / "README.md"
    if not card.is_file():
        return ""
    head = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8"), re.DOTALL)
    named = re.search(r"^license: *(\S.*)$", head.group(1), re.MULTILINE) if head else None
    return named.group(1).strip() if named else ""
