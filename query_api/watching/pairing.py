"""Frames meet what was tracked in them, which is known a little later, or never."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from core.messages import Frame, FrameTracks

WAIT_S = 2.0
MOST_FRAMES = 64
MOST_TRACKS = 256
Publish: TypeAlias = Callable[[Frame, FrameTracks | None], None]


class Where(NamedTuple):
    """A frame's place in its stream."""

    run: int
    seq: int


class Waiting(NamedTuple):
    """A frame, and until when it waits for its tracks."""

    frame: Frame
    until: float


class Pairing:
    """Holds frames back until their tracks come, a bounded time and number; what is passed over is never told.

    Args:
        publish: given each frame with its tracks, or with None when they did not come in time.
    """

    def __init__(self, publish: Publish, wait_s: float = WAIT_S) -> None:
        self._publish = publish
        self._wait_s = wait_s
        self._frames: dict[Where, Waiting] = {}
        self._tracks: dict[Where, FrameTracks] = {}

    @property
    def due(self) -> float | None:
        """When `expire` has something to do; None while no frame waits."""
        return next(iter(self._frames.values())).until if self._frames else None

    def frame(self, frame: Frame, now: float) -> None:
        """A frame, in order."""
        where = Where(frame.run, frame.seq)
        tracks = self._tracks.get(where)
        if tracks is not None:
            self._tell(where, frame, tracks)
            return
        self._frames[where] = Waiting(frame, now + self._wait_s)
        if len(self._frames) > MOST_FRAMES:
            del self._frames[next(iter(self._frames))]

    def tracks(self, tracks: FrameTracks) -> None:
        """What was tracked in a frame, in order; the frame may have come, or not yet."""
        where = Where(tracks.run, tracks.seq)
        waiting = self._frames.get(where)
        if waiting is not None:
            self._tell(where, waiting.frame, tracks)
            return
        self._tracks[where] = tracks
        if len(self._tracks) > MOST_TRACKS:
            del self._tracks[next(iter(self._tracks))]

    def expire(self, now: float) -> None:
        """Tell the newest frame that has waited long enough, without tracks."""
        late = [(where, waiting.frame) for where, waiting in self._frames.items() if waiting.until <= now]
        if late:
            self._tell(*late[-1], None)

    def clear(self) -> None:
        """Nobody wants pairs any more."""
        self._frames.clear()
        self._tracks.clear()

    def _tell(self, where: Where, frame: Frame, tracks: FrameTracks | None) -> None:
        """Tell one; what is not newer can only be late."""
        self._frames = {other: waiting for other, waiting in self._frames.items() if other > where}
        self._tracks = {other: known for other, known in self._tracks.items() if other > where}
        self._publish(frame, tracks)
