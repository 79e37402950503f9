"""Which cluster is meant, and how much of it a worker gets."""

from dataclasses import dataclass

from avsr.errors import UsageError

__all__ = ["RayCluster"]

HERE = "local"  # the address of a cluster that is started for one run


@dataclass(frozen=True, kw_only=True)
class RayCluster:
    """A Ray cluster and the share of it that each worker gets.

    Attributes:
        address: ``"auto"`` is the one of this machine (or of ``RAY_ADDRESS``), ``"local"`` is
            started for the run and ended after it; else ``HOST:PORT``.
        gpus_per_worker: 0.25 lets four workers share a GPU; 0 is none. None: 1 where the device
            that is asked for is a GPU, or ``"auto"`` and the cluster has GPUs.
        cpus_per_worker: cores, and CPU threads.
    """

    address: str = "auto"
    gpus_per_worker: float | None = None
    cpus_per_worker: int = 1

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if self.address not in ("auto", HERE) and not (host and "/" not in host and port.isdigit()):
            message = f"{self.address!r}: is no address; give auto, {HERE} or HOST:PORT"
            raise UsageError(message, settings=("cluster",))
        gpus = self.gpus_per_worker or 0
        if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
            message = f"{gpus:g} GPUs for a worker: give a share such as 0.25, or a whole number"
            raise UsageError(message, settings=("gpus_per_worker",))
