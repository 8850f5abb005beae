"""Frames as one analytic sees them, made up for tests."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from core.ids import Run, Seq, TrackId
from core.messages import Box, Event
from streams_proc.analytics.analytic import Analytic, Picture, Scene, Subject
from streams_proc.tracking.follower import Followed
from streams_proc.tracking.track import Departure, Earlier, Moment, Sighting
from tests.unit.analyse.scenes import STREAM

SUBJECT = Subject(STREAM, Run(1), 2, width=1000, height=1000)
A = TypeVar("A", bound=Analytic)


def moment(seq: int, fps: float = 10.0) -> Moment:
    return Moment(Seq(seq), seq / fps, 1000 + round(seq * 1000 / fps), seq / fps)


def standing(x: float, y: float, size: float = 0.1) -> Box:
    """A box that stands on a point."""
    return (x - size / 2, y - size, x + size / 2, y)


def sighting(box: Box, track: int = 1, label: str = "car", earlier: Iterable[tuple[int, Box]] = ()) -> Sighting:
    told = tuple(Earlier(moment(seq), 0.5, was, 0) for seq, was in earlier)
    return Sighting(TrackId(track), "object", label, 0.8, box, 0, 0.8, moment(0), told)


def gone(seq: int, track: int = 1) -> Departure:
    return Departure(TrackId(track), moment(seq))


def scene(seq: int, *sightings: Sighting, left: Sequence[Departure] = (), pictures: Any = None) -> Scene:
    shown = {TrackId(track): Picture(TrackId(track), key, 0.5) for track, key in (pictures or {}).items()}
    return Scene(moment(seq), Followed(sightings, tuple(left)), shown, 1000, 1000)


def walked(analytic: Analytic, points: Sequence[tuple[float, float]], first: int = 0, **more: Any) -> list[Event]:
    """Events of one thing that stands on one point after the other, a frame each."""
    return [
        event
        for i, (x, y) in enumerate(points)
        for event in analytic.see(scene(first + i, sighting(standing(x, y), **more))).events
    ]


def kept(analytic: A) -> A:
    """The analytic as it comes out of a snapshot."""
    made: A = pickle.loads(pickle.dumps(analytic))
    return made
