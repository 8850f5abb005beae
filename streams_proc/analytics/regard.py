"""What one analytic is shown of what is followed: only what lies in its regions, and only while it works.

Tracks are shared by all analytics that follow by the same numbers, so a track may have begun, and may
go on, where one of them does not look. For that analytic it begins where it comes into view, and is
given up once it has been out of view for as long as a missed thing would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.ids import TrackId
from core.messages import Box
from streams_proc.analytics.geometry import middle
from streams_proc.analytics.region import Region
from streams_proc.tracking.follower import Followed
from streams_proc.tracking.track import Departure, Earlier, Moment, Sighting


@dataclass(slots=True)
class Stay:
    """A track in view: since when, and when last."""

    begin: Moment
    last: Moment


@dataclass(slots=True)
class Regard:
    """The view of one analytic; plain data.

    Attributes:
        gap_s: seconds out of view after which a track is given up.
        since: the first frame that it is shown, where it has not worked from the run's begin on.
    """

    regions: tuple[Region, ...]
    gap_s: float
    since: Moment | None = None
    stays: dict[TrackId, Stay] = field(default_factory=dict)

    def of(self, followed: Followed, now: Moment) -> Followed:
        """What is to be shown of one frame."""
        if not self.regions and self.since is None:
            return followed
        shown: list[Sighting] = []
        gone: list[Departure] = []
        for sighting in followed.sightings:
            stay = self.stays.get(sighting.track_id)
            if self._holds(sighting.box):
                shown.append(self._seen(sighting, stay, now))
            elif stay is not None and now.looked_s - stay.last.looked_s > self.gap_s + 1e-6:
                gone.append(self._leave(sighting.track_id, stay))
        gone += self.departures(followed.departures)
        return Followed(tuple(shown), tuple(sorted(gone, key=lambda d: d.track_id)))

    def departures(self, departures: Sequence[Departure]) -> Sequence[Departure]:
        """Those of them that were in view, at the last moment they were."""
        if not self.regions and self.since is None:
            return departures
        known = [(d.track_id, self.stays[d.track_id]) for d in departures if d.track_id in self.stays]
        return tuple(self._leave(track, stay) for track, stay in known)

    def begin_anew(self, since: Moment) -> None:
        """Nothing is in view; what was before `since` was never seen."""
        self.stays.clear()
        self.since = since

    def _seen(self, sighting: Sighting, stay: Stay | None, now: Moment) -> Sighting:
        earlier = tuple(e for e in sighting.earlier if self._counts(e))
        if stay is None:
            stay = self.stays[sighting.track_id] = Stay(self._first(sighting, earlier, now), now)
        stay.last = now
        return replace(sighting, begin=stay.begin, earlier=earlier)

    def _first(self, sighting: Sighting, earlier: Sequence[Earlier], now: Moment) -> Moment:
        """Where the track came into view."""
        if self.regions:
            return earlier[0].at if earlier else now
        assert self.since is not None
        return max(sighting.begin, self.since, key=lambda moment: moment.seq)

    def _counts(self, earlier: Earlier) -> bool:
        return (self.since is None or earlier.at.seq >= self.since.seq) and self._holds(earlier.box)

    def _holds(self, box: Box) -> bool:
        return all(region.holds(middle(box)) for region in self.regions)

    def _leave(self, track: TrackId, stay: Stay) -> Departure:
        del self.stays[track]
        return Departure(track, stay.last)
