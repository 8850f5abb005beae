"""`line_crossing`: an event for each crossing of a line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import analytics as declared
from core.analytics.shapes import SIDES, Point
from core.ids import TrackId
from core.messages import Box, Event
from streams_proc.analytics.analytic import Found, Need, Scene, Subject
from streams_proc.analytics.geometry import crossings, distance, ground
from streams_proc.analytics.labels import wanted_labels
from streams_proc.analytics.phases import Ledger, ended
from streams_proc.analytics.pictures import Pictures
from streams_proc.analytics.plane import Plane
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Departure, Moment, Sighting


@dataclass(frozen=True, slots=True)
class Line:
    """A line on the picture's plane.

    Attributes:
        to_right, to_left: what a crossing to the right, and to the left, of whoever goes along it is called.
        counted: the directions of which there are events.
    """

    name: str
    points: tuple[Point, ...]
    to_right: str
    to_left: str
    counted: frozenset[str]

    @classmethod
    def of(cls, line: Mapping[str, Any], plane: Plane) -> Line:
        """A line of valid parameters, its points in 0..1."""
        points = plane.all(line["points"])
        first, second = SIDES[line["sides"]]
        dx, dy = points[-1][0] - points[0][0], points[-1][1] - points[0][1]
        # whoever goes to the right has `down` on the right hand, and whoever goes down has `left` there
        first_is_right = {"up_down": dx < 0, "left_right": dy > 0, "in_out": True}[line["sides"]]
        right, left = (first, second) if first_is_right else (second, first)
        return cls(str(line["name"]), points, right, left, frozenset(line.get("count", (first, second))))

    def direction(self, net: int) -> str:
        """What a way is called that has crossed so often to the right, less to the left."""
        return self.to_right if net > 0 else self.to_left


@dataclass(slots=True)
class Pending:
    """A track is beyond a line, though not clearly yet: when it came there, and how."""

    net: int
    at: Moment
    box: Box


@dataclass(slots=True)
class Way:
    """One track's."""

    point: Point | None = None
    label: str = ""
    score: float = 0.0
    pending: dict[int, Pending] = field(default_factory=dict)


class LineCrossing:
    """Follows where things touch the ground, and says when one has gone over a line.

    A crossing is sure once the thing is clearly beyond the line, or is seen no more; it happened when
    the thing was first seen beyond. Until then the ways to and fro cancel each other.
    """

    def __init__(self, subject: Subject, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> None:
        self.need = Need(
            "object", Rules.of(parameters, score), wanted_labels(parameters), views=bool(parameters["embeddings"])
        )
        self._ledger = Ledger(subject, declared.LINE_CROSSING.id, declared.LINE_CROSSING.event_type)
        self._plane = Plane.of(subject.width, subject.height)
        self._lines = [Line.of(line, self._plane) for line in parameters["lines"]]
        self._margin = float(parameters["hysteresis"])
        self._ways: dict[TrackId, Way] = {}
        self._pictures = Pictures()
        self._counts: dict[str, dict[str, dict[str, int]]] = {line.name: {} for line in self._lines}

    def see(self, scene: Scene) -> Found:
        """Take the next frame."""
        self._pictures.take(scene.pictures)
        events: list[Event] = []
        for sighting in scene.followed.sightings:
            events += self._follow(sighting, scene.now)
        for departure in scene.followed.departures:
            events += self._leave(departure.track_id, scene.now)
        return Found(events)

    def close(self, departures: Sequence[Departure], last: Moment) -> Sequence[Event]:
        """What was beyond a line when it was last seen has crossed it."""
        return [event for departure in departures for event in self._leave(departure.track_id, last)]

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """These pictures could not be taken."""
        self._pictures.forget(media_keys)

    def _follow(self, sighting: Sighting, now: Moment) -> list[Event]:
        way = self._ways.setdefault(sighting.track_id, Way())
        way.label, way.score = sighting.label, sighting.best_score
        events: list[Event] = []
        for earlier in sighting.earlier:
            events += self._step(sighting.track_id, way, earlier.box, earlier.at, now)
        return events + self._step(sighting.track_id, way, sighting.box, now, now)

    def _step(self, track: TrackId, way: Way, box: Box, at: Moment, now: Moment) -> list[Event]:
        point = self._plane.at(ground(box))
        events: list[Event] = []
        for i, line in enumerate(self._lines):
            if way.point is not None:
                _add(way.pending, i, crossings(line.points, way.point, point), at, box)
            if i in way.pending and distance(line.points, point) >= self._margin:
                events += self._crossed(track, way, line, way.pending.pop(i), now)
        way.point = point
        return events

    def _leave(self, track: TrackId, now: Moment) -> list[Event]:
        way = self._ways.pop(track, Way())
        events = [e for i, p in sorted(way.pending.items()) for e in self._crossed(track, way, self._lines[i], p, now)]
        self._pictures.drop(track)
        return events

    def _crossed(self, track: TrackId, way: Way, line: Line, pending: Pending, now: Moment) -> list[Event]:
        """The event's begin and end, which are one moment; nothing for what is not counted."""
        direction = line.direction(pending.net)
        if direction not in line.counted or not self.need.wants(way.label):
            return []
        told = self._ledger.begin(
            now,
            pending.at,
            label=way.label,
            track_id=track,
            score=way.score,
            image=self._pictures.of(track),
            box=pending.box,
            data=self._data(line, direction, way.label),
        )
        return [told, ended(told, now, pending.at)]

    def _data(self, line: Line, direction: str, label: str) -> dict[str, Any]:
        """With one more in that direction."""
        by_label = self._counts[line.name]
        counted = by_label.setdefault(label, dict.fromkeys(sorted(line.counted), 0))
        counted[direction] += 1
        return {
            "line": line.name,
            "direction": direction,
            "label": label,
            "counts": {word: sum(each[word] for each in by_label.values()) for word in counted},
            "label_counts": dict(counted),
        }


def _add(pending: dict[int, Pending], line: int, step: int, at: Moment, box: Box) -> None:
    """A step that crossed the line so often; what has come back has not crossed."""
    if step:
        known = pending.pop(line, None)
        net = step + (known.net if known is not None else 0)
        if net:
            pending[line] = Pending(net, at, box)
