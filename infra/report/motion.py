"""Where each track is in any frame of the video, analysed or not."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from core.messages import Box
from infra.report.result import Result, Track, TrackBox


class Place(NamedTuple):
    """One track's box in one frame."""

    track: Track
    box: Box
    score: float


class Motion:
    """Boxes between the analysed frames: on a straight line, or the last one held for one sampling step."""

    def __init__(self, result: Result) -> None:
        self._step = result.sampling_step
        self._tracks = [(track, [box.frame for box in track.boxes]) for track in result.tracks if track.boxes]

    def at(self, frame: int) -> list[Place]:
        """Every track that is in view in `frame` (from 0)."""
        places = []
        for track, frames in self._tracks:
            if frames[0] <= frame < frames[-1] + self._step:
                place = self._place(track, frames, frame)
                if place is not None:
                    places.append(place)
        return places

    def _place(self, track: Track, frames: list[int], frame: int) -> Place | None:
        position = bisect_right(frames, frame) - 1
        last = track.boxes[position]
        if position + 1 < len(frames) and frames[position + 1] - last.frame <= 2 * self._step:
            return Place(track, _between(last, track.boxes[position + 1], frame), last.score)
        if frame - last.frame < self._step:
            return Place(track, last.box, last.score)
        return None


def _between(before: TrackBox, after: TrackBox, frame: int) -> Box:
    part = (frame - before.frame) / (after.frame - before.frame)
    x_min, y_min, x_max, y_max = (b + (a - b) * part for b, a in zip(before.box, after.box, strict=True))
    return x_min, y_min, x_max, y_max
