"""ClickHouse away, or refusing what its sink writes: the sink waits, and everything comes once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from core.errors import StoreUnavailable
from core.ids import Run, StreamId
from core.messages import IngestCounts, RunEnd, encode_json
from core.settings import ClickHouse, Kafka, Settings
from core.topics import Topics
from streams_proc.attempt import Backoff, attempt
from streams_proc.sink import SinkHandler
from streams_proc.sink_clickhouse import NAME, ByTopic, ClickHouseStore
from streams_proc.stage import Outcome, Record
from tests.conftest import PARTS, free_ports, listens, served
from tests.integration.streams_proc.test_stores import frame
from tests.unit.streams_proc.test_sinks import FakeLedger
from warehouse.analytics import AnalyticsStore
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.migration import apply
from warehouse.clickhouse.topology import Topology

pytestmark = pytest.mark.clickhouse
FRAMES = 60
STREAM = StreamId(uuid.UUID(int=77))


@pytest.fixture
def server(tmp_path: Path) -> tuple[Settings, Callable[[], AbstractContextManager[None]]]:
    """A ClickHouse of this test's own, and how to run it."""
    from infra.clickhouse.library import resolve

    resolve(Settings(data_dir=PARTS))
    (tmp_path / "clickhouse").mkdir(parents=True)
    (tmp_path / "clickhouse" / "lib").symlink_to(PARTS / "clickhouse" / "lib")
    http, tcp = free_ports(2)
    settings = Settings(
        data_dir=tmp_path, clickhouse=ClickHouse(http_port=http, tcp_port=tcp), kafka=Kafka(prefix="p.")
    )
    variables = {
        "SIGHTLINE_DATA_DIR": str(tmp_path),
        "SIGHTLINE_CLICKHOUSE__HTTP_PORT": str(http),
        "SIGHTLINE_CLICKHOUSE__TCP_PORT": str(tcp),
    }
    return settings, lambda: served(
        "infra.clickhouse", tmp_path, variables, lambda: listens(http) and listens(tcp)
    )  # fmt: skip


def records(topic: str) -> list[Record]:
    key = str(STREAM).encode()
    messages = [
        *(frame(STREAM, i, False) for i in range(FRAMES)),
        RunEnd(STREAM, Run(1), "done", IngestCounts(read=FRAMES, published=FRAMES), 1),
    ]
    return [Record(topic, 0, i, key, encode_json(message)) for i, message in enumerate(messages)]


@pytest.mark.timeout(280)
def test_what_came_while_clickhouse_was_away_is_stored_once_when_it_is_back(
    server: tuple[Settings, Callable[[], AbstractContextManager[None]]],
) -> None:
    settings, run = server
    topics, ledger = Topics.of(settings.kafka), FakeLedger()
    batches = records(topics.detections)
    with run():
        client = Client(settings)
        apply(client, Topology.of(settings.clickhouse))
        client.close()
        analytics = AnalyticsStore.connect(settings)
        handler = SinkHandler(NAME, "p.", ByTopic(topics), ClickHouseStore(analytics), ledger)
        assert asyncio.run(_once(handler, batches[:20])) == [()] * 20
    with pytest.raises(StoreUnavailable, match=r"ClickHouse at 127\.0\.0\.1"):
        asyncio.run(_once(handler, batches[20:]))
    assert ledger.log == [], "no receipt for what is not stored"
    with pytest.raises(StoreUnavailable, match=r"ClickHouse at 127\.0\.0\.1"):
        AnalyticsStore.connect(settings)
    waits: list[float] = []

    async def through() -> Sequence[Outcome] | None:
        """The sink's own loop around its store; the server comes back after some attempts."""
        back = run()

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 5:
                await asyncio.to_thread(back.__enter__)

        try:
            return await attempt(lambda: handler.handle(batches[10:]), NAME, backoff=Backoff(sleep))
        finally:
            _COUNTS.append(await asyncio.to_thread(_counts, settings))
            await asyncio.to_thread(back.__exit__, None, None, None)

    assert asyncio.run(through()) == [()] * (len(batches) - 10)
    assert len(waits) >= 5
    assert _COUNTS.pop() == (FRAMES - 1, 1), "each frame once, those that were written twice too"
    assert ledger.log == [(STREAM, Run(1), NAME, "detections")]
    analytics.close()


@pytest.mark.timeout(280)
def test_what_clickhouse_refused_is_stored_once_when_it_takes_it_again(
    server: tuple[Settings, Callable[[], AbstractContextManager[None]]],
) -> None:
    settings, run = server
    topics, ledger = Topics.of(settings.kafka), FakeLedger()
    batches = records(topics.detections)
    reasons: list[str] = []
    with run():
        client = Client(settings)
        apply(client, Topology.of(settings.clickhouse))
        table = f"{settings.clickhouse.database}.frames"
        analytics = AnalyticsStore.connect(settings)
        handler = SinkHandler(NAME, "p.", ByTopic(topics), ClickHouseStore(analytics), ledger)
        assert asyncio.run(_once(handler, batches[:20])) == [()] * 20
        client.command(f"ALTER TABLE {table} MODIFY SETTING parts_to_delay_insert = 0, parts_to_throw_insert = 1")

        async def sleep(_: float) -> None:
            with pytest.raises(StoreUnavailable) as refused:
                await handler.handle(batches[20:])
            reasons.append(str(refused.value))
            if len(reasons) == 3:
                client.command(f"ALTER TABLE {table} RESET SETTING parts_to_delay_insert, parts_to_throw_insert")

        async def through() -> Sequence[Outcome] | None:
            return await attempt(lambda: handler.handle(batches[20:]), NAME, backoff=Backoff(sleep))

        assert asyncio.run(through()) == [()] * (len(batches) - 20)
        assert all("Too many parts" in reason for reason in reasons)
        assert _counts(settings) == (FRAMES - 1, 1)
        assert ledger.log == [(STREAM, Run(1), NAME, "detections")]
        client.close()
        analytics.close()


_COUNTS: list[tuple[int, int]] = []


async def _once(handler: SinkHandler, given: Sequence[Record]) -> list[Outcome]:
    return list(await handler.handle(given))


def _counts(settings: Settings) -> tuple[int, int]:
    store = AnalyticsStore.connect(settings)
    try:
        counts = store.frame_counts(STREAM, Run(1))
        return counts.processed, counts.dead_lettered
    finally:
        store.close()
