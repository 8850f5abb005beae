"""A reader's end when another host may read its stream: at once, and nothing more reaches the broker.

Whoever took over has read where the topic ends and numbers on from there: what this reader has not
sent yet, or what the system is still trying to send for it, would stand under the same numbers.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from core.log import get
from ingest.protocol import EXIT_RETRY

log = get(__name__)
ABORT = struct.pack("ii", 1, 0)


class Purging(Protocol):
    """The part of confluent-kafka's producer that is used."""

    def purge(self, in_queue: bool = ..., in_flight: bool = ..., blocking: bool = ...) -> None:
        """Forget records."""


def leave(producer: Purging, end: Callable[[int], object] = os._exit) -> None:
    """End the process, whatever its threads wait for, without sending what it has."""
    log.warning("the lease has ended: another host may read this stream now")
    producer.purge(in_queue=True, in_flight=True, blocking=False)
    abort_connections(open_descriptors())
    end(EXIT_RETRY)


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
