"""The result of a task, as the query service answers it, read into typed values.

Boxes are `(x_min, y_min, x_max, y_max)`, 0..1 of the upright video; `frame` counts the source's
decoded frames from 0; seconds are media seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import msgspec
from msgspec import Struct

from core.errors import BadMessage
from core.messages import Box


class Video(Struct, frozen=True):
    """The source as it was read; `width` and `height` are upright, square pixels; `rotation` clockwise degrees."""

    name: str
    width: int
    height: int
    fps: float
    frames: int | None = None
    duration_s: float | None = None
    rotation: int = 0


class Ledger(Struct, frozen=True):
    """Where every decoded frame went: `decoded = sampled_out + read`, `read` = the rest together."""

    decoded: int = 0
    sampled_out: int = 0
    read: int = 0
    processed: int = 0
    gated: int = 0
    dropped: dict[str, int] = {}
    dead_lettered: int = 0
    in_flight: int = 0

    @property
    def dropped_total(self) -> int:
        """Frames dropped for any reason."""
        return sum(self.dropped.values())


class Problem(Struct, frozen=True):
    """A damaged place of the source: `at_frame` frames and `at_s` seconds were read before it."""

    reason: str
    at_frame: int | None = None
    at_s: float | None = None


class ObjectCount(Struct, frozen=True):
    """One label's visits, frames with it, and most at once."""

    visits: int = 0
    frames: int = 0
    most_at_once: int = 0


class TrackBox(Struct, frozen=True):
    """Where a track is in one analysed frame."""

    frame: int
    s: float
    box: Box
    score: float = 0.0


class Track(Struct, frozen=True):
    """One object followed through the video; `boxes` rise by frame."""

    track_id: int
    label: str
    score: float
    first_frame: int
    last_frame: int
    first_s: float
    last_s: float
    boxes: tuple[TrackBox, ...] = ()


class FoundEvent(Struct, frozen=True):
    """One event; `type` is the analytic's id, `image` a media key."""

    event_id: str
    type: str
    label: str = ""
    begin_s: float = 0.0
    end_s: float | None = None
    track_id: int | None = None
    score: float | None = None
    image: str | None = None


class Speed(Struct, frozen=True):
    """Frames processed, the seconds it took, and their ratio."""

    frames: int = 0
    seconds: float = 0.0
    frames_per_s: float = 0.0


class Result(Struct, frozen=True):
    """Everything that was found in one video."""

    task_id: str
    video: Video
    ledger: Ledger = Ledger()
    errors: tuple[Problem, ...] = ()
    objects: dict[str, ObjectCount] = {}
    tracks: tuple[Track, ...] = ()
    events: tuple[FoundEvent, ...] = ()
    speed: Speed = Speed()

    @property
    def duration_s(self) -> float:
        """Length of the video; where the container did not say, the end of what was found."""
        ends = [self.video.duration_s or 0.0, *(track.last_s for track in self.tracks)]
        ends += [event.end_s or event.begin_s for event in self.events]
        return max(ends)

    @property
    def sampling_step(self) -> int:
        """Decoded frames from one analysed frame to the next, rounded up."""
        return max(1, ceil(self.ledger.decoded / self.ledger.read)) if self.ledger.read else 1

    def boxes(self) -> Iterator[tuple[Track, TrackBox]]:
        """Every tracked box in the order of frames, then of tracks."""
        pairs = ((track, box) for track in self.tracks for box in track.boxes)
        return iter(sorted(pairs, key=lambda pair: (pair[1].frame, pair[0].track_id)))


_decoder: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)


def read_result(data: bytes) -> Result:
    """A result from its JSON; fields that are not known are passed over. Raises BadMessage."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"the query service's result cannot be read: {error}") from error


def pixels(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    """`(left, top, width, height)` in pixels of a `width` x `height` picture, to hundredths."""
    x_min, y_min, x_max, y_max = box
    left, top = x_min * width, y_min * height
    right, bottom = x_max * width, y_max * height
    return round(left, 2), round(top, 2), round(right - left, 2), round(bottom - top, 2)


def pretty_json(data: bytes) -> bytes:
    """The service's answer, indented, every field kept."""
    tree: Any = msgspec.json.decode(data)
    return msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n"
