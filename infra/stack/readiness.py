"""When a process can be relied on: it answers, or works in its consumer group."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable

from core import kafka
from core.errors import SightlineError
from core.settings import Kafka, Settings
from infra.stack.processes import Process
from infra.stack.supervisor import can_connect

Ready = Callable[[], bool]


def probe(process: Process, settings: Settings) -> Ready:
    """The question to ask until the answer is yes."""
    probes: dict[str, Ready] = {
        "kafka": lambda: broker_answers(settings.kafka),
        "clickhouse": lambda: _answers(f"{settings.clickhouse_url}/ping"),
        "models": lambda: models_answer(settings, settings.models.detector),
        "query": lambda: _answers(f"{query_url(settings)}/ready"),
    }
    if process.name in probes:
        return probes[process.name]
    return lambda: _member(settings, process.group)


def broker_answers(broker: Kafka) -> bool:
    """Whether there is a broker; that this machine's own is not there is known at once, by its port."""
    return bool(broker.bootstrap or can_connect(broker.host, broker.port)) and kafka.ready(broker)


def silent_stores(settings: Settings) -> list[str]:
    """Addresses of this machine's own broker and database at which nobody listens; soon known."""
    own = []
    if not settings.kafka.bootstrap:
        own.append((settings.kafka.host, settings.kafka.port, "Kafka"))
    if not settings.clickhouse.url:
        own.append((settings.clickhouse.host, settings.clickhouse.http_port, "ClickHouse"))
    return [f"{host}:{port} ({name})" for host, port, name in own if not can_connect(host, port)]


def query_url(settings: Settings) -> str:
    """Where this machine reaches the query service."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - addresses to listen on
    host = loopback.get(settings.query.host, settings.query.host)
    return f"http://[{host}]:{settings.query.port}" if ":" in host else f"http://{host}:{settings.query.port}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def models_answer(settings: Settings, *names: str) -> bool:
    """Whether the model server has loaded these models."""
    if not can_connect(settings.models.host, settings.models.port):
        return False

    async def ask() -> bool:
        from inference.client import ModelClient  # noqa: PLC0415 - a second of imports, for this only

        client = ModelClient(settings.models, settings.breaker, settings.models_dir)
        try:
            return all([await client.ready(name) for name in names])
        except SightlineError:
            return False
        finally:
            await client.close()

    return asyncio.run(ask())


def _member(settings: Settings, group: str) -> bool:
    """Whether the group has members and is not just dividing its partitions."""
    from confluent_kafka import ConsumerGroupState, KafkaException  # noqa: PLC0415 - heavy

    name = settings.kafka.prefix + group
    client = kafka.admin(settings.kafka)  # held until the answer is there
    try:
        found = client.describe_consumer_groups([name])[name].result(5)
    except (KafkaException, TimeoutError):  # the first group of a new broker waits for its topic
        return False
    return bool(found.state == ConsumerGroupState.STABLE and found.members)
