"""What is to be evaluated, and how."""

from dataclasses import dataclass, field
from pathlib import Path

from avsr.datasets.detect import AUTO
from avsr.decoding.options import SearchOptions
from avsr.errors import UsageError
from avsr.evaluation.conditions import Sound
from avsr.pretrained import DEFAULT_MODEL
from avsr.route import Modality
from avsr.workers import RayCluster

CLEAN = "clean"
_LARGEST_DB = 100.0


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """One evaluation: the product of all modalities, rates and sounds over the clips of a corpus.

    Attributes:
        source: a manifest, or the folder of a corpus.
        layout: of ``source``, as :func:`avsr.datasets.read_dataset` takes it.
        split: a part of the corpus; None is all.
        limit: only the first so many clips; None is all.
        model: as :func:`avsr.load` takes it.
        device: as :func:`avsr.load` takes it.
        allow_untrained_rate: accept rates that the model was not trained at.
        modalities: what is read.
        audio_rates: None stands for the finest trained.
        video_rates: None stands for the finest trained.
        noises: ``"clean"``, ``"babble"``, and sound files.
        snrs_db: speech-to-noise ratios for each noise that is not clean, -100 to 100.
        babble_from: a manifest whose voices babble is made of; None: the corpus itself.
        seed: changes noise and the draws for intervals.
        search: how texts are searched for.
        batch_size: clips decoded together; does not change the results.
        jobs: processes, each with the model; None is one, or as many as the cluster has room for.
        cluster: where these work; None is this machine. All its nodes must see the files.
        cache: folder that keeps decoded clips for later runs; None keeps them for this run.
        output: results file; None writes nothing. A run that was stopped goes on from it.
        plots: also draw plots beside the results file.
    """

    source: Path
    layout: str = AUTO
    split: str | None = None
    limit: int | None = None
    model: str | Path = DEFAULT_MODEL
    device: str = "auto"
    allow_untrained_rate: bool = False
    modalities: tuple[Modality, ...] = ("av",)
    audio_rates: tuple[int | None, ...] = (None,)
    video_rates: tuple[int | None, ...] = (None,)
    noises: tuple[str, ...] = (CLEAN,)
    snrs_db: tuple[float, ...] = ()
    babble_from: Path | None = None
    seed: int = 0
    search: SearchOptions = field(default_factory=SearchOptions)
    batch_size: int = 16
    jobs: int | None = None
    cluster: RayCluster | None = None
    cache: Path | None = None
    output: Path | None = None
    plots: bool = False

    def __post_init__(self) -> None:
        noisy = self.noise_names
        if noisy and not self.snrs_db:
            message = f"noise {', '.join(noisy)}: also give the ratio in dB, such as 10,5,0"
            raise UsageError(message, settings=("snrs_db",))
        if self.snrs_db and not noisy:
            message = "a ratio needs a noise: also give babble or a sound file"
            raise UsageError(message, settings=("noises",))
        if not all(abs(ratio) <= _LARGEST_DB for ratio in self.snrs_db):
            message = (
                f"ratios go from -100 to 100 dB, got {', '.join(f'{r:g}' for r in self.snrs_db)}"
            )
            raise UsageError(message, settings=("snrs_db",))
        if self.plots and self.output is None:
            message = "plots are written beside the results: also give a file for these"
            raise UsageError(message, settings=("output",))
        if self.cluster is not None and self.cache is None and self.output is None:
            message = "on a cluster: give a file for results, or a cache, in a folder of all nodes"
            raise UsageError(message, settings=("output", "cache"))
        if self.output is not None and self.output.is_dir():
            message = f"{self.output}: is a folder; give a file name"
            raise UsageError(message, settings=("output",))

    @property
    def noise_names(self) -> list[str]:
        """The noises that are not clean."""
        return [name for name in self.noises if name != CLEAN]

    @property
    def sounds(self) -> list[Sound]:
        """All pairs of noise and ratio; (None, None) is clean sound."""
        sounds: list[Sound] = []
        for name in self.noises:
            ratios = ((name, ratio) for ratio in self.snrs_db)
            sounds += [(None, None)] if name == CLEAN else ratios
        return sounds
