"""A process from its start to SIGTERM or its first error."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from core import log
from core.errors import policy_of
from streams_proc.host import FaustHost
from streams_proc.host import Line as Delivery

FINISH_S = 15.0
LEAVE_S = 5.0
_log = log.get(__name__)


class Line(Delivery, Protocol):
    """What runs between delivery and commit."""

    async def run(self) -> None:
        """Work until `stop`."""
        ...

    def stop(self) -> None:
        """Begin nothing more."""
        ...


async def _at_once() -> None:
    return


async def serve(
    host: FaustHost,
    line: Line,
    stopping: asyncio.Event,
    beside: Sequence[Coroutine[Any, Any, None]] = (),
    passed: Callable[[], Awaitable[None]] = _at_once,
) -> None:
    """Join the group and work until `stopping`: then finish what is begun, commit and leave.

    Args:
        beside: what else the process does; it is cancelled at the end.
        passed: waits until the line may begin; the group is joined meanwhile, so that its
            partitions stay where they are.

    Raises:
        Exception: the first error of the line, of Faust or of what runs beside.
    """

    async def work() -> None:
        await passed()
        await line.run()

    working = asyncio.create_task(work())
    others = [asyncio.create_task(each) for each in (host.crashed(), *beside)]
    wish = asyncio.create_task(stopping.wait())
    try:
        await host.start(line)
        done, _ = await asyncio.wait({working, wish, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {wish}:
            task.result()
        line.stop()
        async with asyncio.timeout(FINISH_S):
            await working
    finally:
        for task in (working, wish, *others):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await host.stop()


def run(name: str, main: Callable[[asyncio.Event], Awaitable[None]], at_error: Callable[[], object]) -> int:
    """Run a process's main coroutine; returns its exit code.

    Args:
        at_error: called after the line that says why the process ends, before it is torn down.
    """
    return asyncio.run(_until_signal(name, main, at_error))


async def _until_signal(
    name: str, main: Callable[[asyncio.Event], Awaitable[None]], at_error: Callable[[], object]
) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        await main(stopping)
    except TimeoutError:
        _log.warning("stopped with work unfinished; it is done again at the next start", stage=name)
    except Exception as error:  # whatever it is, the process ends with one line and is started again
        cause = first_cause(error)
        _log.error("stopped", stage=name, kind=type(cause).__name__, reason=str(cause), remedy=remedy_of(name, cause))
        at_error()
        return 1
    return 0


def first_cause(error: BaseException) -> BaseException:
    """The first error of a group of errors, however deep; any other error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def remedy_of(name: str, error: BaseException) -> str:
    """How to go on after `error` has stopped the stage `name`; empty when there is nothing special to do."""
    return policy_of(error).remedy.format(stage=name)
