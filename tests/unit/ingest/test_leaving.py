"""A host without its place in the group has its readers end without sending what they have."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from ingest_fakes import FakeClock, spec

from core import kafka as clients
from core.errors import FatalError
from core.settings import Settings
from ingest import host as hosts
from ingest import leaving
from ingest.control import LEASE_S
from ingest.host import SESSION_MS, Host, Stream
from ingest.protocol import EXIT_RETRY, Start
from ingest.reader_process import Death


class Purged:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def purge(self, **how: bool) -> None:
        self.calls.append(how)

    def end(self, code: int) -> None:
        self.calls.append(code)


def test_a_reader_that_leaves_forgets_its_queue_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Purged()
    monkeypatch.setattr(leaving, "open_descriptors", lambda: [])
    leaving.leave(producer, producer.end)
    assert producer.calls == [{"in_queue": True, "in_flight": True, "blocking": False}, EXIT_RETRY]


def test_connections_send_nothing_after_the_end() -> None:
    with socket.socket() as connection, open("/dev/null") as other:  # noqa: PTH123 - a descriptor that is no socket
        assert connection.fileno() in leaving.open_descriptors()
        leaving.abort_connections([other.fileno(), connection.fileno(), 10**6])
        linger = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        assert struct.unpack("ii", linger) == (1, 0)


def test_a_lease_ends_well_before_the_session() -> None:
    assert LEASE_S + 3 < SESSION_MS / 1000


class Group:
    """A host's client; nothing comes."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.closed = False

    def produce(self, topic: str, **told: Any) -> None:
        self.produced = (topic, told)

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        return 0

    def subscribe(self, *_: Any, **told: Any) -> None:
        self.told = told

    def assign(self, *_: Any) -> None: ...

    def close(self) -> None:
        self.closed = True


class Reader:
    """Keeps what it is told."""

    pid = 1

    def __init__(self, start: Start, _: float) -> None:
        self.spec = start.spec
        self.said: list[str] = []

    def alive(self) -> None:
        self.said.append("alive")

    def order(self, order: str) -> None:
        self.said.append(order)

    def leave(self) -> None:
        self.said.append("leave")

    def poll(self) -> Death | None:
        return None

    def end(self, timeout_s: float) -> Death:
        self.said.append("ended")
        return Death(False, None, 0)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(clients, "consumer", Group)
    monkeypatch.setattr(clients, "producer", Group)
    monkeypatch.setattr(hosts, "prepare", lambda: None)
    made = Host(Settings(), Reader, FakeClock())  # type: ignore[arg-type]
    monkeypatch.setattr(made._progress, "of", lambda *_: None)
    made._held = {2}
    made._streams[b"s"] = Stream(2, b"s", spec("live"), wanted=True)
    made._begin_waiting()
    return made


def said(host: Host) -> list[str]:
    reader: Any = host._streams[b"s"].reader
    told: list[str] = reader.said
    return told


@pytest.mark.parametrize(("event", "order"), [("on_revoke", "suspend"), ("on_lost", "leave")])
def test_readers_of_a_partition_that_is_lost_leave_and_of_one_taken_away_are_suspended(
    host: Host, monkeypatch: pytest.MonkeyPatch, event: str, order: str
) -> None:
    group: Any = host._consumer
    told = said(host)

    def step() -> None:
        group.told[event](group, [TopicPartition("streams", 2)])
        host.stop()

    monkeypatch.setattr(host, "step", step)
    host.run()
    assert [word for word in told if word != "alive"] == [order, "ended"]
    assert host._streams == {}


def test_readers_of_a_host_whose_place_was_taken_leave(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    told = said(host)

    def fenced() -> None:
        raise FatalError("this host has no place")

    monkeypatch.setattr(host, "step", fenced)
    with pytest.raises(FatalError):
        host.run()
    assert told[-2:] == ["leave", "ended"]
    assert "suspend" not in told
