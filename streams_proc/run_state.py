"""One run as analyse remembers it: definition, followers, analytics, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from core import log
from core.errors import BadMessage, GapError, InvalidInput
from core.ids import Seq, TrackId, ViewId, media_key
from core.messages import EarlierBox, Event, FrameDetections, FrameTracks, RunBegin, TrackedBox
from core.settings import Analyse
from streams_proc.analytics import start
from streams_proc.analytics.analytic import Analytic, Picture, Scene, Subject
from streams_proc.analytics.people_count import SCENE
from streams_proc.tracking.boxes import Seen
from streams_proc.tracking.follower import Followed, Follower
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Earlier, Kind, Moment, Sighting
from streams_proc.views import WHOLE, ViewPlan, Wanted

DEFAULT_RATE = 10.0
MOST_MISSING = 10_000_000
"""Frames in a row that may have expired unread: more than a camera gives in the day that they are kept."""

LEAST_LOOKED_S = 0.001
"""Between two frames, whatever is said to have been held back: the time of those that follow things must rise."""

_log = log.get(__name__)
Key = tuple[Kind, Rules]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a frame gives, before its views are taken; `tracks` has none yet."""

    tracks: FrameTracks
    wanted: Sequence[Wanted] = ()
    events: Sequence[Event] = ()


@dataclass(slots=True)
class RunState:
    """Plain data and the trackers: what is pickled is exactly this.

    Attributes:
        held_s: media seconds that were held back before frames that could not be analysed.
    """

    begin: RunBegin
    plan: ViewPlan
    rate: float
    analytics: list[Analytic] = field(default_factory=list)
    followers: dict[Key, Follower] = field(default_factory=dict)
    next_seq: int = 0
    last: Moment | None = None
    tracks_begun: int = 0
    held_s: float = 0.0

    @classmethod
    def of(cls, begin: RunBegin, settings: Analyse) -> RunState:
        """The state before the first frame. An analytic that this version does not know is left out."""
        plan = ViewPlan(begin.stream_id, begin.run, begin.spec.lane, settings.view_interval_s)
        state = cls(begin, plan, frame_rate(begin))
        for index, asked in enumerate(begin.spec.analytics):
            subject = Subject(begin.stream_id, begin.run, index, begin.spec.ephemeral)
            try:
                analytic = start(subject, asked, settings.min_score)
            except InvalidInput as error:
                _log.error("analytic_refused", stream=str(begin.stream_id), analytic=asked.name, reason=str(error))
                continue
            state.analytics.append(analytic)
            key = (analytic.need.kind, analytic.need.rules)
            if key not in state.followers:
                state.followers[key] = Follower(*key, state.rate, _aspect(begin))
        return state

    def frame(self, frame: FrameDetections) -> Draft:
        """Take the next frame.

        Raises:
            GapError: a frame of a batch is missing; its lane loses none.
            BadMessage: a live frame so far ahead that it cannot be of this run; nothing has changed.
        """
        self._step(frame)
        if frame.error is not None:
            self.held_s += frame.held_s
            return Draft(_tracks(frame, ()))
        now = self.last = self._moment(frame)
        followed = {key: self._follow(key, frame, now) for key in self.followers}
        kept = self._kept(followed, viewed_only=False)
        wanted = self.plan.choose(self._kept(followed, viewed_only=True), now.clock_s, frame.seq, frame.place)
        pictures = {w.track_id: Picture(w.track_id, w.media_key, w.quality) for w in wanted}
        events: list[Event] = []
        for analytic in self.analytics:
            scene = Scene(
                now=now,
                followed=followed[analytic.need.kind, analytic.need.rules],
                pictures=pictures if analytic.need.views else {},
                width=self.begin.video.width,
                height=self.begin.video.height,
            )
            found = analytic.see(scene)
            events += found.events
            if found.overview is not None:
                wanted.append(self._overview(frame, found.overview))
        self.plan.forget(d.track_id for f in followed.values() for d in f.departures)
        return Draft(_tracks(frame, kept), tuple(wanted), tuple(events))

    def close(self) -> tuple[Event, ...]:
        """The run is over: everything that is open ends at its last frame."""
        departures = {key: follower.close() for key, follower in self.followers.items()}
        if self.last is None:
            return ()
        events: list[Event] = []
        for analytic in self.analytics:
            events += analytic.close(departures[analytic.need.kind, analytic.need.rules], self.last)
        return tuple(events)

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """These pictures could not be taken."""
        for analytic in self.analytics:
            analytic.forget_pictures(media_keys)

    def _step(self, frame: FrameDetections) -> None:
        if frame.seq != self.next_seq:
            where = f"stream {frame.stream_id} run {frame.run}: frame {frame.seq} follows {self.next_seq - 1}"
            if self.begin.spec.lane == "batch":
                raise GapError(f"{where}; frames of a batch never expire, so some were lost before this stage")
            if frame.seq - self.next_seq > MOST_MISSING:
                raise BadMessage(f"{where}; so many cannot have expired")
            # Frames of the live lane may expire unread when a stage is down for long: the ledger counts them.
            _log.warning("frames_missing", where=where)
        self.next_seq = frame.seq + 1

    def _moment(self, frame: FrameDetections) -> Moment:
        """A source that begins anew takes its presentation times back; the clock goes on by one frame."""
        held_s, self.held_s = self.held_s + frame.held_s, 0.0
        if self.last is None:
            return Moment(frame.seq, frame.media_s, frame.ts_ms, frame.media_s, frame.index)
        passed = frame.media_s - self.last.media_s
        step = passed if passed > 0 else 1.0 / self.rate
        clock_s = max(math.nextafter(self.last.clock_s, math.inf), self.last.clock_s + step)
        held = self.last.held_s + max(0.0, min(held_s, step - LEAST_LOOKED_S))
        return Moment(frame.seq, frame.media_s, frame.ts_ms, clock_s, frame.index, held)

    def _follow(self, key: Key, frame: FrameDetections, now: Moment) -> Followed:
        if key[0] == "object":
            seen = [Seen(d.label, d.score, d.box, i) for i, d in enumerate(frame.objects)]
        else:
            seen = [Seen("face", f.score, f.box, i) for i, f in enumerate(frame.faces or ())]
        return self.followers[key].follow(seen, now, self._next_track)

    def _next_track(self) -> TrackId:
        self.tracks_begun += 1
        return TrackId(self.tracks_begun)

    def _kept(self, followed: dict[Key, Followed], *, viewed_only: bool) -> list[Sighting]:
        """The sightings that some analytic wants, by track."""
        kept: dict[TrackId, Sighting] = {}
        for analytic in self.analytics:
            need = analytic.need
            if need.views or not viewed_only:
                for sighting in followed[need.kind, need.rules].sightings:
                    if need.wants(sighting.label):
                        kept[sighting.track_id] = sighting
        return [kept[track] for track in sorted(kept)]

    def _overview(self, frame: FrameDetections, view: ViewId) -> Wanted:
        return Wanted(
            stream_id=frame.stream_id,
            seq=frame.seq,
            place=frame.place,
            view_id=view,
            track_id=SCENE,
            keyspace="appearance",
            label="",
            score=0.0,
            box=WHOLE,
            media_key=media_key(frame.stream_id, frame.run, view),
            quality=0.0,
            lane=self.begin.spec.lane,
            embedded=False,
        )


def frame_rate(begin: RunBegin) -> float:
    """Frames a second that are analysed, as far as the source's own rate is known."""
    own, asked = begin.video.fps, begin.spec.source.fps
    if own > 0 and asked > 0:
        return min(own, asked)
    return own or asked or DEFAULT_RATE


def _aspect(begin: RunBegin) -> tuple[float, float]:
    long = max(begin.video.width, begin.video.height)
    return (begin.video.width / long, begin.video.height / long) if long > 0 else (1.0, 1.0)


def _tracks(frame: FrameDetections, sightings: Sequence[Sighting]) -> FrameTracks:
    boxes = tuple(_tracked(s) for s in sightings)
    earlier = tuple(_earlier(s, e) for s in sightings for e in s.earlier)
    return FrameTracks(
        stream_id=frame.stream_id,
        run=frame.run,
        seq=Seq(frame.seq),
        index=frame.index,
        media_s=frame.media_s,
        ts_ms=frame.ts_ms,
        width=frame.width,
        height=frame.height,
        tracks=boxes,
        error=frame.error,
        ephemeral=frame.ephemeral,
        earlier=earlier,
    )


def _earlier(sighting: Sighting, then: Earlier) -> EarlierBox:
    place = replace(sighting, score=then.score, box=then.box, detection=then.detection)
    return EarlierBox(then.at.seq, then.at.index, then.at.media_s, then.at.ts_ms, _tracked(place))


def _tracked(sighting: Sighting) -> TrackedBox:
    # The default kind is left to the struct: msgspec leaves a default out by identity, which a
    # word that came out of a snapshot has not, and the bytes would differ after a restart.
    box = TrackedBox(sighting.track_id, sighting.label, sighting.score, sighting.box, detection=sighting.detection)
    return box if sighting.kind == "object" else msgspec.structs.replace(box, kind=sighting.kind)
