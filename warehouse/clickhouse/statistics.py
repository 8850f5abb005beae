"""Counting over time and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.ids import StreamId
from warehouse.clickhouse.questions import whole_tracks
from warehouse.clickhouse.topology import Topology
from warehouse.clickhouse.where import Where, detections, events, track_points
from warehouse.filters import Bucket, Filter, GroupBy, Metric
from warehouse.rows import StatisticsRow

BUCKET_MS: dict[Bucket, int] = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
GROUPS: dict[GroupBy, str] = {"label": "label", "stream": "stream_id", "type": "type"}
HAS_TYPE: frozenset[Metric] = frozenset({"events"})


@dataclass(frozen=True, slots=True)
class Counting:
    """A counting statement.

    Attributes:
        groups: what the columns before the value are, in order; ``bucket`` first if asked.
    """

    sql: str
    parameters: dict[str, Any]
    groups: tuple[str, ...]

    def row(self, values: Sequence[Any]) -> StatisticsRow:
        """A value out of a row of the statement."""
        found = dict(zip(self.groups, values, strict=False))
        stream = found.get("stream")
        return StatisticsRow(
            value=int(values[-1]),
            bucket_ms=found.get("bucket"),
            label=found.get("label"),
            stream_id=None if stream is None else StreamId(stream),
            type=found.get("type"),
        )


def counting(
    filter_: Filter,
    topology: Topology,
    metric: Metric,
    *,
    bucket: Bucket | None,
    group_by: Sequence[GroupBy],
    limit: int,
) -> Counting:
    """The statement for a metric, ordered by bucket and groups.

    Raises:
        InvalidInput: a group that the metric does not have, or a filter that does not apply.
    """
    groups = tuple(dict.fromkeys(group_by))
    if "type" in groups and metric not in HAS_TYPE:
        raise InvalidInput(f"{metric} have no type; only events can be grouped by it", "group_by")
    source, value, where = _SOURCES[metric](filter_, topology, groups)
    columns = [f"{_bucket(bucket)} AS bucket"] if bucket else []
    columns += [f"{GROUPS[g]} AS group_{g}" for g in groups]
    names = (("bucket",) if bucket else ()) + groups
    by = ", ".join(["bucket"] * bool(bucket) + [f"group_{g}" for g in groups])
    tail = f" GROUP BY {by} ORDER BY {by}" if by else ""
    sql = f"SELECT {', '.join([*columns, value])} FROM {source} WHERE {where.sql}{tail} LIMIT {int(limit) + 1}"  # noqa: S608
    return Counting(sql, where.parameters, names)


def _bucket(bucket: Bucket, column: str = "ts") -> str:
    width = BUCKET_MS[bucket]
    return f"intDiv(toUnixTimestamp64Milli({column}), {width}) * {width}"


def _detections(filter_: Filter, topology: Topology, groups: tuple[GroupBy, ...]) -> tuple[str, str, Where]:
    return f"{topology.table('detections')} FINAL", "count()", detections(filter_)


def _objects(filter_: Filter, topology: Topology, groups: tuple[GroupBy, ...]) -> tuple[str, str, Where]:
    """Tracks seen in each bucket; distinct, so a row that is there twice counts once."""
    return topology.table("track_points"), "uniqExact((stream_id, run, track_id))", track_points(filter_)


def _visits(filter_: Filter, topology: Topology, groups: tuple[GroupBy, ...]) -> tuple[str, str, Where]:
    inner, where = whole_tracks(filter_, topology, begun=True)
    return f"(SELECT *, min_ts AS ts, best_label AS label FROM ({inner}))", "count()", where  # noqa: S608


def _events(filter_: Filter, topology: Topology, groups: tuple[GroupBy, ...]) -> tuple[str, str, Where]:
    where = events(filter_, begun=True)
    inner = f"SELECT begin AS ts, type, label, stream_id FROM {topology.table('events')} FINAL WHERE {where.sql}"  # noqa: S608
    return f"({inner})", "count()", Where(parameters=where.parameters)


def _max_at_once(filter_: Filter, topology: Topology, groups: tuple[GroupBy, ...]) -> tuple[str, str, Where]:
    """Most distinct tracks in any one frame."""
    where = track_points(filter_)
    by = "stream_id, run, seq" + (", label" if "label" in groups else "")
    inner = (
        f"SELECT {by}, min(ts) AS frame_ts, uniqExact(track_id) AS at_once FROM {topology.table('track_points')} "  # noqa: S608
        f"WHERE {where.sql} GROUP BY {by}"
    )
    return f"(SELECT *, frame_ts AS ts FROM ({inner}))", "max(at_once)", Where(parameters=where.parameters)  # noqa: S608


_SOURCES = {
    "detections": _detections,
    "objects": _objects,
    "visits": _visits,
    "events": _events,
    "max_at_once": _max_at_once,
}
