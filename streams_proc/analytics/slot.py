"""One position of a run's analytics: what is asked for there, what does it, and whether it works now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.analytics import accepted
from core.ids import TrackId
from core.messages import Analytic as Asked
from core.messages import Event
from core.schedules import next_change, open_at
from streams_proc.analytics import start
from streams_proc.analytics.analytic import Analytic, Found, Picture, Scene, Subject
from streams_proc.analytics.regard import Regard
from streams_proc.analytics.region import regions
from streams_proc.tracking.follower import Followed
from streams_proc.tracking.rules import LEAST_FRAMES_MISSED, Rules
from streams_proc.tracking.track import Departure, Kind, Moment

Key = tuple[Kind, Rules]
"""What one follower is shared by."""

SHORTEST_PAUSE_MS = 60_000
"""Hours begin and end with a minute."""


@dataclass(slots=True)
class Slot:
    """Plain data, and the analytic.

    Attributes:
        paused: outside of its schedules, or not begun yet: it sees nothing, and nothing of it is open.
        begun: events it has begun, and those that its position had before it.
        last: the last frame it has seen since it works.
    """

    index: int
    asked: Asked
    analytic: Analytic
    regard: Regard
    paused: bool = False
    begun: int = 0
    last: Moment | None = None

    @classmethod
    def of(cls, subject: Subject, asked: Asked, min_score: float, rate: float, *, later: bool = False) -> Slot:
        """What is asked for at a position of a run.

        Args:
            rate: frames a second that are analysed.
            later: the run has begun without it.

        Raises:
            InvalidInput: nothing of this version can do it.
        """
        analytic = start(subject, asked, min_score)
        regard = regard_of(subject, asked, analytic, rate)
        return cls(subject.analytic_index, asked, analytic, regard, paused=later, begun=subject.begun)

    @property
    def key(self) -> Key:
        """Of the follower that it needs."""
        return self.analytic.need.kind, self.analytic.need.rules

    def works_at(self, ts_ms: int) -> bool:
        """Whether its schedules let it work at a wall time."""
        return open_at(self.asked.schedules, ts_ms)

    def goes_on(self, now: Moment) -> bool:
        """Whether it works on: its hours are not over, nor were they since the last frame it saw.

        A source that nobody wants to see gives no frames, so none may have told of the pause.
        """
        if not self.works_at(now.ts_ms):
            return False
        if not self.asked.schedules or self.last is None or now.ts_ms - self.last.ts_ms < SHORTEST_PAUSE_MS:
            return True
        over = next_change(self.asked.schedules, self.last.ts_ms)
        return over is None or over > now.ts_ms

    def resume(self, now: Moment) -> None:
        """It works from this frame on, and has seen nothing before."""
        self.paused = False
        self.regard.begin_anew(now)

    def pause(self, standing: Sequence[Departure]) -> list[Event]:
        """The ends of all that is open; what is followed goes on without it."""
        events = self.close(standing)
        self.paused = True
        return events

    def shown(self, followed: Mapping[Key, Followed], now: Moment) -> Followed:
        """What it is shown of a frame."""
        self.last = now
        return self.regard.of(followed[self.key], now)

    def see(self, followed: Followed, pictures: Mapping[TrackId, Picture], width: int, height: int) -> Found:
        """Take the frame that it has been shown.

        Args:
            pictures: of all tracks.
            width, height: pixels of the upright video.
        """
        assert self.last is not None
        views = self.analytic.need.views
        own = {s.track_id: pictures[s.track_id] for s in followed.sightings if views and s.track_id in pictures}
        found = self.analytic.see(Scene(self.last, followed, own, width, height))
        self._count(found.events)
        return found

    def close(self, departures: Sequence[Departure]) -> list[Event]:
        """The ends of all that is open at the last frame it has seen."""
        last, self.last = self.last, None
        if last is None:
            return []
        events = list(self.analytic.close(self.regard.departures(departures), last))
        self._count(events)
        return events

    def _count(self, events: Sequence[Event]) -> None:
        self.begun += sum(event.phase == "begin" for event in events)


def regard_of(subject: Subject, asked: Asked, analytic: Analytic, rate: float) -> Regard:
    """What is to be regarded where this is asked for. Raises InvalidInput."""
    where = regions(accepted(asked).parameters, subject.width, subject.height)
    return Regard(where, max(analytic.need.rules.max_gap_s, LEAST_FRAMES_MISSED / rate))
