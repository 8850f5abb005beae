"""Limits that hold for all streams together, looked at within the transaction that might go beyond them.

Whoever looks holds a lock until it has ended, so no two pass side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, func, select

from core.errors import Conflict
from core.messages import Analytic
from warehouse.control.codec import STREAMS
from warehouse.control.configuration import Platform, read

STREAMS_ONLY = (STREAMS.c.task.is_(False), STREAMS.c.ephemeral.is_(False))


class _Named(msgspec.Struct):
    name: str


class _Spec(msgspec.Struct):
    """Of a definition, what takes seats."""

    analytics: tuple[_Named, ...] = ()


_specs = msgspec.json.Decoder(_Spec)


def refuse_full(connection: Connection, node_num: int) -> None:
    """That a node may have one more stream. Raises Conflict."""
    most = read(connection, "platform", Platform, lock=True).max_streams_per_node
    if not most:
        return
    counted = select(func.count()).select_from(STREAMS).where(STREAMS.c.node_num == node_num, *STREAMS_ONLY)
    if connection.execute(counted).scalar_one() >= most:
        raise Conflict(f"node {node_num} has {most} streams, which are the most (max_streams_per_node)")


def refuse_unseated(
    connection: Connection, seats: Mapping[str, int], analytics: Sequence[Analytic], before: Sequence[Analytic] = ()
) -> None:
    """That there are seats for a stream's analytics.

    Args:
        seats: the most by analytic; one that is not named has as many as are wanted.
        before: those that the stream has already.

    Raises:
        Conflict: all are taken.
    """
    wanted = _limited(analytics, seats) - _limited(before, seats)
    if not wanted:
        return
    read(connection, "platform", Platform, lock=True)
    taken = _limited(_all_analytics(connection), seats)
    for name, number in wanted.items():
        if taken[name] + number > seats[name]:
            raise Conflict(f"{taken[name]} of {seats[name]} seats of {name} are taken, and {number} more are needed")


def _limited(analytics: Iterable[Analytic | _Named], seats: Mapping[str, int]) -> Counter[str]:
    return Counter(analytic.name for analytic in analytics if analytic.name in seats)


def _all_analytics(connection: Connection) -> Iterable[_Named]:
    for row in connection.execute(select(STREAMS.c.spec).where(*STREAMS_ONLY)):
        yield from _specs.decode(row.spec).analytics
