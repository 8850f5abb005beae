"""That this host lives, and how it and its machine are: a record of the topic `nodes` every two seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaException
from msgspec.structs import replace

from core.clock import Clock, now_ms, wall_clock
from core.log import get
from core.messages import NodeStatus, encode_json
from ingest.machine import Machine

log = get(__name__)
EVERY_S = 2.0
SILENT_S = 5.0
"""A host that has not said for so long that it goes round is not said to live."""

LEAVE_S = 3.0


class Producing(Protocol):
    """The part of confluent-kafka's producer that is used."""

    def produce(self, topic: str, value: bytes, key: bytes) -> None:
        """Queue a record. Raises BufferError when the queue is full, KafkaException."""

    def poll(self, timeout: float) -> Any:
        """Serve deliveries."""

    def flush(self, timeout: float) -> Any:
        """Wait for all."""


class Node:
    """One host as others see it. A thread of its own looks at the machine: the host's must not wait for a driver.

    Args:
        topic: `nodes`, with its prefix.
        host: the record's key, the same after a restart.
    """

    def __init__(
        self,
        producer: Producing,
        topic: str,
        host: str,
        machine: Machine,
        *,
        clock: Clock = wall_clock,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._host = host
        self._machine = machine
        self._clock = clock
        self._now = now
        self._started_ms = now_ms(clock)
        self._alive_at = now()
        self._streams = 0
        self._last: NodeStatus | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def alive(self, streams: int) -> None:
        """The host goes round, and runs so many streams; for its own thread."""
        self._streams = streams
        self._alive_at = self._now()

    def leave(self) -> None:
        """Say that the host ends by itself; waits a moment for the broker to hear it."""
        self._ended.set()
        self._thread.join(LEAVE_S)
        if self._last is None:  # nobody has heard of it
            return
        self._say(replace(self._last, ts_ms=now_ms(self._clock), streams=0, ended=True))
        try:
            self._producer.flush(LEAVE_S)
        except KafkaException as error:
            log.warning("that this host ends was not heard", error=str(error))

    def tell(self) -> None:
        """Say how things are, unless the host stands still."""
        if self._now() - self._alive_at <= SILENT_S:
            self._last = self.status()
            self._say(self._last)

    def status(self) -> NodeStatus:
        """How the host and its machine are."""
        load, usage, gpus = self._machine.load(), self._machine.usage(), self._machine.gpus()
        return NodeStatus(
            host=self._host,
            ts_ms=now_ms(self._clock),
            started_ms=self._started_ms,
            address=self._machine.address(),
            run_mode="GPU" if gpus else "CPU",
            cpu_percent=load.cpu,
            ram_percent=load.ram,
            swap_percent=load.swap,
            gpus=gpus,
            services={kind: used.number for kind, used in usage.items()},
            streams=self._streams,
            usage=usage,
        )

    def _run(self) -> None:
        while True:
            try:
                self.tell()
            except OSError as error:
                log.warning("this machine cannot be looked at", error=str(error))
            if self._ended.wait(EVERY_S):
                return

    def _say(self, status: NodeStatus) -> None:
        """Hand it over; one that finds no room is left out, for another one follows."""
        try:
            self._producer.produce(self._topic, value=encode_json(status), key=self._host.encode())
            self._producer.poll(0)
        except (BufferError, KafkaException) as error:
            log.warning("the state of this host cannot be told", error=str(error))
