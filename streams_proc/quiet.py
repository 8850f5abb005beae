"""Libraries' log lines, not the same one again and again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

LIBRARIES = ("faust", "mode", "aiokafka")
EVERY_S = 10.0


class Repeats(logging.Filter):
    """Lets a library's line through once in ten seconds; a broker that is away would fill the disk."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.name.split(".")[0] not in LIBRARIES:
            return True
        key, now = (record.name, str(record.msg)), self._clock()
        if now - self._last.get(key, -EVERY_S) < EVERY_S:
            return False
        self._last[key] = now
        return True


def quieten() -> None:
    """Warnings and errors of the libraries only, and none twice in ten seconds."""
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, Repeats) for each in handler.filters):
            handler.addFilter(Repeats())


def say_no_more() -> None:
    """Nothing after the line that says why the process ends: Faust's threads complain when their loop goes."""
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None
