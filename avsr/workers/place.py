"""What runs in a worker of a cluster: it takes the place of the process that has the work."""

import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from avsr.errors import UsageError
from avsr.version import __version__

_TAKEN = ("HF_HUB_OFFLINE", "AVSR_CACHE", "AVSR_CONFIG", "AVSR_STATE")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a worker must find as the process that has the work does.

    Attributes:
        folder: relative paths begin here.
        environment: variables that choose models and forbid the network.
        version: of this package.
    """

    folder: str
    environment: dict[str, str]
    version: str

    @classmethod
    def of_this_process(cls) -> "Setting":
        """What holds here."""
        found = {name: os.environ[name] for name in _TAKEN if name in os.environ}
        return cls(folder=os.getcwd(), environment=found, version=__version__)

    def take(self) -> None:
        """Let it hold in this process.

        Raises:
            UsageError: if that cannot be.
        """
        if self.version != __version__:
            raise UsageError(
                f"has avsr {__version__}, and {self.version} gives it work; install the same"
            )
        if not Path(self.folder).is_dir():
            raise UsageError(
                f"lacks {self.folder}; let all nodes share the folders of inputs and results"
            )
        os.chdir(self.folder)
        for name, value in self.environment.items():
            os.environ[name] = value


class Place:
    """A worker: started once, then given one task after another."""

    def __init__(self) -> None:
        self._work: Callable[[Any], Any] | None = None

    def start(self, setting: Setting, work: bytes) -> str:
        """Take the setting, then the work, whose modules may read the environment.

        Returns:
            The address of this node.

        Raises:
            UsageError: if this node cannot do the work.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # who has the work decides what it ends
        setting.take()
        self._work = pickle.loads(work)  # of the process that started us
        return ray.util.get_node_ip_address()

    def do(self, task: Any) -> Any:
        """The result of a task; what the work raises is raised."""
        assert self._work is not None
        return self._work(task)
