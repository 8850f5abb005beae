from __future__ import annotations

import logging

from streams_proc.quiet import Repeats


def line(name: str, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, message, ("node 1",), None)


def test_a_library_says_the_same_once_in_ten_seconds_and_everything_else_is_said() -> None:
    now = [0.0]
    filter_ = Repeats(lambda: now[0])
    assert filter_.filter(line("aiokafka.consumer", "Heartbeat failed: %s"))
    assert not filter_.filter(line("aiokafka.consumer", "Heartbeat failed: %s"))
    assert filter_.filter(line("aiokafka.consumer", "Marking dead: %s"))
    assert all(filter_.filter(line("streams_proc.line", "waiting %s")) for _ in range(3))
    now[0] = 10.0
    assert filter_.filter(line("aiokafka.consumer", "Heartbeat failed: %s"))
