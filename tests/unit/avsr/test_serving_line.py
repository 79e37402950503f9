"""A bounded line: places, refusals with a time to come again, and work in threads."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from avsr.serving.line import Line
from avsr.serving.refusals import Refusal
from avsr.serving.settings import ServerSettings


def test_who_comes_when_it_is_full_is_told_when_to_come_again() -> None:
    line = Line(ServerSettings(workers=2, queue=1))
    with ExitStack() as places:
        for _ in range(3):
            places.enter_context(line.place())
        assert line.is_full
        with pytest.raises(Refusal, match="busy with 3 requests") as refused, line.place():
            pass
        answer = refused.value.response()
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) == line.retry_after_s >= 1
        assert refused.value.to_dict()["error"]["type"] == "rate_limit_error"
    assert (line.n_inside, line.is_full) == (0, False)
    line.close()


def test_work_is_done_by_as_many_threads_as_there_are() -> None:
    line = Line(ServerSettings(workers=2))
    both = threading.Barrier(2, timeout=30)  # holds up unless two are at work

    async def two() -> tuple[int, int]:
        return await asyncio.gather(line.work(both.wait), line.work(both.wait))

    assert sorted(asyncio.run(two())) == [0, 1]
    assert line.n_working == 0
    line.close()


def test_every_thread_is_warmed_up_once() -> None:
    line = Line(ServerSettings(workers=3))
    names: list[str] = []
    line.warm_up(lambda: names.append(threading.current_thread().name))
    assert len(set(names)) == 3
    line.close()


def test_what_nobody_waits_for_is_not_begun() -> None:
    line = Line(ServerSettings(workers=1))
    begun: list[str] = []
    free = threading.Event()

    async def leave() -> None:
        first = asyncio.ensure_future(line.work(lambda: free.wait(30)))
        second = asyncio.ensure_future(line.work(lambda: begun.append("second")))
        await asyncio.sleep(0.1)
        second.cancel()
        await asyncio.wait([second])
        free.set()
        assert await first

    asyncio.run(leave())
    line.close()
    assert begun == []
