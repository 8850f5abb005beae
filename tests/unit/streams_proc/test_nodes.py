"""Hosts into the control database, orders out of it, and what is kept no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from core.errors import StoreUnavailable
from core.ids import StreamId
from core.messages import NodeStatus, Orders, decode_node, encode_json
from core.orders import KEY
from streams_proc.nodes import Heard, Nodes
from streams_proc.orders import OrderRelay
from streams_proc.retain import DAY_MS, HOUR_MS, Retain
from tests.unit.streams_proc.stage_fakes import FakePublisher
from tests.unit.streams_proc.test_control import Enough, turns
from warehouse.control.configuration import Retention

A, B = StreamId(UUID(int=1)), StreamId(UUID(int=2))


def status(host: str, ts_ms: int = 0, started_ms: int = 0) -> NodeStatus:
    return NodeStatus(host, ts_ms, started_ms, "10.0.0.1", "CPU", 1.0, 2.0, 0.0)


def heard(host: str, at_ms: int, started_ms: int = 0, key: bytes | None = None) -> Heard:
    return Heard(key or host.encode(), encode_json(status(host, at_ms, started_ms)), at_ms)


# nodes


class FakeLog:
    def __init__(self, *batches: list[Heard]) -> None:
        self.batches = list(batches)

    def read(self) -> Sequence[Heard]:
        return self.batches.pop(0) if self.batches else []


class FakeRegister:
    def __init__(self) -> None:
        self.failures = 0
        self.taken: list[tuple[str, int, int]] = []

    def record_node(self, status: NodeStatus, heard_ms: int) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("locked")
        self.taken.append((status.host, status.ts_ms, heard_ms))
        return 0


def test_the_newest_state_of_each_host_is_recorded_the_first_host_first() -> None:
    register = FakeRegister()
    log = FakeLog([heard("b", 1, 20), heard("a", 2, 10), heard("b", 3, 20)], [], [heard("a", 4, 10)])
    with pytest.raises(Enough):
        asyncio.run(Nodes(log, register).run(turns(3)))
    assert register.taken == [("a", 2, 2), ("b", 3, 3), ("a", 4, 4)]


def test_what_could_not_be_recorded_is_recorded_later() -> None:
    register = FakeRegister()
    register.failures = 1
    log = FakeLog([heard("a", 1, 1), heard("b", 2, 2)], [heard("b", 3, 2)])
    with pytest.raises(Enough):
        asyncio.run(Nodes(log, register).run(turns(3)))
    assert register.taken == [("a", 1, 1), ("b", 3, 3)]


@pytest.mark.parametrize(
    "record",
    [
        Heard(b"a", None, 1),
        Heard(b"a", b"{", 1),
        Heard(b"a", b'{"message":"node_status"}', 1),
        Heard(KEY, encode_json(Orders(1)), 1),
        heard("a", 1, key=b"b"),
        Heard(None, encode_json(status("a")), 1),
        heard("x" * 1000, 1),
    ],
)
def test_what_says_nothing_of_a_host_is_passed_over(record: Heard) -> None:
    register = FakeRegister()
    asyncio.run(Nodes(FakeLog([record, heard("c", 2)]), register).once())
    assert register.taken == [("c", 2, 2)]


# orders


class FakeDesk:
    def __init__(self, *orders: Orders) -> None:
        self.given = list(orders)

    def orders(self) -> Orders:
        return self.given.pop(0) if len(self.given) > 1 else self.given[0]


def test_orders_are_told_at_the_begin_and_when_they_change() -> None:
    first, second = Orders(), Orders(7, "debug")
    publisher = FakePublisher()
    relay = OrderRelay(FakeDesk(first, first, second, second, first), publisher, "nodes")
    with pytest.raises(Enough):
        asyncio.run(relay.run(turns(5)))
    assert [decode_node(value) for value in publisher.values("nodes")] == [first, second, first]
    assert {output.key for output in publisher.sent} == {KEY}


# retention


class FakeRules:
    def __init__(self, *, days: int = 0, event_days: int = 0, most_events: int = 0) -> None:
        self.rules = Retention(days, event_days, most_events)
        self.streams = [A, B]

    def retention(self) -> Retention:
        return self.rules

    def retained_streams(self) -> list[StreamId]:
        return self.streams


class FakeStores:
    """Analytics, vectors and pictures in one; remembers in which order it was told what."""

    def __init__(self, *pictures: str) -> None:
        self.pictures = sorted(pictures)
        self.told: list[tuple[Any, ...]] = []
        self.erased = True
        self.down = False

    def delete_before(self, streams: Sequence[StreamId], before_ms: int) -> bool:
        if self.down:
            raise StoreUnavailable("away")
        self.told.append(("before", tuple(streams), before_ms))
        return self.erased

    def delete_events_before(self, streams: Sequence[StreamId], before_ms: int) -> bool:
        self.told.append(("events", tuple(streams), before_ms))
        return self.erased

    def delete_events_beyond(self, streams: Sequence[StreamId], most: int) -> bool:
        self.told.append(("most", tuple(streams), most))
        return self.erased

    def old_pictures(self, streams: Sequence[StreamId], before_ms: int, *, after: str, limit: int) -> list[str]:
        return [key for key in self.pictures if key > after][:limit]

    def purge_deleted(self) -> None:
        self.told.append(("purge",))

    def delete(self, key: str) -> None:
        self.told.append(("picture", key))


def retain(rules: FakeRules, stores: FakeStores, clock: Any) -> Retain:
    return Retain(rules, lambda: stores, stores, stores, clock)  # type: ignore[arg-type]


def test_without_rules_nothing_is_even_connected() -> None:
    def connected() -> Any:
        pytest.fail("nothing is to be deleted")

    Retain(FakeRules(), connected, FakeStores(), FakeStores(), lambda: 1e9).retain()  # type: ignore[arg-type]


def test_pictures_and_vectors_go_before_the_rows_that_name_them() -> None:
    stores = FakeStores("a", "b", "c")
    now = 100 * DAY_MS
    retain(FakeRules(days=30), stores, lambda: now / 1000).retain()
    before = now - 30 * DAY_MS
    both = (A, B)
    assert stores.told == [
        ("picture", "a"),
        ("picture", "b"),
        ("picture", "c"),
        ("before", both, before),
        ("before", both, before),
        ("events", both, before),
        ("purge",),
    ]


def test_every_picture_goes_however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams_proc.retain.PICTURES_AT_ONCE", 2)
    stores = FakeStores(*"abcde")
    retain(FakeRules(days=1), stores, lambda: 1e9).retain()
    assert [told[1] for told in stores.told if told[0] == "picture"] == list("abcde")


@pytest.mark.parametrize(("days", "event_days", "kept"), [(0, 7, 7), (30, 7, 7), (3, 7, 3), (3, 0, 3)])
def test_events_are_kept_for_the_shorter_of_two_times(days: int, event_days: int, kept: int) -> None:
    stores = FakeStores()
    retain(FakeRules(days=days, event_days=event_days), stores, lambda: 1e9).retain()
    assert ("events", (A, B), 1_000_000_000_000 - kept * DAY_MS) in stores.told


def test_a_number_of_events_alone() -> None:
    stores = FakeStores("a")
    retain(FakeRules(most_events=100), stores, lambda: 1e9).retain()
    assert stores.told == [("most", (A, B), 100), ("purge",)]


def test_it_is_done_each_hour_and_as_soon_as_the_rules_change() -> None:
    now = [1e9]
    rules, stores = FakeRules(most_events=100), FakeStores()
    keeping = retain(rules, stores, lambda: now[0])
    keeping.retain()
    keeping.retain()
    assert len(stores.told) == 2
    rules.rules = Retention(0, 0, 50)
    keeping.retain()
    assert stores.told[2:] == [("most", (A, B), 50)], "disks are purged once a day"
    now[0] += HOUR_MS / 1000
    keeping.retain()
    assert len(stores.told) == 4
    now[0] += DAY_MS / 1000
    keeping.retain()
    assert stores.told[-1] == ("purge",)


def test_disks_are_left_alone_when_nothing_was_deleted() -> None:
    stores = FakeStores()
    stores.erased = False
    retain(FakeRules(most_events=100), stores, lambda: 1e9).retain()
    assert ("purge",) not in stores.told


def test_a_store_that_is_away_is_asked_again() -> None:
    stores = FakeStores("a")
    stores.down = True
    keeping = retain(FakeRules(days=1), stores, lambda: 1e9)
    with pytest.raises(StoreUnavailable):
        keeping.retain()
    stores.down = False
    with pytest.raises(Enough):
        asyncio.run(keeping.run(turns(1)))
    assert ("purge",) in stores.told


def test_many_streams_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams_proc.retain.STREAMS_AT_ONCE", 1)
    stores = FakeStores()
    retain(FakeRules(most_events=9), stores, lambda: 1e9).retain()
    assert stores.told == [("most", (A,), 9), ("most", (B,), 9), ("purge",)]
