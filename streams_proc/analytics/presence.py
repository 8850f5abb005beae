"""An event for each stay of a thing in a zone; `zone_dwell` and `intrusion` are both this."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from core import analytics as declared
from core.analytics.shapes import Point
from core.ids import TrackId
from core.messages import Box, Event
from streams_proc.analytics.analytic import Found, Need, Scene, Subject
from streams_proc.analytics.geometry import ground, holds, to_border
from streams_proc.analytics.labels import wanted_labels
from streams_proc.analytics.phases import Ledger, ended, next_phase
from streams_proc.analytics.pictures import Pictures
from streams_proc.analytics.plane import Plane
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Departure, Moment, Sighting


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon on the picture's plane."""

    name: str
    corners: tuple[Point, ...]


@dataclass(slots=True)
class Stay:
    """A track in a zone.

    Attributes:
        last: the last frame it was inside.
        told: its event, once it has lasted.
    """

    entered: Moment
    last: Moment
    box: Box
    label: str = ""
    score: float = 0.0
    told: Event | None = None

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return self.last.clock_s - self.entered.clock_s


class Presence:
    """Watches where things touch the ground.

    A thing is inside from the first frame in which it is in the zone or on its border, till it is
    clearly outside or seen no more.

    Args:
        least_s: seconds a stay must last before it is told.
        lasted: under which name events give the seconds that a stay has lasted.
    """

    def __init__(
        self,
        subject: Subject,
        parameters: Mapping[str, Any],
        score: float,
        *,
        declaration: declared.Declaration,
        least_s: float,
        lasted: str,
    ) -> None:
        self.need = Need(
            "object", Rules.of(parameters, score), wanted_labels(parameters), views=bool(parameters["embeddings"])
        )
        self._ledger = Ledger(subject, declaration.id, declaration.event_type)
        self._plane = Plane.of(subject.width, subject.height)
        self._zones = [Zone(str(zone["name"]), self._plane.all(zone["points"])) for zone in parameters["zones"]]
        self._margin = float(parameters["hysteresis"])
        self._least_s = least_s
        self._lasted = lasted
        self._stays: dict[TrackId, dict[int, Stay]] = {}
        self._pictures = Pictures()

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
        """Every stay ends where it was last seen."""
        return [event for departure in departures for event in self._leave(departure.track_id, last)]

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """An event whose picture could not be taken has none until there is another."""
        self._pictures.forget(media_keys)
        for stays in self._stays.values():
            for stay in stays.values():
                if stay.told is not None and stay.told.image in media_keys:
                    stay.told = msgspec.structs.replace(stay.told, image=None)

    def _follow(self, sighting: Sighting, now: Moment) -> list[Event]:
        stays = self._stays.setdefault(sighting.track_id, {})
        events: list[Event] = []
        for earlier in sighting.earlier:
            events += self._step(sighting, stays, earlier.box, earlier.at, now)
        events += self._step(sighting, stays, sighting.box, now, now)
        for zone, stay in sorted(stays.items()):
            events += self._tell(sighting, zone, stay, now)
        return events

    def _step(self, sighting: Sighting, stays: dict[int, Stay], box: Box, at: Moment, now: Moment) -> list[Event]:
        point = self._plane.at(ground(box))
        events: list[Event] = []
        for i, zone in enumerate(self._zones):
            stay = stays.get(i)
            inside = holds(zone.corners, point)
            if stay is None:
                if inside:
                    stays[i] = Stay(at, at, box, sighting.label, sighting.best_score)
            elif inside or to_border(zone.corners, point) < self._margin:
                stay.last = at
            else:
                events += self._end(sighting.track_id, i, stays.pop(i), now)
        return events

    def _tell(self, sighting: Sighting, zone: int, stay: Stay, now: Moment) -> list[Event]:
        """The stay's begin, once it has lasted; another label, once it has one."""
        stay.score = sighting.best_score
        stay.label = sighting.label
        if stay.told is None:
            return self._begin(sighting.track_id, zone, stay, now)
        if stay.told.label == stay.label:
            return []
        stay.told = next_phase(stay.told, "update", now, label=stay.label, score=stay.score)
        return [stay.told]

    def _begin(self, track: TrackId, zone: int, stay: Stay, now: Moment) -> list[Event]:
        if stay.seconds < self._least_s - 1e-6 or not self.need.wants(stay.label):
            return []
        stay.told = self._ledger.begin(
            now,
            stay.entered,
            label=stay.label,
            track_id=track,
            score=stay.score,
            image=self._pictures.of(track),
            box=stay.box,
            data=self._data(zone, stay),
        )
        return [stay.told]

    def _end(self, track: TrackId, zone: int, stay: Stay, now: Moment) -> list[Event]:
        """The stay's end, and its begin where that was not told: it was over before the track was believed."""
        events = self._begin(track, zone, stay, now) if stay.told is None else []
        if stay.told is None:
            return []
        image = self._pictures.of(track) or stay.told.image
        data = {**self._data(zone, stay), "time_out": stay.last.ts_ms}
        return [*events, ended(stay.told, now, stay.last, score=stay.score, image=image, data=data)]

    def _leave(self, track: TrackId, now: Moment) -> list[Event]:
        """The track is given up."""
        stays = self._stays.pop(track, {})
        events = [event for i, stay in sorted(stays.items()) for event in self._end(track, i, stay, now)]
        self._pictures.drop(track)
        return events

    def _data(self, zone: int, stay: Stay) -> dict[str, Any]:
        return {
            "zone": self._zones[zone].name,
            self._lasted: round(stay.seconds, 3),
            "time_in": stay.entered.ts_ms,
        }
