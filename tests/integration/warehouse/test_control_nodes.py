"""Nodes, limits and configuration on SQLite and PostgreSQL, with several who ask at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from core.errors import Conflict
from core.messages import NodeStatus, Orders
from core.secrets import hash_secret
from tests.integration.warehouse.samples import spec, stream_id
from warehouse.control import ControlStore
from warehouse.control.configuration import Platform, Retention
from warehouse.control.rows import StreamFilter

AT_ONCE = 8


def host(number: int) -> NodeStatus:
    return NodeStatus(f"host-{number}", 0, 0, "10.0.0.1", "CPU", 0.0, 0.0, 0.0)


def test_hosts_that_come_at_once_get_numbers_of_their_own(open_control: Callable[[], ControlStore]) -> None:
    stores = [open_control() for _ in range(4)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        given = list(pool.map(lambda n: stores[n % 4].record_node(host(n % 6), n), range(24)))
    assert set(given) == set(range(6))
    assert {given[n] for n in range(0, 24, 6)} == {given[0]}, "a host has one number, whoever hears of it"
    assert [row.node_num for row in stores[0].nodes()] == list(range(6))


def test_no_two_pass_a_limit_side_by_side(open_control: Callable[[], ControlStore]) -> None:
    stores = [open_control() for _ in range(4)]
    stores[0].change_platform(max_streams_per_node=3)

    def create(number: int) -> bool:
        try:
            stores[number % 4].create_stream(spec(stream_id(number), task=False))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(create, range(12)))
    assert sum(made) == 3
    assert stores[0].count_streams(StreamFilter(node_num=0)) == 3


def test_changes_at_once_are_all_kept(open_control: Callable[[], ControlStore]) -> None:
    stores = [open_control() for _ in range(4)]
    stores[0].create_stream(spec(stream_id(1), task=False))

    def add(number: int) -> None:
        stores[number % 4].change_stream(stream_id(1), lambda old: (old.spec, {**old.extra, str(number): number}))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(add, range(12)))
        orders = list(pool.map(lambda n: stores[n % 4].request_restart(), range(12)))
    assert stores[0].stream(stream_id(1)).extra == {str(n): n for n in range(12)}
    assert len(set(orders)) == 12


def test_configuration_and_check_in(control: ControlStore) -> None:
    assert (control.platform(), control.orders(), control.deployment_key()) == (Platform(), Orders(), "")
    control.change_platform(event_retention_days=7, log_level="debug")
    control.change_keeping(retention_days=30)
    assert control.retention() == Retention(30, 7, 0)
    control.add_checkin_key("AKID", hash_secret("sk"))
    assert control.check_in("AKID", "other") is None
    assert control.check_in("AKID", "sk") is not None
    assert control.deployment_key()
