"""`human_tracking`: an event for each person's visit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from core import analytics as declared
from core.ids import TrackId, media_key, view_id
from core.messages import Box, Event
from streams_proc.analytics.analytic import Found, Need, Scene, Subject
from streams_proc.analytics.people_count import PERSON, SCENE
from streams_proc.analytics.visits import Visits
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Departure, Moment

MOST_ESTIMATIONS = 10_000
"""Kept of one visit; who stays for days does not fill the memory."""


class HumanTracking:
    """Visits of people, with what the targets ask for in the events' data."""

    def __init__(self, subject: Subject, parameters: Mapping[str, Any], targets: tuple[str, ...], score: float) -> None:
        rules = Rules.of({**parameters, "min_boxes": parameters["probe_count"]}, score)
        self.need = Need("object", rules, frozenset({PERSON}), views="aggregated_body_thumbnail" in targets)
        self._subject = subject
        self._targets = frozenset(targets)
        self._visits = Visits(subject, self.need, declared.HUMAN_TRACKING.id, declared.HUMAN_TRACKING.event_type)
        self._bodies: dict[TrackId, list[dict[str, Any]]] = {}
        self._overviews: dict[TrackId, dict[str, Any]] = {}

    def see(self, scene: Scene) -> Found:
        """Take the next frame."""
        if "body_detection" in self._targets:
            self._estimate(scene)
        found = self._visits.see(scene)
        begun = [event for event in found.events if event.phase == "begin"]
        view = None
        if begun and "overview" in self._targets:
            who = self._subject
            view = view_id(who.stream_id, who.run, SCENE, scene.now.seq, f"overview/{who.analytic_index}")
            self._remember_overview(begun, scene, media_key(who.stream_id, who.run, view))
        return Found([self._with_data(event) for event in found.events], view)

    def close(self, departures: Sequence[Departure], last: Moment) -> Sequence[Event]:
        """End what is open."""
        events = [self._with_data(event) for event in self._visits.close(departures, last)]
        self._bodies.clear()
        return events

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """These pictures could not be taken."""
        self._visits.forget_pictures(media_keys)
        for overview in self._overviews.values():
            if overview["image"] in media_keys:
                overview["image"] = None

    def _estimate(self, scene: Scene) -> None:
        for sighting in scene.followed.sightings:
            if not self.need.wants(sighting.label):
                continue
            known = self._bodies.setdefault(sighting.track_id, [])
            places = [(e.at, e.score, e.box) for e in sighting.earlier]
            for at, score, box in [*places, (scene.now, sighting.score, sighting.box)]:
                if len(known) < MOST_ESTIMATIONS:
                    known.append(_body(at, score, box, scene))

    def _remember_overview(self, begun: Sequence[Event], scene: Scene, image: str) -> None:
        for event in begun:
            assert event.track_id is not None
            assert event.box is not None
            self._overviews[event.track_id] = {
                "image": image,
                "time_offset": round(scene.now.media_s, 3),
                "rect": _rect(event.box, scene),
            }

    def _with_data(self, event: Event) -> Event:
        """The event with what the targets ask for: the overview in every phase, where the body was at its end."""
        assert event.track_id is not None
        data = dict(event.data)
        over = event.phase == "end"
        overview = self._overviews.pop(event.track_id, None) if over else self._overviews.get(event.track_id)
        if overview is not None:
            data["overview"] = dict(overview)
        bodies = self._bodies.pop(event.track_id, None) if over else None
        if bodies is not None:
            data["frames_estimations"] = bodies
        return msgspec.structs.replace(event, data=data)


def _body(at: Moment, score: float, box: Box, scene: Scene) -> dict[str, Any]:
    return {"time_offset": round(at.media_s, 3), "body": {"rect": _rect(box, scene), "score": score}}


def _rect(box: Box, scene: Scene) -> dict[str, float]:
    """In pixels of the upright video."""
    x_min, y_min, x_max, y_max = box
    return {
        "x": round(x_min * scene.width, 1),
        "y": round(y_min * scene.height, 1),
        "width": round((x_max - x_min) * scene.width, 1),
        "height": round((y_max - y_min) * scene.height, 1),
    }
