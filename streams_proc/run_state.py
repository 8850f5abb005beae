"""One run as analyse remembers it: definition, followers, analytics, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from core import log, metrics
from core.errors import BadMessage, GapError, InvalidInput
from core.ids import Seq, TrackId, ViewId, media_key
from core.messages import Analytic as Asked
from core.messages import EarlierBox, Event, FrameDetections, FrameTracks, RunBegin, TrackedBox
from core.settings import Analyse
from streams_proc.analytics.analytic import Picture, Subject
from streams_proc.analytics.people_count import SCENE
from streams_proc.analytics.slot import Key, Slot
from streams_proc.keeping import Keeping
from streams_proc.tracking.boxes import Seen
from streams_proc.tracking.follower import Followed, Follower
from streams_proc.tracking.track import Departure, Earlier, Moment, Sighting
from streams_proc.views import WHOLE, ViewPlan, Wanted

DEFAULT_RATE = 10.0
MOST_MISSING = 10_000_000
"""Frames in a row that may have expired unread: more than a camera gives in the day that they are kept."""

LEAST_LOOKED_S = 0.001
"""Between two frames, whatever is said to have been held back: the time of those that follow things must rise."""

_log = log.get(__name__)


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
        begin: with the analytics as they are now.
        slots: what is done, in the order of their positions; an analytic that was refused has none.
        begun: events of positions that have had another analytic.
        held_s: media seconds that were held back before frames that could not be analysed.
    """

    begin: RunBegin
    plan: ViewPlan
    rate: float
    slots: list[Slot] = field(default_factory=list)
    followers: dict[Key, Follower] = field(default_factory=dict)
    next_seq: int = 0
    last: Moment | None = None
    tracks_begun: int = 0
    begun: dict[int, int] = field(default_factory=dict)
    held_s: float = 0.0

    @classmethod
    def of(cls, begin: RunBegin, settings: Analyse) -> RunState:
        """The state before the first frame. An analytic that this version does not know is left out."""
        plan = ViewPlan(begin.stream_id, begin.run, begin.spec.lane, settings.view_interval_s)
        state = cls(begin, plan, frame_rate(begin))
        for index in range(len(begin.spec.analytics)):
            state._fill(index, settings, later=False)
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
        events = self._turn(now)
        followed = {key: self._follow(key, frame, now) for key in self.followers}
        shown = [(slot, slot.shown(followed, now)) for slot in self.slots if not slot.paused]
        kept = _kept(shown, followed, viewed_only=False)
        wanted = self.plan.choose(_kept(shown, followed, viewed_only=True), now.clock_s, frame.seq, frame.place)
        pictures = {w.track_id: Picture(w.track_id, w.media_key, w.quality) for w in wanted}
        for slot, seen in shown:
            found = slot.see(seen, pictures, self.begin.video.width, self.begin.video.height)
            events += found.events
            if found.overview is not None:
                wanted.append(self._overview(frame, found.overview, found.keeping))
        self.plan.forget(d.track_id for f in followed.values() for d in f.departures)
        return Draft(_tracks(frame, kept), tuple(wanted), tuple(events))

    def change(self, analytics: tuple[Asked, ...], settings: Analyse) -> tuple[Event, ...]:
        """From the next frame on, do this; the ends of what is not done any more.

        An analytic that is asked for as before at its position goes on as if nothing had happened.
        """
        if analytics == self.begin.spec.analytics:
            return ()
        left = {slot.index: slot for slot in self.slots}
        staying = {i: left.pop(i) for i, asked in enumerate(analytics) if i in left and left[i].asked == asked}
        events: list[Event] = []
        for slot in left.values():
            events += slot.close(self._standing(slot.key))
            self.begun[slot.index] = slot.begun
        self.begin = msgspec.structs.replace(
            self.begin, spec=msgspec.structs.replace(self.begin.spec, analytics=analytics)
        )
        self.slots = list(staying.values())
        for index in range(len(analytics)):
            if index not in staying:
                self._fill(index, settings, later=True)
        self.slots.sort(key=lambda slot: slot.index)
        return tuple(events)

    def close(self) -> tuple[Event, ...]:
        """The run is over: everything that is open ends at its last frame."""
        departures = {key: follower.close() for key, follower in self.followers.items()}
        return tuple(event for slot in self.slots for event in slot.close(departures.get(slot.key, ())))

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """These pictures could not be taken."""
        for slot in self.slots:
            slot.analytic.forget_pictures(media_keys)

    def _fill(self, index: int, settings: Analyse, *, later: bool) -> None:
        """Let what is asked for at a position be done, if it can be."""
        asked, who = self.begin.spec.analytics[index], self.begin
        subject = _subject(who, index, self.begun.get(index, 0))
        try:
            self.slots.append(Slot.of(subject, asked, settings.min_score, self.rate, later=later))
        except InvalidInput as error:
            metrics.counter("sightline_analytics_left_out_total").labels(asked.name, "refused").inc()
            _log.error("analytic_refused", stream=str(who.stream_id), analytic=asked.name, reason=str(error))

    def _turn(self, now: Moment) -> list[Event]:
        """Pause and resume what the frame's wall time says, so that a replay does the same."""
        events: list[Event] = []
        for slot in self.slots:
            if not slot.paused and not slot.goes_on(now):
                events += slot.pause(self._standing(slot.key))
        # a follower that nobody needs would take what it sees after the pause for what it saw before
        going_on = {slot.key for slot in self.slots if not slot.paused}
        for key in [key for key in self.followers if key not in going_on]:
            self.plan.forget(d.track_id for d in self.followers.pop(key).close())
        for slot in self.slots:
            if slot.paused and slot.works_at(now.ts_ms):
                slot.resume(now)
            if not slot.paused and slot.key not in self.followers:
                self.followers[slot.key] = Follower(*slot.key, self.rate, _aspect(self.begin))
        return events

    def _standing(self, key: Key) -> tuple[Departure, ...]:
        follower = self.followers.get(key)
        return () if follower is None else follower.standing()

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

    def _overview(self, frame: FrameDetections, view: ViewId, keeping: Keeping) -> Wanted:
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
            media_key=media_key(frame.stream_id, frame.run, view, keeping.suffix),
            quality=0.0,
            lane=self.begin.spec.lane,
            embedded=False,
            keeping=keeping,
        )


def _subject(begin: RunBegin, index: int, begun: int = 0) -> Subject:
    return Subject(
        stream_id=begin.stream_id,
        run=begin.run,
        analytic_index=index,
        ephemeral=begin.spec.ephemeral,
        width=begin.video.width,
        height=begin.video.height,
        begun=begun,
    )


def _kept(
    shown: Sequence[tuple[Slot, Followed]], followed: Mapping[Key, Followed], *, viewed_only: bool
) -> list[Sighting]:
    """The sightings that some analytic wants, by track, as they are followed."""
    kept: dict[TrackId, Sighting] = {}
    for slot, seen in shown:
        need = slot.analytic.need
        if need.views or not viewed_only:
            tracks = {s.track_id for s in seen.sightings if need.wants(s.label)}
            kept |= {s.track_id: s for s in followed[slot.key].sightings if s.track_id in tracks}
    return [kept[track] for track in sorted(kept)]


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
