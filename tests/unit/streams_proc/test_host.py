"""Faust, as it is set up: what FaustHost must never leave to its defaults."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import FatalError
from core.settings import Kafka, Settings
from streams_proc import host as host_module
from streams_proc.host import FaustHost
from streams_proc.stage import Record

ROOM = Path(host_module.__file__).parent


@pytest.fixture
def host(tmp_path: Path) -> FaustHost:
    return FaustHost(Settings(data_dir=tmp_path / "not" / "there"), "stage", ("in", "later"), "1")


def test_faust_acknowledges_commits_and_waits_for_nothing(host: FaustHost) -> None:
    agents = list(host.app.agents.values())
    assert [agent.channel.acks for agent in agents] == [False, False]
    assert [agent.concurrency for agent in agents] == [1, 1]
    assert host.app.conf.stream_wait_empty is False
    assert host.app.conf.table_standby_replicas == 0
    assert host.app.conf.processing_guarantee.name == "AT_LEAST_ONCE"
    assert not host.app.tables


def test_a_stalled_worker_loses_its_place_in_seconds_and_a_busy_one_never(host: FaustHost) -> None:
    conf = host.app.conf
    assert (conf.broker_session_timeout, conf.broker_rebalance_timeout, conf.broker_heartbeat_interval) == (6, 6, 2)
    assert conf.broker_max_poll_interval >= 86_400
    assert conf.stream_processing_timeout >= 86_400
    assert conf.consumer_auto_offset_reset == "earliest"


def test_what_is_fetched_fits_frames(host: FaustHost) -> None:
    conf = host.app.conf
    assert conf.consumer_max_fetch_size >= 2 * 1024**2
    assert conf.broker_max_poll_records <= 200, "a rebalance or a bound in bytes is not noticed within a poll"


def test_faust_leaves_the_output_the_topics_and_the_ports_alone(host: FaustHost) -> None:
    conf = host.app.conf
    assert (conf.worker_redirect_stdouts, conf.topic_allow_declare, conf.web_enabled) == (False, False, False)
    assert Path(conf.datadir).is_dir(), "the parent of its folder must be there"


def test_a_membership_is_static_where_there_is_an_instance(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, kafka=Kafka(prefix="p."))
    named = FaustHost(settings, "stage", ("in",), "1").app.conf
    other = FaustHost(settings, "stage", ("in",), "2").app.conf
    assert named.id == other.id == "p.stage"
    assert named.consumer_group_instance_id != other.consumer_group_instance_id
    assert "stage" in named.consumer_group_instance_id
    assert not FaustHost(settings, "stage", ("in",)).app.conf.consumer_group_instance_id


class FakeStream:
    """A stream that gives its events only where they are not acknowledged."""

    def __init__(self, *offsets: int) -> None:
        self._offsets = offsets

    def noack(self) -> SimpleNamespace:
        return SimpleNamespace(events=self._events)

    async def _events(self) -> AsyncIterator[Any]:
        for offset in self._offsets:
            message = SimpleNamespace(
                topic="in",
                partition=3,
                offset=offset,
                key=b"k",
                value=b"v",
                headers=[("a", b"1")],
                timestamp=2.5,
                generation_id=7,
            )
            yield SimpleNamespace(message=message)


class Offered:
    def __init__(self) -> None:
        self.records: list[tuple[int, Record]] = []

    def offer(self, generation: int, record: Record) -> None:
        if record.offset == 13:
            raise ValueError("a bug of ours")
        self.records.append((generation, record))


def agent_of(host: FaustHost) -> Any:
    return next(iter(host.app.agents.values())).fun


def test_records_are_delivered_with_their_generation(host: FaustHost) -> None:
    line = host._line = Offered()
    asyncio.run(agent_of(host)(FakeStream(5)))
    assert line.records == [(7, Record("in", 3, 5, b"k", b"v", {"a": b"1"}, 2500))]


def test_an_error_in_an_agent_ends_the_process(host: FaustHost) -> None:
    host._line = Offered()

    async def scene() -> None:
        with pytest.raises(ValueError, match="a bug of ours"):
            await agent_of(host)(FakeStream(12, 13, 14))
        async with asyncio.timeout(5):
            with pytest.raises(FatalError, match="a bug of ours"):
                await host.crashed()

    asyncio.run(scene())


def test_no_table_no_take_and_no_seek_anywhere() -> None:
    """They lose messages: a Table in its recovery, `take` when its handler raises, `seek` under an agent."""
    faust_users = set()
    for path in ROOM.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and "faust" in ast.unparse(node):
                faust_users.add(path.name)
            if path.name == "host.py" and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in {"Table", "SetTable", "GlobalTable", "take", "noack_take", "seek", "ack"}
    assert faust_users == {"host.py"}, "only one file touches Faust"
