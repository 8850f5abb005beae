"""`people_count`: an event while the number of people is as described."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core import analytics as declared
from core.analytics.shapes import Point
from core.ids import TrackId, ViewId, media_key, view_id
from core.messages import Event
from streams_proc.analytics.analytic import Found, Need, Scene, Subject
from streams_proc.analytics.geometry import middle
from streams_proc.analytics.phases import Ledger, ended, next_phase
from streams_proc.keeping import Keeping
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Departure, Moment

PERSON = "person"
SCENE = TrackId(0)
"""In the place of a track where a picture is of the whole scene."""

MOST_ESTIMATIONS = 10_000
"""Kept of one event; a crowd that lasts for days does not fill the memory."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Which numbers of people are an event."""

    more_than: int | None
    lte: int | None
    gte: int | None

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Condition:
        """The range form where it is given, else the threshold form."""
        lte, gte = parameters.get("people_count__lte"), parameters.get("people_count__gte")
        if lte is None and gte is None:
            return cls(int(parameters.get("people_count_threshold", 0)), None, None)
        return cls(None, lte, gte)

    def holds(self, count: int) -> bool:
        """Whether `count` people are an event."""
        if self.more_than is not None:
            return count > self.more_than
        if self.lte is None or self.gte is None:
            return (self.lte is not None and count <= self.lte) or (self.gte is not None and count >= self.gte)
        if self.gte <= self.lte:
            return self.gte <= count <= self.lte
        return count <= self.lte or count >= self.gte


@dataclass(frozen=True, slots=True)
class Estimation:
    """The people of one counted frame; `points` are the middles of their boxes, 0..1."""

    at: Moment
    points: tuple[Point, ...]

    def as_data(self, width: int, height: int) -> dict[str, Any]:
        """In the words of the agent surface, points in pixels."""
        return {
            "time_offset": round(self.at.media_s, 3),
            "people_count": len(self.points),
            "people_coordinates": [[round(x * width, 1), round(y * height, 1)] for x, y in self.points],
        }


@dataclass(slots=True)
class Crowd:
    """The open event."""

    told: Event
    last: Moment
    most: Estimation
    image: str | None
    estimations: list[dict[str, Any]] = field(default_factory=list)


class PeopleCount:
    """Counts believed people and says when their number is an event.

    An event begins once the number has been as described for `probe_count` counted frames in a
    row and `event_delay` seconds, from the first of these; it ends after `probe_count` in a row
    that are not, at the last that was.
    """

    _keeping = Keeping()
    """Of a state that was kept before this could be asked for."""

    def __init__(self, subject: Subject, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> None:
        following = {**declared.OBJECT_DETECTION.defaults, **{k: v for k, v in parameters.items() if k == "min_score"}}
        self.need = Need("object", Rules.of(following, score), frozenset({PERSON}))
        self._subject = subject
        self._ledger = Ledger(subject, declared.PEOPLE_COUNT.id, declared.PEOPLE_COUNT.event_type)
        self._condition = Condition.of(parameters)
        self._probes = int(parameters["probe_count"])
        self._delay_s = float(parameters["event_delay"])
        self._period = float(parameters["rate"]["period"])
        self._by_frames = parameters["rate"]["unit"] == "frame"
        self._targets = frozenset(targets)
        self._keeping = Keeping.of(parameters.get("image_retain_policy"))
        self._counted: Moment | None = None
        self._rising: list[Moment] = []
        self._falling = 0
        self._crowd: Crowd | None = None

    def see(self, scene: Scene) -> Found:
        """Take the next frame; count it when its turn has come."""
        if not self._due(scene.now):
            return Found()
        self._counted = scene.now
        estimation = Estimation(scene.now, self._points(scene))
        holds = self._condition.holds(len(estimation.points))
        if self._crowd is None:
            return self._wait(estimation, scene) if holds else self._reset()
        self._falling = 0 if holds else self._falling + 1
        if holds:
            return self._go_on(self._crowd, estimation, scene)
        return self._finish(self._crowd, scene.now) if self._falling >= self._probes else Found()

    def close(self, departures: Sequence[Departure], last: Moment) -> Sequence[Event]:
        """End the open event at the last frame in which the number was as described."""
        self._counted = None
        self._rising.clear()
        return self._finish(self._crowd, last).events if self._crowd is not None else ()

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """The event's overview has no picture until there is another."""
        if self._crowd is not None and self._crowd.image in media_keys:
            self._crowd.image = None
            self._crowd.told = msgspec.structs.replace(self._crowd.told, image=None)

    def _due(self, now: Moment) -> bool:
        if self._counted is None:
            return True
        if self._by_frames:
            return now.seq - self._counted.seq >= self._period
        return now.clock_s - self._counted.clock_s >= self._period - 1e-6

    def _points(self, scene: Scene) -> tuple[Point, ...]:
        return tuple(middle(s.box) for s in scene.followed.sightings if self.need.wants(s.label))

    def _reset(self) -> Found:
        self._rising.clear()
        return Found()

    def _wait(self, estimation: Estimation, scene: Scene) -> Found:
        if len(self._rising) < self._probes:
            self._rising.append(scene.now)
        held_s = scene.now.clock_s - self._rising[0].clock_s
        if len(self._rising) < self._probes or held_s < self._delay_s - 1e-6:
            return Found()
        begin = self._rising[0]
        self._rising.clear()
        self._falling = 0
        view, image = self._overview(scene.now)
        event = self._ledger.begin(scene.now, begin, label=PERSON, image=image)
        self._crowd = Crowd(event, scene.now, estimation, image)
        self._remember(self._crowd, estimation, scene)
        return Found([self._told(self._crowd, event, estimation, scene)], view, self._keeping)

    def _go_on(self, crowd: Crowd, estimation: Estimation, scene: Scene) -> Found:
        crowd.last = scene.now
        self._remember(crowd, estimation, scene)
        if len(estimation.points) <= len(crowd.most.points):
            return Found()
        crowd.most = estimation
        view, image = self._overview(scene.now)
        crowd.image = image or crowd.image
        event = next_phase(crowd.told, "update", scene.now, image=crowd.image)
        return Found([self._told(crowd, event, estimation, scene)], view, self._keeping)

    def _finish(self, crowd: Crowd, now: Moment) -> Found:
        self._crowd = None
        self._falling = 0
        data = dict(crowd.told.data)
        if "coordinates" in self._targets:
            data["frames_estimations"] = crowd.estimations
        return Found([ended(crowd.told, now, crowd.last, image=crowd.image, data=data)])

    def _overview(self, now: Moment) -> tuple[ViewId | None, str | None]:
        """View and media key of the whole picture, where the target asks for one."""
        if "overview" not in self._targets:
            return None, None
        who = self._subject
        view = view_id(who.stream_id, who.run, SCENE, now.seq, f"overview/{who.analytic_index}")
        return view, media_key(who.stream_id, who.run, view, self._keeping.suffix)

    def _told(self, crowd: Crowd, event: Event, estimation: Estimation, scene: Scene) -> Event:
        data: dict[str, Any] = {"people_count": len(estimation.points)}
        if "overview" in self._targets:
            overview = estimation.as_data(scene.width, scene.height)
            data["overview"] = {k: overview[k] for k in ("people_coordinates", "time_offset")}
        crowd.told = msgspec.structs.replace(event, data=data)
        return crowd.told

    def _remember(self, crowd: Crowd, estimation: Estimation, scene: Scene) -> None:
        if "coordinates" in self._targets and len(crowd.estimations) < MOST_ESTIMATIONS:
            crowd.estimations.append(estimation.as_data(scene.width, scene.height))
