"""Fetching a task's video, bounded, once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.addresses import Policy
from core.errors import LimitExceeded, StoreUnavailable, UnsupportedMedia
from core.log import mask
from core.settings import Settings
from ingest.http_client import HttpClient

CHUNK = 1024 * 1024
LEAST = 64 * 1024
"""Who fetches is alive when at least so many more bytes have come: a server that drips is given up."""


def fetched(
    url: str,
    spool: Path,
    settings: Settings,
    wait: Callable[[float], object] = time.sleep,
    *,
    within_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """The file at `url`, at `spool`; fetched now unless it is there.

    Args:
        wait: called with 0 as more comes; False when nobody wants to wait any longer.
        within_s: seconds in which all of it has to come; None: as long as something comes.

    Raises:
        InvalidInput, Forbidden: the address is refused.
        UnsupportedMedia: the server refuses, breaks off or takes too long, or nobody wants it any more.
        LimitExceeded: more than `media.max_upload_bytes`.
        StoreUnavailable: there is no room for it now; the task waits for some.
    """
    if spool.is_file():
        return spool
    part = spool.with_name(spool.name + ".part")
    try:
        with _room(spool):
            spool.parent.mkdir(parents=True, exist_ok=True)
        until = math.inf if within_s is None else clock() + within_s
        _fetch(url, part, settings, wait, lambda: clock() > until)
        with _room(spool):
            part.replace(spool)
    finally:
        part.unlink(missing_ok=True)
    return spool


@contextmanager
def _room(path: Path) -> Iterator[None]:
    """Tell what this machine's disk does not take from what the other side does not give."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{path.parent} takes no file: {error.strerror}") from error


def _fetch(
    url: str, part: Path, settings: Settings, wait: Callable[[float], object], too_late: Callable[[], bool]
) -> None:
    limit = settings.media.max_upload_bytes
    body = HttpClient(Policy.of("video", settings), settings.ingest).get(url)
    try:
        if body.length is not None and body.length > limit:
            raise LimitExceeded(f"{mask(url)} has {body.length} bytes; {limit} are the most")
        promised, got, told = body.length, 0, 0
        with part.open("wb") as file:
            while chunk := body.read(CHUNK):
                got += len(chunk)
                if got > limit:
                    raise LimitExceeded(f"{mask(url)} has more than {limit} bytes")
                if too_late():
                    raise UnsupportedMedia(f"{mask(url)} has not come whole in the time that it was given: {got} bytes")
                with _room(part):
                    file.write(chunk)
                    file.flush()
                if got - told >= LEAST:
                    told = got
                    if wait(0.0) is False:
                        raise UnsupportedMedia(f"{mask(url)} was left after {got} bytes: nobody wants it any more")
        if promised is not None and got < promised:
            raise UnsupportedMedia(f"{mask(url)} broke off after {got} of {promised} bytes")
    except OSError as error:
        raise UnsupportedMedia(f"{mask(url)} broke off: {error}") from error
    finally:
        body.close()
