"""luna-kafka callbacks: a record on somebody else's topic.

The addresses of the servers that a callback names are checked. What these brokers say of the cluster's other
brokers is not: librdkafka connects to every address that they advertise.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from core.addresses import Resolver, system_resolver
from core.callbacks import broker_addresses
from core.clock import rfc3339
from core.errors import Forbidden, InvalidInput
from core.kafka import foreign_producer
from core.profile import KafkaCallback
from core.settings import Settings
from streams_proc.notify.failures import Refused, Unreachable
from streams_proc.notify.notices import Notice

MOST_CONNECTIONS = 32
CHECK_S = 60.0
"""A name's addresses are looked at again after so long."""

POLL_S = 0.1
THREADS = 16
LAST_WORDS = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
    }
)
"""Errors that will be the same the next time."""

Make = Callable[[str, Mapping[str, str], float], Producer]
Key = tuple[str, ...]


class Connection:
    """One producer and the thread that serves its answers.

    Attributes:
        checked: when the addresses were last looked at.
        broken: it can be used no more.
    """

    def __init__(self, producer: Producer, checked: float) -> None:
        self.checked = checked
        self.broken = False
        self._producer = producer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="callbacks-deliveries", daemon=True)
        self._thread.start()

    async def produce(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        """Return once the record is acknowledged. Raises Unreachable, Refused."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[KafkaError | None] = loop.create_future()

        def settle(error: KafkaError | None) -> None:
            if not answer.done():  # nobody waits any more
                answer.set_result(error)

        def arrived(error: KafkaError | None, _: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, error)

        try:
            self._producer.produce(topic, key=key, value=value, headers=list(headers), on_delivery=arrived)
        except BufferError as error:
            raise Unreachable("unreachable", "too much waits for its brokers") from error
        except KafkaException as error:
            raise self._failure(error.args[0]) from error
        failed = await answer
        if failed is not None:
            raise self._failure(failed)

    def close(self) -> None:
        """Give up what is on its way, and end. Blocking."""
        self._stop.set()
        self._thread.join(2.0)
        with contextlib.suppress(KafkaException):
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)

    def _failure(self, error: KafkaError) -> Unreachable | Refused:
        if error.fatal():
            self.broken = True
        if error.code() in LAST_WORDS:
            return Refused("kafka", str(error))
        return Unreachable("unreachable", str(error))

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                self._producer.poll(POLL_S)
            except KafkaException:  # fatal: raised once, instead of the deliveries, which follow
                self.broken = True


class Produce:
    """Makes luna-kafka callbacks, with a connection for each cluster and login; the one used longest ago goes first.

    Args:
        make: of a producer; see `core.kafka.foreign_producer`.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        settings: Settings,
        resolver: Resolver = system_resolver,
        make: Make = foreign_producer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._make = make
        self._clock = clock
        self._open: OrderedDict[Key, Connection] = OrderedDict()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="brokers")

    async def send(self, callback: KafkaCallback, notice: Notice, timeout_s: float) -> None:
        """Produce the notice's body as JSON, keyed by its stream. Raises Unreachable, Refused."""
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._connection(callback)
                key, value = str(notice.stream_id).encode(), msgspec.json.encode(notice.body)
                await connection.produce(callback.topic, key, value, _headers(notice))
        except TimeoutError as error:
            raise Unreachable("timeout", f"not acknowledged within {timeout_s:.3g} s") from error

    def close(self) -> None:
        """End every connection. Blocking."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _connection(self, callback: KafkaCallback) -> Connection:
        key = (callback.servers, callback.protocol, callback.username, callback.password)
        known = self._open.get(key)
        if known is not None and known.broken:
            self._close(key)
            known = None
        if known is None or self._clock() - known.checked > CHECK_S:
            addresses = await self._addresses(callback, key)
            known = self._open.get(key)  # somebody else may have been here meanwhile
            if known is None:
                known = self._open[key] = self._connect(callback, addresses)
            known.checked = self._clock()
        self._open.move_to_end(key)
        while len(self._open) > MOST_CONNECTIONS:
            self._close(next(iter(self._open)))
        return known

    async def _addresses(self, callback: KafkaCallback, key: Key) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, broker_addresses, callback.servers, self._settings, self._resolver
            )
        except Forbidden as error:
            self._close(key)
            raise Refused("address", str(error)) from error
        except InvalidInput as error:
            raise Unreachable("no_address", str(error)) from error

    def _connect(self, callback: KafkaCallback, addresses: Sequence[str]) -> Connection:
        # TLS needs the name that is on the certificate; without it the connection goes to what was checked
        servers = callback.servers if callback.protocol.endswith("SSL") else ",".join(addresses)
        try:
            producer = self._make(servers, _security(callback), self._settings.notify.delivery_s)
        except KafkaException as error:
            raise Refused("kafka", str(error)) from error
        return Connection(producer, self._clock())

    def _close(self, key: Key) -> None:
        connection = self._open.pop(key, None)
        if connection is not None:
            self._threads.submit(connection.close)


def _security(callback: KafkaCallback) -> dict[str, str]:
    found: dict[str, str] = {"security.protocol": callback.protocol}
    if callback.username:
        found |= {
            "sasl.mechanisms": "PLAIN",
            "sasl.username": callback.username,
            "sasl.password": callback.password,
        }
    return found


def _headers(notice: Notice) -> list[tuple[str, bytes]]:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": notice.ce_id,
        "ce_source": f"/streams/{notice.stream_id}",
        "ce_type": f"io.sightline.callback.{notice.kind}",
        "ce_time": rfc3339(notice.ts_ms),
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in attributes.items()]
