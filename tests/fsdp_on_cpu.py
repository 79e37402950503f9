"""``avsr`` on processes whose weights are sharded without a GPU; to be launched by accelerate.

accelerate shards (FSDP) on accelerators only and says nothing where there is none. Told that its
processes have several, it does the same on CPUs over gloo.

With ``KILL_AT_STEP`` in the environment, the process kills itself when that step is logged.
"""

import os
import sys
from collections.abc import Mapping

from accelerate.state import PartialState
from accelerate.utils import DistributedType

from avsr.cli import run
from avsr.training import run_folder

_begin = PartialState.__init__
_log = run_folder.RunFolder.add_to_log


def _begin_as_on_gpus(self: PartialState, *arguments, **options) -> None:
    _begin(self, *arguments, **options)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


def _log_and_die(self: run_folder.RunFolder, step: int, values: Mapping[str, float]) -> None:
    _log(self, step, values)
    if str(step) == os.environ.get("KILL_AT_STEP"):
        os.kill(os.getpid(), 9)


if __name__ == "__main__":
    PartialState.__init__ = _begin_as_on_gpus
    run_folder.RunFolder.add_to_log = _log_and_die
    sys.exit(run(sys.argv[1:]))
