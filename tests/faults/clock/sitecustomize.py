"""Imported by every Python of a stack whose clock is set, before anything else.

Python tells a sleep its end, and libfaketime 0.9.10 refuses each that is told so (`EINVAL`), whatever its length.
"""

from __future__ import annotations

import select
import time


def _sleep(seconds: float, /) -> None:
    select.select((), (), (), seconds)


time.sleep = _sleep
