"""The workers of one run on a cluster: started, given a few tasks each, replaced when lost."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from avsr.errors import AvsrError, InputError, one_line
from avsr.progress import Say
from avsr.workers.place import Place, Setting

_HANDED_OVER = 2  # tasks of a worker at a time: while it does one, the next is there
_DEATHS = 3  # of workers over one task, after which it is given up
_FAILED_STARTS = 3  # one after another, after which the run is

Waiting = deque[tuple[Any, int]]  # tasks with the number of workers that died over each


@dataclass(eq=False)
class _Member:
    actor: Any
    starting: Any  # None once it has started
    node: str = ""  # its address, from then on
    tasks: dict[Any, tuple[Any, int]] = field(default_factory=dict)  # by future, in order

    @property
    def futures(self) -> list[Any]:
        """What is awaited of it; it does one after another."""
        return [self.starting] if self.starting is not None else list(self.tasks)


class Crew:
    """Workers with the same work.

    Args:
        setting: what they must find.
        work: pickled.
        gpus: of each.
        cpus: of each.
        say: told when one is lost.
    """

    def __init__(self, setting: Setting, work: bytes, gpus: float, cpus: int, say: Say) -> None:
        self._setting = setting
        self._work = ray.put(work)
        self._kind = ray.remote(num_cpus=cpus, num_gpus=gpus)(Place)
        self._say = say
        self._members: list[_Member] = []
        self._n_failed_starts = 0

    @property
    def n_tasks(self) -> int:
        """How many tasks are handed over."""
        return sum(len(member.tasks) for member in self._members)

    def fill(self, n: int) -> None:
        """Start workers until there are so many; they begin when the cluster has room."""
        while len(self._members) < n:
            actor: Any = self._kind.remote()
            starting = actor.start.remote(self._setting, self._work)
            self._members.append(_Member(actor=actor, starting=starting))

    def hand_out(self, waiting: Waiting) -> None:
        """Give tasks to those who have started, the idle first.

        A task that a worker died over has one to itself: what was done beside it could be lost.
        """
        for n in range(_HANDED_OVER):
            for member in self._members:
                if not waiting or member.starting is not None or len(member.tasks) != n:
                    continue
                if n and any(n_deaths for _, n_deaths in (waiting[0], *member.tasks.values())):
                    continue
                task = waiting.popleft()
                member.tasks[member.actor.do.remote(task[0])] = task

    def collect(self, waiting: Waiting) -> Iterator[tuple[Any, Any]]:
        """Wait until something has happened; tasks with their results, None for one given up.

        What a lost worker had goes back to those that wait.

        Raises:
            Exception: what the work raises.
            InputError: no worker can start.
        """
        owner = {future: member for member in self._members for future in member.futures}
        done, _ = ray.wait(list(owner), num_returns=1)
        for future in done:
            member = owner[future]
            try:
                result = _get(future)
            except RayError as error:
                yield from self._lose(member, waiting, error)
                continue
            if future == member.starting:
                member.node, member.starting = result, None
                self._n_failed_starts = 0
            else:
                yield member.tasks.pop(future)[0], result

    def dismiss(self) -> None:
        """End them all."""
        for member in self._members:
            _end(member)
        self._members = []

    def _lose(
        self, member: _Member, waiting: Waiting, error: RayError
    ) -> Iterator[tuple[Any, Any]]:
        _end(member)  # in case it is only out of reach
        self._members.remove(member)
        if member.starting is not None:
            self._n_failed_starts += 1
            if self._n_failed_starts >= _FAILED_STARTS:
                raise InputError(f"Ray: workers end as they start: {one_line(error)[:300]}")
            return
        self._say(f"a worker on {member.node} was lost; what it had is given to others")
        suspect = True  # the first that is not done was at work
        back: list[tuple[Any, int]] = []
        for future, (task, n_deaths) in member.tasks.items():
            ready, _ = ray.wait([future], timeout=0)
            if ready:
                with suppress(RayError):
                    yield task, _get(future)
                    continue
            n_deaths += suspect
            suspect = False
            if n_deaths >= _DEATHS:
                yield task, None
            else:
                back.append((task, n_deaths))
        waiting.extendleft(reversed(back))


def _get(future: Any) -> Any:
    """A result; what the work raised is raised as it was, with the node where a user can act on it.

    Raises:
        RayError: if the worker is lost.
    """
    try:
        return ray.get(future)
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, RayError):  # stands for what cannot be pickled
            cause = InputError(one_line(cause))
        if isinstance(cause, AvsrError):
            cause.args = (f"node {error.ip}: {cause}",)
        raise cause from None


def _end(member: _Member) -> None:
    with suppress(Exception):  # it may be gone
        ray.kill(member.actor)
