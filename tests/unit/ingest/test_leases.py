"""Readers run while their host is a member of its group, and end before another host may begin."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from ingest_fakes import STREAM, FakeClock, spec

from core import kafka as clients
from core.errors import FatalError
from core.settings import Settings
from ingest import host as hosts
from ingest import lapse
from ingest.control import LEASE_S, Control
from ingest.host import HEARTBEAT_MS, SESSION_MS, Host, Stream
from ingest.membership import ASK_S, FRESH_S, Membership
from ingest.protocol import EXIT_LAPSED, Start
from ingest.reader_process import Death


def test_a_lease_lasts_from_the_hosts_membership_however_late_it_is_heard_of() -> None:
    clock = FakeClock()
    control = Control(clock, member_at=clock.now - 1)
    stale = [f"alive {clock.now + second}\n" for second in range(4)]

    def woken_late() -> Iterator[str]:
        clock.now += 3 + LEASE_S + 1
        yield from stale
        assert control.lapsed, "words that lay in the pipe renew nothing"
        yield f"alive {clock.now + 100}\n"
        assert not control.lapsed
        clock.now += LEASE_S + 1
        assert control.lapsed, "nobody is a member in the future"

    control.hear(woken_late())
    assert control.order == "suspend"


def test_an_order_to_stop_or_suspend_does_not_outlive_the_lease() -> None:
    clock = FakeClock()
    control = Control(clock)
    control.tell("stop")
    assert not control.lapsed
    clock.now += LEASE_S + 1
    assert (control.order, control.lapsed) == ("stop", True)


def test_a_host_that_lost_its_place_ends_the_lease() -> None:
    control = Control(FakeClock())
    control.hear(["lost\n", "alive 1000\n"])
    assert control.lapsed


def test_a_lease_ends_well_before_the_session() -> None:
    assert LEASE_S + HEARTBEAT_MS / 1000 + lapse.TICK_S + 2 < SESSION_MS / 1000
    assert ASK_S < FRESH_S < LEASE_S / 2


class Purged:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def purge(self, **how: bool) -> None:
        self.calls.append(how)

    def end(self, code: int) -> None:
        self.calls.append(code)


def test_a_reader_whose_lease_lapses_forgets_its_queue_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, producer = FakeClock(), Purged()
    monkeypatch.setattr(lapse, "open_descriptors", lambda: [])
    control = Control(clock)
    control.tell("suspend")

    def sleep(seconds: float) -> None:
        assert producer.calls == []
        clock.now += seconds

    lapse.watch(control, lambda: lapse.leave(producer, producer.end), sleep)
    assert clock.now - 1000 == pytest.approx(LEASE_S, abs=2 * lapse.TICK_S)
    assert producer.calls == [{"in_queue": True, "in_flight": True, "blocking": False}, EXIT_LAPSED]


def test_connections_send_nothing_after_the_end() -> None:
    with socket.socket() as connection, open("/dev/null") as other:  # noqa: PTH123 - a descriptor that is no socket
        assert connection.fileno() in lapse.open_descriptors()
        lapse.abort_connections([other.fileno(), connection.fileno(), 10**6])
        linger = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        assert struct.unpack("ii", linger) == (1, 0)


def refused(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


def test_membership_holds_from_when_it_was_asked_for() -> None:
    clock = FakeClock()
    answers: list[KafkaException | bool] = []

    def ask() -> bool:
        clock.now += 1  # the answer takes its time
        answer = answers.pop(0)
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    membership = Membership(ask, clock)
    assert not membership.fresh
    answers[:] = [
        True,
        refused(KafkaError._TRANSPORT),
        refused(KafkaError.UNKNOWN_MEMBER_ID),
        False,
        refused(KafkaError.REBALANCE_IN_PROGRESS),
    ]
    membership.ask()
    assert (membership.known_at, membership.fresh) == (1000.0, True)
    for _ in range(3):
        membership.ask()
        assert membership.known_at == 1000.0
    assert not membership.fresh
    membership.ask()
    assert membership.known_at == 1004.0, "only members are told of a rebalance"
    membership.lost()
    assert not membership.fresh


def test_membership_is_asked_for_until_it_is_stopped() -> None:
    membership = Membership(lambda: True, FakeClock())
    assert membership.stop(), "never begun"
    membership = Membership(lambda: True, FakeClock())
    membership.start()
    membership.ask_now()
    assert membership.stop()


class Group:
    """A host's client: commits are taken while it is a member."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.member = True
        self.closed = False

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> list[TopicPartition]:
        assert not asynchronous
        if not self.member:
            raise refused(KafkaError._TRANSPORT)
        return offsets

    def subscribe(self, *_: Any, **__: Any) -> None:
        """Nothing comes."""

    def assign(self, *_: Any) -> None:
        """Nothing is read."""

    def close(self) -> None:
        self.closed = True


class Reader:
    """Does what it is told, and keeps it."""

    pid = 1

    def __init__(self, start: Start, _: float) -> None:
        self.spec = start.spec
        self.start = start
        self.said: list[Any] = []
        self.waits = 0

    def alive(self, member_at: float) -> None:
        self.said.append(member_at)

    def order(self, order: str) -> None:
        self.said.append(order)

    def lost(self) -> None:
        self.said.append("lost")

    def poll(self) -> Death | None:
        return None

    def ends_within(self, _: float) -> bool:
        self.waits += 1
        return self.waits > 3

    def end(self, _: float) -> Death:
        return Death(False, None, 0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> Host:
    monkeypatch.setattr(clients, "consumer", Group)
    monkeypatch.setattr(clients, "producer", Group)
    monkeypatch.setattr(hosts, "prepare", lambda: None)
    made = Host(Settings(), Reader, clock)  # type: ignore[arg-type]
    monkeypatch.setattr(made._progress, "of", lambda *_: None)
    made._held = {2}
    made._streams[b"s"] = Stream(2, b"s", spec(), wanted=True)
    return made


def reader_of(host: Host) -> Any:
    return host._streams[b"s"].reader


def test_leases_are_renewed_from_the_last_proof_of_membership_only(host: Host, clock: FakeClock) -> None:
    group: Any = host._consumer
    host._begin_waiting()
    assert reader_of(host) is None, "nothing begins before the group has said that this host belongs to it"
    host._membership.ask()
    host._begin_waiting()
    assert reader_of(host).start.member_at == 1000.0
    group.member = False
    for _ in range(8):
        clock.now += 1
        host._membership.ask()
        host._look_after_readers()
    assert set(reader_of(host).said) == {1000.0}, "a host whose loop runs without the broker renews nothing"
    group.member = True
    host._membership.ask()
    clock.now += 1
    host._look_after_readers()
    assert reader_of(host).said[-1] == 1008.0


def test_an_orderly_suspension_keeps_the_lease_while_the_reader_drains(host: Host, clock: FakeClock) -> None:
    host._membership.ask()
    host._begin_waiting()
    reader = reader_of(host)
    clock.now += 1
    host._revoked(host._consumer, [TopicPartition("streams", 2)])
    assert reader.said[-2:] == ["suspend", 1000.0]
    assert host._streams == {}


def test_readers_of_a_place_that_is_lost_do_not_drain(host: Host) -> None:
    host._membership.ask()
    host._begin_waiting()
    reader = reader_of(host)
    host._lost(host._consumer, [TopicPartition("streams", 2)])
    assert "suspend" not in reader.said
    assert reader.said[-1] == "lost"
    assert not host._membership.fresh
    assert host._streams == {}


def test_a_host_whose_place_is_taken_ends_its_readers_so(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host._membership.ask()
    host._begin_waiting()
    reader = reader_of(host)

    def fenced() -> None:
        raise FatalError("this host has no place")

    monkeypatch.setattr(host, "step", fenced)
    with pytest.raises(FatalError):
        host.run()
    assert "suspend" not in reader.said
    assert reader.said[-1] == "lost"


def test_a_reader_that_ended_with_its_lease_begins_again_without_waiting(host: Host, clock: FakeClock) -> None:
    host._membership.ask()
    host._begin_waiting()
    stream = host._streams[b"s"]
    host._after(stream, reader_of(host), Death(False, None, 7, lapsed=True))
    assert (stream.retries, stream.not_before) == (0, 0.0)
    assert stream.reader is None
    assert str(STREAM) == str(stream.spec and stream.spec.stream_id)
    assert b"s" in host._dirty
