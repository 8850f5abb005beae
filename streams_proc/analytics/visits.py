"""An event for each visit of a followed thing; object and face detection are both this."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from core.ids import TrackId
from core.messages import Event
from streams_proc.analytics.analytic import Found, Need, Picture, Scene, Subject
from streams_proc.analytics.phases import Ledger, ended, next_phase
from streams_proc.tracking.track import Departure, Moment, Sighting

MUCH_BETTER = 1.5
"""A picture is news when its quality is this many times that of the last one told."""


@dataclass(slots=True)
class Visit:
    """One open event: what was last told, and what is known since."""

    told: Event
    score: float
    image: str | None
    quality: float
    told_quality: float


class Visits:
    """Begins an event when a track is first believed, ends it when the track is given up."""

    def __init__(self, subject: Subject, need: Need, type_: str, event_type: str) -> None:
        self.need = need
        self._ledger = Ledger(subject, type_, event_type)
        self._open: dict[TrackId, Visit] = {}

    def see(self, scene: Scene) -> Found:
        """Take the next frame."""
        events = []
        for sighting in scene.followed.sightings:
            picture = scene.pictures.get(sighting.track_id)
            event = self._take(sighting, picture, scene.now)
            if event is not None:
                events.append(event)
        events += self._end(scene.followed.departures, scene.now)
        return Found(events)

    def close(self, departures: Sequence[Departure], last: Moment) -> Sequence[Event]:
        """End what is open: the run is over."""
        return self._end(departures, last)

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """An event whose picture could not be taken has none until there is a better one."""
        for visit in self._open.values():
            if visit.image in media_keys:
                visit.image, visit.quality, visit.told_quality = None, 0.0, 0.0
                visit.told = msgspec.structs.replace(visit.told, image=None)

    def _take(self, sighting: Sighting, picture: Picture | None, now: Moment) -> Event | None:
        visit = self._open.get(sighting.track_id)
        if visit is None:
            return self._begin(sighting, picture, now) if self.need.wants(sighting.label) else None
        visit.score = sighting.best_score
        box = visit.told.box
        if picture is not None and picture.quality > visit.quality:
            visit.image, visit.quality, box = picture.media_key, picture.quality, sighting.box
        if sighting.label == visit.told.label and visit.quality <= visit.told_quality * MUCH_BETTER:
            visit.told = msgspec.structs.replace(visit.told, box=box)
            return None
        return self._tell(visit, now, label=sighting.label, box=box)

    def _begin(self, sighting: Sighting, picture: Picture | None, now: Moment) -> Event:
        event = self._ledger.begin(
            now,
            sighting.begin,
            label=sighting.label,
            track_id=sighting.track_id,
            score=sighting.best_score,
            image=picture.media_key if picture else None,
            box=sighting.box,
        )
        quality = picture.quality if picture else 0.0
        self._open[sighting.track_id] = Visit(event, event.score, event.image, quality, quality)
        return event

    def _tell(self, visit: Visit, now: Moment, **changes: object) -> Event:
        visit.told = next_phase(visit.told, "update", now, score=visit.score, image=visit.image, **changes)
        visit.told_quality = visit.quality
        return visit.told

    def _end(self, departures: Sequence[Departure], now: Moment) -> list[Event]:
        events = []
        for departure in departures:
            visit = self._open.pop(departure.track_id, None)
            if visit is not None:
                events.append(ended(visit.told, now, departure.last, score=visit.score, image=visit.image))
        return events
