"""Records on somebody else's topic: which brokers are connected to, and what their answers mean."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from core.profile import KafkaCallback
from core.settings import Settings
from streams_proc.notify import produce
from streams_proc.notify.failures import Refused, Unreachable
from streams_proc.notify.produce import Produce
from tests.unit.streams_proc.notify_kit import A, notice

CALLBACK = KafkaCallback("kafka.example:9092", "crowds")
PUBLIC = "93.184.216.34"


class FakeProducer:
    """Answers each record as it is told, in the thread that polls."""

    def __init__(self, answer: KafkaError | str | None) -> None:
        self.answer = answer
        self._said = answer if isinstance(answer, str) else ""  # the client's errors cannot be compared with words
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.purged = threading.Event()
        self._waiting: list[Callable[[Any, Any], None]] = []
        self._ready = threading.Event()

    def produce(self, topic: str, *, on_delivery: Callable[[Any, Any], None], **record: Any) -> None:
        if self._said == "full":
            raise BufferError("full")
        if self._said == "too large":
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.sent.append((topic, record))
        self._waiting.append(on_delivery)
        self._ready.set()

    def poll(self, timeout: float) -> int:
        self._ready.wait(timeout)
        self._ready.clear()
        while self._said != "silent" and self._waiting:
            self._waiting.pop()(self.answer, None)
        return 0

    def purge(self, **_: Any) -> None:
        self.purged.set()


class Bench:
    def __init__(self) -> None:
        self.answer: KafkaError | str | None = None
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.made: list[tuple[str, Mapping[str, str], FakeProducer]] = []
        self.looked_up = 0
        self.now = 0.0
        self.produce = Produce(Settings(), self._resolve, self._make, lambda: self.now)

    def _resolve(self, host: str, port: int) -> tuple[str, ...]:
        self.looked_up += 1
        found = self.addresses.get(host, (PUBLIC,))
        if not found:
            raise OSError("no such name")
        return found

    def _make(self, servers: str, security: Mapping[str, str], timeout_s: float) -> Any:
        self.made.append((servers, security, FakeProducer(self.answer)))
        return self.made[-1][2]

    def send(self, *callbacks: KafkaCallback, timeout_s: float = 5.0) -> None:
        async def scene() -> None:
            await asyncio.gather(*(self.produce.send(callback, notice(), timeout_s) for callback in callbacks))

        asyncio.run(scene())


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.produce.close()


def test_a_record_has_the_body_its_stream_s_key_and_its_id(bench: Bench) -> None:
    bench.send(CALLBACK)
    ((servers, security, producer),) = bench.made
    assert (servers, dict(security)) == (f"{PUBLIC}:9092", {"security.protocol": "PLAINTEXT"})
    ((topic, record),) = producer.sent
    assert (topic, record["key"]) == ("crowds", str(A).encode())
    assert json.loads(record["value"]) == {"ce_id": "x/end/1"}
    assert dict(record["headers"])["ce_id"] == b"x/end/1"


def test_with_tls_the_name_is_kept_for_its_certificate(bench: Bench) -> None:
    bench.send(KafkaCallback("kafka.example:9093", "t", True, (), "SASL_SSL", "me", "pw"))
    servers, security, _ = bench.made[0]
    assert servers == "kafka.example:9093"
    assert security == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "me",
        "sasl.password": "pw",
    }


def test_one_connection_serves_all_topics_of_a_cluster_and_login(bench: Bench) -> None:
    other = KafkaCallback("kafka.example:9092", "cars")
    bench.send(CALLBACK, other, CALLBACK)
    bench.send(other)
    assert len(bench.made) == 1
    bench.send(KafkaCallback("kafka.example:9092", "crowds", True, (), "SASL_PLAINTEXT", "me", "pw"))
    assert len(bench.made) == 2


def test_addresses_are_looked_at_again(bench: Bench) -> None:
    bench.send(CALLBACK)
    bench.now = 30.0
    bench.send(CALLBACK)
    assert bench.looked_up == 1
    bench.now = 91.0
    bench.addresses["kafka.example"] = ("10.0.0.1",)
    with pytest.raises(Refused, match="private") as caught:
        bench.send(CALLBACK)
    assert caught.value.reason == "address"
    assert bench.made[0][2].purged.wait(5), "the connection is closed"
    assert len(bench.made) == 1


def test_an_address_that_may_not_be_opened_gets_no_connection(bench: Bench) -> None:
    bench.addresses["kafka.example"] = (PUBLIC, "127.0.0.1")
    with pytest.raises(Refused):
        bench.send(CALLBACK)
    assert bench.made == []


def test_a_name_without_an_address_may_have_one_later(bench: Bench) -> None:
    bench.addresses["kafka.example"] = ()
    with pytest.raises(Unreachable) as caught:
        bench.send(CALLBACK)
    assert caught.value.reason == "no_address"


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (KafkaError(KafkaError._MSG_TIMED_OUT), Unreachable, "unreachable"),
        (KafkaError(KafkaError.NOT_ENOUGH_REPLICAS), Unreachable, "unreachable"),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), Refused, "kafka"),
        (KafkaError(KafkaError._UNKNOWN_TOPIC), Refused, "kafka"),
        ("too large", Refused, "kafka"),
        ("full", Unreachable, "unreachable"),
    ],
)
def test_what_a_broker_says(bench: Bench, answer: Any, kind: type[Any], reason: str) -> None:
    bench.answer = answer
    with pytest.raises(kind) as caught:
        bench.send(CALLBACK)
    assert caught.value.reason == reason


def test_silence_has_an_end(bench: Bench) -> None:
    bench.answer = "silent"
    with pytest.raises(Unreachable) as caught:
        bench.send(CALLBACK, timeout_s=0.05)
    assert caught.value.reason == "timeout"


def test_a_connection_that_is_broken_is_made_anew(bench: Bench) -> None:
    bench.answer = KafkaError(KafkaError._FATAL, "fenced", fatal=True)
    with pytest.raises(Unreachable):
        bench.send(CALLBACK)
    bench.answer = None
    bench.send(CALLBACK)
    assert len(bench.made) == 2


def test_connections_are_bounded_and_the_one_used_longest_ago_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(produce, "MOST_CONNECTIONS", 2)
    a, b, c = (KafkaCallback(f"{name}.example:1", "t") for name in "abc")
    bench.send(a)
    bench.send(b)
    bench.send(a)
    bench.send(c)
    assert bench.made[1][2].purged.wait(5)
    assert not bench.made[0][2].purged.is_set()
    bench.send(a)
    assert len(bench.made) == 3
