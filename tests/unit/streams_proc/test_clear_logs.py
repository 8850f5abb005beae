"""Old entries of the streams' logs go by themselves."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import StoreUnavailable
from streams_proc.attempt import Backoff
from streams_proc.clear_logs import DAY_MS, EVERY_S, ClearLogs

NOW = 100 * DAY_MS


class FakeLogs:
    def __init__(self) -> None:
        self.asked: list[int | None] = []
        self.failures = 0

    def clear_stream_logs(self, before_ms: int | None = None) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("locked")
        self.asked.append(before_ms)
        return 3


class Enough(Exception):
    """Ends a loop that goes on for ever."""


def test_entries_go_after_so_many_days() -> None:
    logs = FakeLogs()
    assert ClearLogs(logs, 30, lambda: NOW / 1000).clear() == 3
    assert logs.asked == [70 * DAY_MS]


def test_zero_days_keep_everything() -> None:
    logs = FakeLogs()
    assert ClearLogs(logs, 0, lambda: NOW / 1000).clear() == 0
    assert logs.asked == []


def test_it_is_done_at_the_start_and_again_and_a_store_is_waited_for() -> None:
    logs, waits = FakeLogs(), []
    logs.failures = 1

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise Enough

    with pytest.raises(Enough):
        asyncio.run(ClearLogs(logs, 1, lambda: NOW / 1000).run(Backoff(sleep, lambda: 1.0)))
    assert len(logs.asked) == 2
    assert waits[0] < 1.0
    assert waits[1:] == [EVERY_S, EVERY_S]
