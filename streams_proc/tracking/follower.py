"""Detections of one stream in, believed tracks out.

The assignment of boxes to tracks is BoT-SORT of the library `trackers` (motion only); here is what
it leaves open: labels, doubles, belief, time, and ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import supervision as sv
from trackers import BoTSORTTracker

from core.analytics import ANY
from core.ids import TrackId
from streams_proc.tracking.boxes import Seen, best_of_overlapping, corners, overlaps
from streams_proc.tracking.rules import CLEAR_MOVE, DOUBTFUL_GAP_S, LEAST_FRAMES_MISSED, Rules
from streams_proc.tracking.track import Departure, Earlier, Kind, Moment, Sighting, Track, alike, distance

LONG_SIDE = 1000.0
"""Boxes are matched in units of a thousandth of the frame's long side, whatever its pixels."""

PLANE = 10_000.0
"""Labels are matched apart by lying this far apart."""

SAME_THING_IOU = 0.5
"""A box of another label over a track that has none of its own this frame is that track's."""

FARTHEST_JUMP = 1.5
"""Of its own size, from one frame to the next."""

STRONG, WEAK = 1.0, 0.8
"""What the library is told for scores: only which may begin a track, and which to prefer. Its
product of overlap and score would otherwise drop what a cautious detector is not sure of."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What one frame showed: believed tracks in the order of their ids, and those given up."""

    sightings: tuple[Sighting, ...] = ()
    departures: tuple[Departure, ...] = ()


class Follower:
    """Follows the things of one kind in one run, by the time in which it was looked (`Moment.looked_s`).

    Args:
        rate: frames a second that are analysed.
        aspect: width by height of a frame, both in units of its long side.
    """

    def __init__(self, kind: Kind, rules: Rules, rate: float, aspect: tuple[float, float]) -> None:
        self.kind = kind
        self.rules = rules
        self._scale = np.array([aspect[0], aspect[1], aspect[0], aspect[1]]) * LONG_SIDE
        gap = max(rules.max_gap_s, LEAST_FRAMES_MISSED / rate)
        self._doubtful_gap_s = min(gap, max(DOUBTFUL_GAP_S, LEAST_FRAMES_MISSED / rate))
        self._tracker = _tracker(rate, gap)
        self._rate = rate
        self._planes: dict[str, int] = {}
        self._tracks: dict[int, Track] = {}
        self._first: Moment | None = None
        self._previous: Moment | None = None

    def follow(self, seen: Sequence[Seen], now: Moment, next_id: Callable[[], TrackId]) -> Followed:
        """Take one frame. `next_id` numbers a track when it is first believed."""
        self._first = self._first or now
        things = [s for s in seen if s.score >= self.rules.continue_score]
        things = best_of_overlapping(things, *self.rules.doubles)
        planes = self._planes_of(things)
        self._jump(things, planes)
        self._previous = now
        matched = self._match(things, planes, now)
        for number, thing in sorted(matched.items()):
            label = ANY if self.rules.any_label else thing.label
            self._tracks[number].see(label, thing.score, thing.box, now, thing.position)
        departures = self._give_up(now)
        return Followed(tuple(self._sightings(matched, next_id)), departures)

    def standing(self) -> tuple[Departure, ...]:
        """What would be given up if this were the end."""
        return _departures(list(self._tracks.values()))

    def close(self) -> tuple[Departure, ...]:
        """Give up everything: the run is over."""
        standing = self.standing()
        self._tracks.clear()
        return standing

    def _planes_of(self, things: Sequence[Seen]) -> list[int]:
        """Where each thing is matched: with its label, or with the track it lies on."""
        planes = [self._plane(s.label) for s in things]
        if not self._tracker.tracks or not things or self.rules.any_label:
            return planes
        expected = self._expected()
        own = {t.tracker_id: self._tracks[t.tracker_id].plane for t in self._tracker.tracks}
        matrix = overlaps(expected, corners([s.box for s in things]) * self._scale)
        claimed = {
            i for row, plane in enumerate(own.values()) for i in range(len(things))
            if planes[i] == plane and matrix[row, i] >= SAME_THING_IOU
        }  # fmt: skip
        for row, plane in enumerate(own.values()):
            if any(planes[i] == plane and matrix[row, i] >= SAME_THING_IOU for i in range(len(things))):
                continue
            free = [i for i in range(len(things)) if i not in claimed and matrix[row, i] >= SAME_THING_IOU]
            if free:
                best = max(free, key=lambda i: (matrix[row, i], -i))
                planes[best] = plane
                claimed.add(best)
        return planes

    def _jump(self, things: Sequence[Seen], planes: Sequence[int]) -> None:
        """Take a lone track to the lone thing of its kind, when that is near and of its size.

        Between two frames a thing may move by more than itself: it is quick, frames are rare, or
        the picture was cut. Where there is only one of its kind before and after, it is the same.
        """
        for tracklet in self._tracker.tracks:
            track = self._tracks[tracklet.tracker_id]
            same = [things[i] for i, plane in enumerate(planes) if plane == track.plane]
            alone = sum(other.plane == track.plane for other in self._tracks.values()) == 1
            if len(same) != 1 or not alone or track.last != self._previous or track.box is None:
                continue
            if 1.0 < distance(track.box, same[0].box) < FARTHEST_JUMP and alike(track.box, same[0].box):
                box = np.array(same[0].box) * self._scale + np.array([PLANE, 0.0, PLANE, 0.0]) * track.plane
                tracklet.state_estimator = type(tracklet.state_estimator)(box)
                tracklet._configure_initial_noise(box)

    def _plane(self, label: str) -> int:
        return 0 if self.rules.any_label else self._planes.setdefault(label, len(self._planes))

    def _expected(self) -> Any:
        """Where each live track was last thought to be, planes taken off, `[N, 4]`."""
        boxes = np.array([t.get_state_bbox() for t in self._tracker.tracks], dtype=np.float64).reshape(-1, 4)
        shift = np.array([self._tracks[t.tracker_id].plane * PLANE for t in self._tracker.tracks])
        boxes[:, 0] -= shift
        boxes[:, 2] -= shift
        return boxes

    def _match(self, things: Sequence[Seen], planes: Sequence[int], now: Moment) -> dict[int, Seen]:
        """The library's numbers of the tracks that were seen, new ones included."""
        boxes = corners([s.box for s in things]) * self._scale
        shift = np.array(planes, dtype=np.float64) * PLANE
        boxes[:, 0] += shift
        boxes[:, 2] += shift
        strong = np.array([s.score >= self.rules.begin_score for s in things], dtype=bool)
        given = sv.Detections(
            xyxy=boxes,
            confidence=np.where(strong, STRONG, WEAK),
            data={"position": np.arange(len(things))},
        )
        answer = self._tracker.update(given, timestamp=now.looked_s)
        matched: dict[int, Seen] = {}
        begun: list[int] = []
        for position, number in zip(answer.data.get("position", ()), answer.tracker_id, strict=True):
            if number >= 0:
                matched[int(number)] = things[position]
            elif strong[position]:
                begun.append(int(position))
        fresh = [t for t in self._tracker.tracks if t.tracker_id == -1]
        for tracklet, position in zip(fresh, begun, strict=True):
            # The library would name it at its next box; named now, it outlives a miss before that.
            tracklet.tracker_id = self._tracker._allocate_tracker_id()
            self._tracks[tracklet.tracker_id] = Track(planes[position], begin=now, last=now)
            matched[tracklet.tracker_id] = things[position]
        return matched

    def _give_up(self, now: Moment) -> tuple[Departure, ...]:
        """Forget what the library has dropped, and doubtful things that are missed."""
        self._tracker.tracks = [t for t in self._tracker.tracks if not self._hopeless(t.tracker_id, now)]
        alive = {t.tracker_id for t in self._tracker.tracks}
        gone = [self._tracks.pop(number) for number in sorted(self._tracks.keys() - alive)]
        return _departures([track for track in gone if track.track_id is not None])

    def _hopeless(self, number: int, now: Moment) -> bool:
        track = self._tracks[number]
        return track.track_id is None and now.looked_s - track.last.looked_s > self._doubtful_gap_s

    def _sightings(self, matched: dict[int, Seen], next_id: Callable[[], TrackId]) -> list[Sighting]:
        sightings = []
        for number, thing in sorted(matched.items()):
            track = self._tracks[number]
            earlier: tuple[Earlier, ...] = ()
            if track.track_id is None and self._believed(track):
                track.track_id = next_id()
                earlier = tuple(track.doubtful[:-1])
                track.doubtful.clear()
            if track.track_id is not None:
                sightings.append(_sighting(track, self.kind, thing, earlier))
        return sorted(sightings, key=lambda s: s.track_id)

    def _believed(self, track: Track) -> bool:
        rules = self.rules
        if track.last == self._first:
            # What is there when the run begins has been there before: it is not asked to stay first.
            return track.best_score >= rules.min_score
        duration = track.last.looked_s - track.begin.looked_s
        long = track.boxes >= rules.min_boxes and duration >= rules.min_duration_s - 1e-6
        return long and (track.best_score >= rules.min_score or track.moved >= CLEAR_MOVE)


def _tracker(rate: float, gap_s: float) -> BoTSORTTracker:
    tracker = BoTSORTTracker(
        lost_track_buffer=round(gap_s * 30),
        frame_rate=rate,
        track_activation_threshold=STRONG,
        minimum_consecutive_frames=1,
        minimum_iou_threshold_first_assoc=0.1,
        minimum_iou_threshold_second_assoc=0.3,
        minimum_iou_threshold_unconfirmed_assoc=0.1,
        high_conf_det_threshold=WEAK,
        enable_cmc=False,
        instant_first_frame_activation=False,
    )
    tracker.maximum_time_without_update = gap_s
    return tracker


def _sighting(track: Track, kind: Kind, thing: Seen, earlier: tuple[Earlier, ...]) -> Sighting:
    assert track.track_id is not None
    return Sighting(
        track_id=track.track_id,
        kind=kind,
        label=track.label,
        score=thing.score,
        box=thing.box,
        detection=thing.position,
        best_score=track.best_score,
        begin=track.begin,
        earlier=earlier,
    )


def _departures(tracks: Sequence[Track]) -> tuple[Departure, ...]:
    found = [Departure(t.track_id, t.last) for t in tracks if t.track_id is not None]
    return tuple(sorted(found, key=lambda d: d.track_id))
