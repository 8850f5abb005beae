"""How long a camera may keep its reader waiting, and what is done when it has been lost. No decoder is loaded here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit

from core.addresses import WEB
from core.devices import is_device
from core.local_files import is_local
from core.messages import Source, StreamSpec
from core.settings import Ingest

FIRST_PICTURE_S = 20.0
"""Beyond the silence that is allowed: some cameras send a whole picture every ten seconds only."""

ANSWER_S = 30.0
"""What the system may take to say which addresses a name has."""

STEADY_S = 5.0
"""A connection that lasted so long was sound, and is made again at once."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
FILES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".wmv", ".mpg", ".mpeg", ".m2ts", ".3gp")
"""How addresses end that are files, and no cameras; FLV, WebM and Ogg are sent live, too."""


class Patience:
    """So long for anything at all, and so long for a picture.

    Whoever drips a byte a second is never silent and never gives a picture.

    Args:
        silence_s: to the next byte, and from picture to picture.
        first_s: to the first picture.
    """

    def __init__(self, silence_s: float, first_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.silence_s = silence_s
        self._now = now
        self._allowed_s = first_s
        self._since = now()

    def renew(self) -> None:
        """What was waited for has come, and the next is waited for from now on."""
        self._allowed_s = self.silence_s
        self._since = self._now()

    def allow(self, seconds: float) -> None:
        """Wait at least so long, whatever for."""
        self.silence_s = max(self.silence_s, seconds)
        self._allowed_s = max(self._allowed_s, seconds)

    def left(self) -> float:
        """Seconds that may still be waited for the next byte. Raises TimeoutError."""
        rest = self._since + self._allowed_s - self._now()
        if rest <= 0:
            raise TimeoutError(self.over)
        return min(rest, self.silence_s)

    def end(self) -> NoReturn:
        """Say why nothing came in the time that was left. Raises TimeoutError."""
        self.left()
        raise TimeoutError(f"it has sent nothing for {self.silence_s:.0f} s")

    @property
    def over(self) -> str:
        """What there is to say when there is nothing left of it."""
        return f"nothing that was waited for came within {self._allowed_s:.0f} s"


def own(ingest: Ingest, timeout_s: float | None) -> Ingest:
    """The settings with a stream's own time-out."""
    if timeout_s is None:
        return ingest
    return ingest.model_copy(update={"connect_timeout_s": timeout_s, "read_timeout_s": timeout_s})


def stall_s(spec: StreamSpec, ingest: Ingest) -> float:
    """Seconds without a sign of life after which the stream's reader is ended.

    A camera's reader gives up by itself and needs longer than one attempt may take; but who reads a
    device waits in the driver, which no time-out of ours ends.
    """
    source = spec.source
    mine = own(ingest, source.timeout_s)
    if is_device(source.url):
        return min(ingest.stall_timeout_s, mine.read_timeout_s + FIRST_PICTURE_S)
    if spec.lane == "batch" or is_local(source.url):
        return ingest.stall_timeout_s
    opening_s = 2 * max(mine.read_timeout_s, FIRST_PICTURE_S)
    one_attempt = ANSWER_S + mine.connect_timeout_s + opening_s + mine.read_timeout_s
    return max(ingest.stall_timeout_s, one_attempt)


def is_file(source: Source) -> bool:
    """Whether the address is a file's, here or on a web server; what is not there now will not be there later."""
    if is_local(source.url):
        return True
    try:
        parts = urlsplit(source.url)
    except ValueError:
        return False
    return parts.scheme.lower() in WEB and parts.path.lower().endswith(FILES)


def most_attempts(spec: StreamSpec) -> int:
    """How often in a row a lost connection is made again; 0: its loss is the run's end."""
    again = spec.autorestart
    if again is None or not again.restart or spec.lane == "batch" or is_file(spec.source):
        return 0
    return again.attempts


def pause_s(delay_s: float, attempt: int, chance: float, *, steady: bool) -> float:
    """Seconds before an attempt, counted from 1.

    The first one after a sound connection comes at once; later ones are `delay_s` apart and, where
    that is short, further and further. Up to a quarter is added or taken away by `chance` (0..1), so
    that cameras which were lost together are not asked together.
    """
    pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 10))
    if attempt > 1 or not steady:
        pause = max(delay_s, pause)
    return pause * (0.75 + chance / 2)
