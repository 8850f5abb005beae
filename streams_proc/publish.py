"""Outputs to Kafka, and knowing when all of them have arrived."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from core.errors import BrokerUnavailable, FatalError
from core.kafka import producer
from core.settings import Kafka
from streams_proc.stage import Output

WITHOUT_HOLES = {
    # no record is given up for being slow, and one that is refused ends the producer
    "delivery.timeout.ms": 0,
    "enable.gapless.guarantee": True,
}

FULL_S = 0.1
"""Between two looks at a full buffer: each that is in vain costs the memory of the record's headers for good."""


class Tally:
    """What of a group of outputs has not been confirmed yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._error: str | None = None
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def add(self) -> None:
        """One more output is on its way."""
        with self._lock:
            self._open += 1

    def settle(self, error: str | None) -> None:
        """One output has arrived, or failed for good."""
        with self._lock:
            self._open -= 1
            self._error = self._error or error
            waiter = self._waiter if self._open == 0 else None
        if waiter is not None:
            loop, future = waiter
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(_wake, future)

    async def confirmed(self) -> None:
        """Return once every output has arrived; more may be added only while one is open.

        Raises:
            BrokerUnavailable: an output was given up.
        """
        with self._lock:
            future = asyncio.get_running_loop().create_future()
            if self._open:
                self._waiter = (asyncio.get_running_loop(), future)
            else:
                future.set_result(None)
        await future
        if self._error is not None:
            raise BrokerUnavailable(f"an output was not acknowledged: {self._error}")


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Publisher(Protocol):
    """Sends outputs, in order for each partition."""

    async def send(self, output: Output, tally: Tally, partition: int = -1) -> None:
        """Hand one output over, waiting while the buffer is full; `tally` hears of its fate."""
        ...


class KafkaPublisher:
    """One idempotent producer and the thread that serves its answers.

    It gives nothing up for being slow: of a stream whose tenth output has run out of time the
    eleventh may still arrive, and whoever reads on takes the tenth, when it comes again after a
    restart, for a replay. Once an output is lost for good, nothing is sent any more.
    """

    def __init__(self, kafka: Kafka, name: str, **more: Any) -> None:
        self._lost: str | None = None
        self._producer: Producer = producer(kafka, name, **WITHOUT_HOLES, **more)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"{name}-deliveries", daemon=True)
        self._thread.start()

    async def send(self, output: Output, tally: Tally, partition: int = -1) -> None:
        """Hand one output over, waiting while the buffer is full.

        Raises:
            FatalError: the producer refuses the record for good, or an earlier one is lost.
        """

        def arrived(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self._lose(str(error))
            tally.settle(None if error is None else str(error))

        tally.add()
        while True:
            if self._lost is not None:
                tally.settle(self._lost)
                raise FatalError(f"nothing may follow an output that was not acknowledged: {self._lost}")
            try:
                self._producer.produce(
                    output.topic,
                    key=output.key,
                    value=output.value,
                    headers=list(output.headers.items()),
                    on_delivery=arrived,
                    partition=partition,
                )
                return
            except BufferError:
                await asyncio.sleep(FULL_S)
            except KafkaException as error:
                tally.settle(str(error))
                raise FatalError(f"a record of {len(output.value or b'')} bytes for {output.topic}: {error}") from error

    def _lose(self, error: str) -> None:
        if self._lost is None:
            self._lost = error
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                self._producer.poll(0.1)
            except KafkaException as error:  # fatal: raised once, instead of the deliveries, which follow
                self._lose(str(error))

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is on its way and stop the thread."""
        self._producer.flush(timeout_s)
        self._stop.set()
        self._thread.join(timeout_s)
