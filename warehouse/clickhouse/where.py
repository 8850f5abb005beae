"""Filters as conditions of SQL. Every value is a parameter that the server binds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse.filters import Filter

MOMENT = "fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"
BOX = ("x_min", "y_min", "x_max", "y_max")


def moment(name: str) -> str:
    """A parameter in milliseconds as a DateTime64."""
    return MOMENT.format(name=name)


@dataclass(slots=True)
class Where:
    """Conditions that must all hold, and their parameters."""

    conditions: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    def add(self, condition: str, **parameters: Any) -> None:
        """One more condition; parameters' names are those in its ``{name:Type}``."""
        self.conditions.append(condition)
        self.parameters.update(parameters)

    @property
    def sql(self) -> str:
        """Without the word WHERE; true when nothing was asked."""
        return " AND ".join(f"({c})" for c in self.conditions) or "1"


def streams_and_run(filter_: Filter, where: Where) -> None:
    """What every table has in its key."""
    ids = filter_.stream_ids
    if ids is not None and len(ids) == 1:
        where.add("stream_id = {stream_id:UUID}", stream_id=str(ids[0]))
    elif ids is not None:
        where.add("stream_id IN {stream_ids:Array(UUID)}", stream_ids=[str(i) for i in ids])
    if filter_.run is not None:
        where.add("run = {run:Int64}", run=filter_.run)


def time_range(filter_: Filter, where: Where, begin: str, end: str = "") -> None:
    """Rows from `begin` to `end` that touch the range; a row of one moment has no `end`."""
    if filter_.from_ms is not None:
        where.add(f"{end or begin} >= {moment('from_ms')}", from_ms=filter_.from_ms)
    if filter_.to_ms is not None:
        where.add(f"{begin} < {moment('to_ms')}", to_ms=filter_.to_ms)


def label_and_score(filter_: Filter, where: Where, label: str = "label", score: str = "score") -> None:
    """Any of the labels, at least the score."""
    if filter_.labels:
        where.add(f"{label} IN {{labels:Array(String)}}", labels=list(filter_.labels))
    if filter_.min_score is not None:
        where.add(f"{score} >= {{min_score:Float64}}", min_score=filter_.min_score)


def area(filter_: Filter, where: Where, box: Sequence[str] = BOX) -> None:
    """Boxes that overlap the area; `box` are the columns of its four sides."""
    if filter_.area is not None:
        x_min, y_min, x_max, y_max = box
        where.add(
            f"{x_min} < {{area_x_max:Float64}} AND {x_max} > {{area_x_min:Float64}} "
            f"AND {y_min} < {{area_y_max:Float64}} AND {y_max} > {{area_y_min:Float64}}",
            **{f"area_{side}": value for side, value in zip(BOX, filter_.area, strict=True)},
        )


def kind(filter_: Filter, where: Where, column: str = "kind") -> None:
    """Objects or faces."""
    if filter_.kind is not None:
        where.add(f"{column} = {{kind:String}}", kind=filter_.kind)


def detections(filter_: Filter) -> Where:
    """Of table `detections`. Raises InvalidInput for a field it does not have."""
    filter_.check_applies("detections")
    where = Where()
    streams_and_run(filter_, where)
    time_range(filter_, where, "ts")
    label_and_score(filter_, where)
    kind(filter_, where)
    area(filter_, where)
    return where


def track_points(filter_: Filter) -> Where:
    """Of table `track_points`: places, not whole tracks. Raises InvalidInput for a field it does not have."""
    filter_.check_applies("tracks")
    where = Where()
    streams_and_run(filter_, where)
    time_range(filter_, where, "ts")
    label_and_score(filter_, where)
    kind(filter_, where)
    area(filter_, where)
    _track(filter_, where, "track_id")
    return where


def events(filter_: Filter, *, begun: bool = False) -> Where:
    """Of table `events`.

    Args:
        begun: the range is of the events' begin; else any moment of theirs.

    Raises:
        InvalidInput: a field that events do not have.
    """
    filter_.check_applies("events")
    where = Where()
    streams_and_run(filter_, where)
    time_range(filter_, where, "begin", "" if begun else "ifNull(fromUnixTimestamp64Milli(end_ms, 'UTC'), ts)")
    label_and_score(filter_, where)
    _track(filter_, where, "about_track")
    if filter_.event_ids:
        where.add("event_id IN {event_ids:Array(UUID)}", event_ids=[str(i) for i in filter_.event_ids])
    if filter_.types:
        where.add("type IN {types:Array(String)}", types=list(filter_.types))
    if filter_.event_types:
        where.add("event_type IN {event_types:Array(String)}", event_types=list(filter_.event_types))
    if filter_.phases:
        where.add("toString(phase) IN {phases:Array(String)}", phases=list(filter_.phases))
    if filter_.area is not None:
        where.add("notEmpty(box)")
        area(filter_, where, ("box[1]", "box[2]", "box[3]", "box[4]"))
    return where


def _track(filter_: Filter, where: Where, column: str) -> None:
    if filter_.track_id is not None:
        where.add(f"{column} = {{track_id:Int64}}", track_id=filter_.track_id)


@dataclass(frozen=True, slots=True)
class TrackWhere:
    """Conditions on a track's rows, and on what they give together."""

    rows: Where
    whole: Where


def tracks(filter_: Filter, points: str, *, begun: bool = False) -> TrackWhere:
    """Of table `tracks`, whose rows are parts of tracks until they are put together.

    Args:
        points: name of the table `track_points`, asked when an area is given.
        begun: the range is of the tracks' begin; else any moment of theirs.

    Raises:
        InvalidInput: a field that tracks do not have.
    """
    filter_.check_applies("tracks")
    rows, whole = Where(), Where()
    streams_and_run(filter_, rows)
    kind(filter_, rows)
    _track(filter_, rows, "track_id")
    time_range(filter_, whole, "min_ts", "" if begun else "max_ts")
    label_and_score(filter_, whole, "best_label", "best_score")
    if filter_.area is not None:
        inside = Where()
        streams_and_run(filter_, inside)
        area(filter_, inside)
        rows.add(
            f"(stream_id, run, track_id) IN (SELECT stream_id, run, track_id FROM {points} WHERE {inside.sql})",  # noqa: S608  # our own text
            **inside.parameters,
        )
    return TrackWhere(rows, whole)
