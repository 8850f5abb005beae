"""The end of a reader whose lease has lapsed: at once, and nothing more reaches the broker."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from core.log import get
from ingest.control import Control
from ingest.protocol import EXIT_LAPSED

log = get(__name__)
TICK_S = 0.05
ABORT = struct.pack("ii", 1, 0)


class Purging(Protocol):
    """The part of confluent-kafka's producer that is used."""

    def purge(self, in_queue: bool = ..., in_flight: bool = ..., blocking: bool = ...) -> None:
        """Forget records."""


def watch(control: Control, leave: Callable[[], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Leave once the lease has lapsed."""
    while not control.lapsed:
        sleep(TICK_S)
    leave()


def leave(producer: Purging, end: Callable[[int], object] = os._exit) -> None:
    """End the process, whatever its threads wait for, without sending what it has."""
    log.warning("the lease has lapsed: another host may read this stream now")
    producer.purge(in_queue=True, in_flight=True, blocking=False)
    abort_connections(open_descriptors())
    end(EXIT_LAPSED)


def open_descriptors() -> list[int]:
    """Of this process."""
    return [int(entry.name) for entry in Path("/dev/fd").iterdir()]


def abort_connections(descriptors: Iterable[int]) -> None:
    """When these are closed, the system forgets what they have not sent, where it would go on trying for minutes."""
    for descriptor in descriptors:
        try:
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        except OSError:  # no socket, or closed meanwhile
            continue
