"""A followed thing: what is remembered of it, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.ids import Seq, TrackId
from core.messages import Box

Kind = Literal["object", "face"]

SIZE_RATIO = 1.5
"""Boxes whose sides differ by less than this may be of one thing."""

MOST_EARLIER = 200
"""Places that are remembered of a thing while it is not believed."""

CLEARLY_MORE = 1.25
"""By how much another label must lead before a track takes it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame was.

    Attributes:
        media_s: presentation seconds from the source's begin.
        ts_ms: wall time.
        clock_s: never falls and never stands still, whatever the presentation times do.
        index: of the frame among the source's.
        held_s: of `clock_s`, what the motion gate has held back: the scene stood still, and nobody looked.
    """

    seq: Seq
    media_s: float
    ts_ms: int
    clock_s: float
    index: int = 0
    held_s: float = 0.0

    @property
    def looked_s(self) -> float:
        """The clock without what was held back: the time in which things can be missed."""
        return self.clock_s - self.held_s


@dataclass(frozen=True, slots=True)
class Earlier:
    """Where a track was before it was believed."""

    at: Moment
    score: float
    box: Box
    detection: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """A believed track in one frame.

    Attributes:
        score: of this frame's detection; `best_score` is the track's highest so far.
        detection: position of its detection in the frame's list.
        begin: the track's first frame, also from before it was believed.
        earlier: where it was till then, told once, in the frame that made it believed.
    """

    track_id: TrackId
    kind: Kind
    label: str
    score: float
    box: Box
    detection: int
    best_score: float
    begin: Moment
    earlier: tuple[Earlier, ...] = ()


@dataclass(frozen=True, slots=True)
class Departure:
    """A believed track that is given up; `last` is the last frame it was seen in."""

    track_id: TrackId
    last: Moment


@dataclass(slots=True)
class Track:
    """What a follower remembers of one thing.

    Attributes:
        plane: where its kind of label is matched.
        moved: farthest from where it was first seen, in its own size.
        doubtful: where it was while it was not believed, the latest `MOST_EARLIER`.
    """

    plane: int
    begin: Moment
    last: Moment
    track_id: TrackId | None = None
    label: str = ""
    best_score: float = 0.0
    boxes: int = 0
    votes: dict[str, float] = field(default_factory=dict)
    origin: Box | None = None
    box: Box | None = None
    moved: float = 0.0
    doubtful: list[Earlier] = field(default_factory=list)

    def see(self, label: str, score: float, box: Box, moment: Moment, detection: int = 0) -> None:
        """Take one more detection; the label is what has most of the scores, and keeps until clearly beaten."""
        if self.track_id is None:
            self.doubtful = [*self.doubtful[1 - MOST_EARLIER :], Earlier(moment, score, box, detection)]
        self.last = moment
        self.origin = self.origin or box
        self.box = box
        self.moved = max(self.moved, distance(self.origin, box))
        self.boxes += 1
        self.best_score = max(self.best_score, score)
        self.votes[label] = self.votes.get(label, 0.0) + score
        if self.votes[label] > self.votes.get(self.label, 0.0) * CLEARLY_MORE:
            self.label = label


def distance(one: Box, other: Box) -> float:
    """Between the middles of two boxes, each direction in units of the boxes' mean side in it."""
    across = abs(one[0] + one[2] - other[0] - other[2]) / max(one[2] - one[0] + other[2] - other[0], 1e-6)
    down = abs(one[1] + one[3] - other[1] - other[3]) / max(one[3] - one[1] + other[3] - other[1], 1e-6)
    return max(across, down)


def alike(one: Box, other: Box) -> bool:
    """Whether two boxes are of about one size."""
    widths, heights = sorted((one[2] - one[0], other[2] - other[0])), sorted((one[3] - one[1], other[3] - other[1]))
    return widths[1] < widths[0] * SIZE_RATIO and heights[1] < heights[0] * SIZE_RATIO
