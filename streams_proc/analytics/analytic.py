"""What an analytic is: believed tracks of one frame in, events out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.ids import Run, StreamId, TrackId, ViewId
from core.messages import Event
from streams_proc.keeping import Keeping
from streams_proc.tracking.follower import Followed
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Departure, Kind, Moment


@dataclass(frozen=True, slots=True)
class Need:
    """What an analytic wants followed.

    Attributes:
        labels: None for all.
        views: pictures with embeddings of its tracks.
    """

    kind: Kind
    rules: Rules
    labels: frozenset[str] | None = None
    views: bool = False

    def wants(self, label: str) -> bool:
        """Whether a track of this label is the analytic's."""
        return self.labels is None or label in self.labels


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that will be taken of a track in this frame."""

    track_id: TrackId
    media_key: str
    quality: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame as an analytic sees it.

    Attributes:
        followed: of the follower that the analytic's need is met by, of all labels, in its `roi` and `droi`.
        pictures: by track, those taken in this frame.
        width, height: pixels of the upright video.
    """

    now: Moment
    followed: Followed
    pictures: Mapping[TrackId, Picture] = field(default_factory=dict)
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose analytic it is.

    Attributes:
        width, height: pixels of the upright video; 0 where they are unknown.
        begun: events that this position of the run has begun before, under another configuration.
    """

    stream_id: StreamId
    run: Run
    analytic_index: int
    ephemeral: bool = False
    width: int = 0
    height: int = 0
    begun: int = 0


AS_IT_IS = Keeping()


@dataclass(frozen=True, slots=True)
class Found:
    """What an analytic says of a frame.

    Attributes:
        overview: view under which it wants the whole picture of this frame kept.
        keeping: and how.
    """

    events: Sequence[Event] = ()
    overview: ViewId | None = None
    keeping: Keeping = AS_IT_IS


class Analytic(Protocol):
    """One analytic of one run: plain data that can be pickled, the same answer for the same frames."""

    need: Need

    def see(self, scene: Scene) -> Found:
        """Take the next frame."""
        ...

    def close(self, departures: Sequence[Departure], last: Moment) -> Sequence[Event]:
        """End all that is open, and forget what was seen: the run is over, or the analytic pauses.

        Args:
            departures: every track that was in view.
            last: the last frame. After a pause `see` is called again, with later ones.
        """
        ...

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """These pictures could not be taken after all."""
        ...
