"""Deleting what is old, or too much; how much room there is.

Rows of `frames` are no findings: the ledger is made of them, and they stay as long as their stream.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from core.ids import StreamId
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.topology import Topology
from warehouse.clickhouse.where import moment
from warehouse.rows import StoreUsage

FINDINGS = {"detections": "ts", "track_points": "ts", "tracks": "last_ts", "views": "ts"}
"""Which time says how old a row is."""

EVENTS = {"events": "ts"}
"""An event is as old as the newest phase of it."""


def delete_before(
    client: Client, topology: Topology, times: dict[str, str], streams: Sequence[StreamId], before_ms: int
) -> bool:
    """Rows of these tables of before then; whether there were any.

    Args:
        times: the column with a row's time, by table.
    """
    if not streams:
        return False
    erased = False
    for table, time in times.items():
        where = f"{_among(streams)} AND {time} < {moment('before')}"
        parameters = {"before": before_ms}
        asked = f"SELECT 1 FROM {topology.table(table)} WHERE {where} LIMIT 1"  # noqa: S608  # our own text
        if client.columns(asked, parameters):
            _delete(client, topology, table, where, parameters)
            erased = True
    return erased


def delete_events_beyond(client: Client, topology: Topology, streams: Collection[StreamId], most: int) -> bool:
    """Of each stream all events but those that began last; whether there were any."""
    events = topology.table("events")
    columns = client.columns(
        f"SELECT stream_id FROM {events} GROUP BY stream_id HAVING uniqExact(event_id) > {int(most)}"  # noqa: S608  # our own text
    )
    over = [StreamId(stream) for column in columns for stream in column if StreamId(stream) in streams]
    for stream in over:
        edge = client.columns(
            f"SELECT toUnixTimestamp64Milli(begin), toString(event_id) FROM {events} FINAL "  # noqa: S608  # our own text
            f"WHERE stream_id = {{stream:UUID}} ORDER BY begin DESC, event_id DESC LIMIT 1 OFFSET {int(most)}",
            {"stream": str(stream)},
        )
        for begin_ms, event in zip(*edge, strict=True):
            _delete(
                client,
                topology,
                "events",
                f"stream_id = {{stream:UUID}} AND (begin < {moment('begin')} "
                f"OR (begin = {moment('begin')} AND event_id <= {{event:UUID}}))",
                {"stream": str(stream), "begin": begin_ms, "event": event},
            )
    return bool(over)


def old_pictures(
    client: Client, topology: Topology, streams: Sequence[StreamId], before_ms: int, *, after: str, limit: int
) -> list[str]:
    """Media keys of views taken before then, in their order, those after `after`."""
    if not streams:
        return []
    columns = client.columns(
        f"SELECT DISTINCT media_key FROM {topology.table('views')} WHERE {_among(streams)} "  # noqa: S608  # our own text
        f"AND ts < {moment('before')} AND media_key > {{after:String}} ORDER BY media_key LIMIT {int(limit)}",
        {"before": before_ms, "after": after},
    )
    return [str(key) for column in columns for key in column]


def usage(client: Client, topology: Topology) -> StoreUsage:
    """Of the disks on which the asked server keeps its tables."""
    disks = client.columns("SELECT sum(total_space), sum(free_space) FROM system.disks")
    events = client.columns(f"SELECT uniqExact(event_id) FROM {topology.table('events')}")  # noqa: S608  # our own text
    total, free = (int(column[0]) for column in disks)
    return StoreUsage(total, free, int(events[0][0]))


def _delete(client: Client, topology: Topology, table: str, where: str, parameters: dict[str, Any]) -> None:
    client.command(f"DELETE FROM {topology.local(table)}{topology.on_cluster} WHERE {where}", parameters)  # noqa: S608  # our own text


def _among(streams: Sequence[StreamId]) -> str:
    """A UUID prints nothing that could end its quotes."""
    return f"stream_id IN ({', '.join(repr(str(stream)) for stream in streams)})"
