"""Faust, for what it is good at: membership of the consumer group, and delivery.

No Tables, no acknowledgements, no transactions: `streams_proc.line` commits. See docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from core import log
from core.errors import FatalError
from core.settings import Settings
from streams_proc.quiet import quieten
from streams_proc.stage import Record, TopicPartition

SESSION_S = 6.0
HEARTBEAT_S = 2.0
DAY_S = 86_400.0
FETCH_BYTES = 2 * 1024**2
POLL_RECORDS = 200
GULP_BYTES = 1024**2
"""At so much a broker that gathers records answers before its time."""

_log = log.get(__name__)


class Line(Protocol):
    """Where records are delivered to."""

    def offer(self, generation: int, record: Record) -> None:
        """A record has been delivered."""
        ...


class FaustHost:
    """One Faust application: its group, its topics, and the line they are delivered to.

    Args:
        name: of the stage; the group is the same with the prefix.
        instance: makes the membership static, so that a restart within the session costs no
            rebalance; no two living processes of a host may have the same. None: dynamic.
        gulp_s: how long the broker gathers records before it answers; 0: it answers with the first.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        topics: Sequence[str],
        instance: str | None = None,
        gulp_s: float = 0.0,
    ) -> None:
        self._name = name
        folder = settings.data_dir / "faust" / name
        folder.mkdir(parents=True, exist_ok=True)
        self.app = faust.App(**_options(settings, name, folder, instance))
        if gulp_s:
            self.app.transport = _gulping(self.app, gulp_s)
        self._topics = topics
        self._line: Line | None = None
        self._broken: Exception | None = None
        for topic in topics:
            self._deliver(topic)

    @property
    def generation(self) -> int:
        """Number of the membership that holds now."""
        return int(self.app.consumer_generation_id)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Commit the next offsets; False when the partitions have gone to someone else."""
        done: bool = await self.app.consumer._commit({TP(*tp): offset for tp, offset in offsets.items()})
        return done

    def pause(self, tp: TopicPartition) -> None:
        """Do not fetch from a partition for now."""
        self.app.consumer.on_buffer_full(TP(*tp))

    def resume(self, tp: TopicPartition) -> None:
        """Fetch from it again."""
        self.app.consumer.on_buffer_drop(TP(*tp))

    async def start(self, line: Line) -> None:
        """Join the group and deliver to `line`."""
        self._line = line
        quieten()
        self.app.finalize()
        await self.app.start()
        _log.info("joined", stage=self._name, topics=list(self._topics))

    async def stop(self) -> None:
        """Leave the group."""
        await self.app.stop()

    async def crashed(self) -> None:
        """Return never; raise when Faust has given up."""
        while not self.app.crashed and self._broken is None:  # noqa: ASYNC110  # Faust has no event for it
            await asyncio.sleep(0.2)
        raise FatalError(f"delivery has ended: {self._broken or self.app.crash_reason!r}")

    def _deliver(self, topic: str) -> None:
        raw = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
        source = self.app.topic(topic, acks=False, **raw)

        async def agent(stream: Any) -> None:
            try:
                async for event in stream.noack().events():
                    assert self._line is not None
                    self._line.offer(event.message.generation_id, _record(event.message))
            except Exception as error:  # Faust would pass over the record and start the agent anew
                self._broken = error
                raise

        self.app.agent(source, name=f"{self._name}-{topic}", concurrency=1)(agent)


def _record(message: Any) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        dict(message.headers or ()),
        int((message.timestamp or 0) * 1000),
    )


def _gulping(app: Any, wait_s: float) -> Any:
    """Faust's transport, with a broker that gathers records for so long before it answers.

    Faust leaves that to its client, to which the broker answers with the first record: right for who passes it on at
    once; for who writes large batches it is many times the work on both sides.
    """

    class Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust has no types
        def _create_worker_consumer(self, transport: Any) -> Any:
            client = super()._create_worker_consumer(transport)
            client._fetch_min_bytes = GULP_BYTES  # read by the client when it is started
            client._fetch_max_wait_ms = int(wait_s * 1000)
            return client

    class Consumer(driver.Consumer):  # type: ignore[misc]
        def _new_consumer_thread(self) -> Any:
            return Thread(self, loop=self.loop, beacon=self.beacon)

    transport = driver.Transport(app.conf.broker_consumer, app)
    transport.Consumer = Consumer
    return transport


def _options(settings: Settings, name: str, folder: Path, instance: str | None) -> dict[str, Any]:
    kafka = settings.kafka
    static = {} if instance is None else {"consumer_group_instance_id": f"{name}-{socket.gethostname()}-{instance}"}
    return {
        "id": kafka.prefix + name,
        "broker": [f"kafka://{address}" for address in kafka.address.split(",")],
        "broker_client_id": f"sightline-{name}",
        "broker_session_timeout": SESSION_S,
        "broker_rebalance_timeout": SESSION_S,
        "broker_heartbeat_interval": HEARTBEAT_S,
        # a long wait for a model server must not cost the membership: the heartbeat says who lives
        "broker_max_poll_interval": DAY_S,
        "broker_max_poll_records": POLL_RECORDS,
        "consumer_max_fetch_size": FETCH_BYTES,
        "consumer_auto_offset_reset": "earliest",
        # with standbys Faust brings its own assignor, which gives a third member of four partitions nothing
        "table_standby_replicas": 0,
        "stream_wait_empty": False,
        "stream_processing_timeout": DAY_S * 365,
        "producer_linger": 0.005,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "autodiscover": False,
        "datadir": str(folder),
        "worker_redirect_stdouts": False,
        **static,
    }
