"""Hosts and orders through the process `control` on a real broker; what a worker does that is told to begin again."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.messages import NodeStatus, Orders, decode_node, encode_json
from core.orders import KEY
from core.settings import ClickHouse, Control, Kafka, Settings
from core.topics import Topics
from streams_proc.nodes import KafkaNodes
from tests.integration.streams_proc.processes import feed, follow, wait_for, workers
from tests.integration.streams_proc.test_stores import variables
from warehouse.control.store import ControlStore
from warehouse.migrate import migrate

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


@pytest.fixture
def settings(kafka: Kafka, clickhouse: ClickHouse, tmp_path: Path) -> Settings:
    control_url = SecretStr(f"sqlite:///{tmp_path}/c.db")
    made = Settings(data_dir=tmp_path, kafka=kafka, clickhouse=clickhouse, control=Control(url=control_url))
    migrate(made)
    return made


def record(host: str, started_ms: int, **more: Any) -> tuple[bytes, bytes]:
    status = NodeStatus(host, started_ms, started_ms, "10.0.0.1", "CPU", 1.0, 2.0, 0.0, **more)
    return host.encode(), encode_json(status)


def orders(messages: Sequence[Any]) -> list[Orders]:
    return [m for m in (decode_node(message.value()) for message in messages) if isinstance(m, Orders)]


def test_hosts_get_their_numbers_and_keep_them_over_a_restart_of_control(
    kafka: Kafka, settings: Settings, tmp_path: Path
) -> None:
    topic = Topics.of(kafka).nodes
    control = ControlStore.connect(settings)
    with workers(kafka, tmp_path) as start:
        feed(kafka, topic, [record("b", 20), record("a", 10)])
        first = start("streams_proc.__main__", "control", **variables(settings))
        wait_for(lambda: len(control.nodes()) == 2, "both hosts")
        assert [row.status.host for row in control.nodes()] == ["a", "b"], "the one that began first is the first"
        assert all(row.online(int(time.time() * 1000)) for row in control.nodes()), "by the broker's clock"
        assert first.end() == 0
        feed(kafka, topic, [record("a", 30, ended=True), record("c", 5)])
        second = start("streams_proc.__main__", "control", **variables(settings))
        wait_for(lambda: len(control.nodes()) == 3, "the third")
        assert [row.status.host for row in control.nodes()] == ["a", "b", "c"]
        wait_for(lambda: control.nodes()[0].status.ended, "the newest state of the first")
        assert second.end() == 0
    control.close()


def test_an_order_to_begin_again_ends_every_worker_that_runs_well(
    kafka: Kafka, settings: Settings, tmp_path: Path
) -> None:
    control = ControlStore.connect(settings)
    with workers(kafka, tmp_path) as start, follow(kafka, Topics.of(kafka).nodes) as follower:
        running = [start("streams_proc.__main__", name, **variables(settings)) for name in ("control", "sink-media")]
        for worker in running:
            worker.until("joined")
        follower.until(lambda messages: orders(messages) == [Orders()], "the orders as they stand")
        control.change_platform(log_level="debug")
        follower.until(lambda messages: orders(messages)[-1].log_level == "debug", "the log level")
        assert all(worker.process.poll() is None for worker in running), "that alone ends nobody"
        at = control.request_restart()
        assert [worker.wait() for worker in running] == [0, 0]
        again = start("streams_proc.__main__", "control", **variables(settings))
        again.until("joined")
        follower.until(lambda messages: len(orders(messages)) >= 4, "the orders, told again")
        assert orders(follower.messages)[-1] == Orders(at, "debug")
        assert again.process.poll() is None, "an order from before is none for it"
        assert again.end() == 0
    control.close()


def test_an_order_is_read_by_its_key_alone(kafka: Kafka, settings: Settings, tmp_path: Path) -> None:
    with workers(kafka, tmp_path) as start:
        worker = start("streams_proc.__main__", "sink-media", **variables(settings))
        worker.until("joined")
        feed(kafka, Topics.of(kafka).nodes, [(b"another", encode_json(Orders(9))), (KEY, b"{")])
        worker.until("an order cannot be read")
        assert worker.end() == 0


def test_a_reader_that_is_closed_while_it_is_asked_lets_nobody_wait(kafka: Kafka) -> None:
    """Without care four of six waited for ever, and `control` with them."""
    for n in range(8):
        nodes = KafkaNodes(kafka)
        wait_for(nodes.answers, "the broker's answer")

        def ask(nodes: KafkaNodes = nodes) -> None:
            while nodes.answers():
                pass

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        time.sleep(0.02 + 0.003 * n)
        nodes.close()
        asking.join(10)
        assert not asking.is_alive()
