"""The stage `analyse`: detections in; tracks, views and events out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from core import metrics
from core.bounds import check_key
from core.clock import Clock, now_ms, rfc3339, wall_clock
from core.errors import BadMessage
from core.ids import StreamId, ViewId, ce_id
from core.messages import (
    AnalyticsChanged,
    Event,
    FrameDetections,
    FrameTracks,
    RunBegin,
    RunEnd,
    View,
    decode_detections,
    encode_json,
)
from core.settings import Analyse
from core.topics import Topics
from streams_proc.memory import Memory, Undo
from streams_proc.run_state import Draft, RunState
from streams_proc.stage import Outcome, Output, Poison, Record
from streams_proc.views import ViewTaker, Wanted

LIVE_IS_NEAR_S = 15.0
"""So long after a live frame the partition's tasks ask as live: the next one waits for them. A camera that shows
nothing new is looked at every ten seconds (`Gate.recheck_s`)."""

Message = RunBegin | FrameTracks | RunEnd | Event


@dataclass(frozen=True, slots=True)
class _Taken:
    """One record's way through a chunk, before its views are taken."""

    messages: Sequence[Message] = ()
    wanted: Sequence[Wanted] = ()
    poison: BadMessage | None = None
    published_ms: int = 0
    lane: str = ""


class AnalyseHandler:
    """Follows the runs of one partition of `detections`.

    A chunk is all or nothing: when a view's frame or embedding cannot be had for now, every run is
    as it was before the chunk, and the same chunk may be given again. What comes out depends on
    the records alone, not on how they are cut into chunks.

    Args:
        views: shared by all partitions of a process.
        clock: for the latency metric only.
        monotonic: seconds; for the lane on which views are asked for only.
    """

    def __init__(
        self,
        topics: Topics,
        settings: Analyse,
        views: ViewTaker,
        *,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = topics
        self._settings = settings
        self._views = views
        self._clock = clock
        self._monotonic = monotonic
        self._live_at = -LIVE_IS_NEAR_S
        self._memory = Memory()

    async def handle(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Outputs of each record; a record that is no message of `detections`, or of no run, is poison.

        Raises:
            TransientError: broker or model server, for views; nothing has changed.
            GapError: a batch has lost a frame.
        """
        undo = Undo(self._memory)
        try:
            taken = [self._take(record, undo) for record in records]
            wanted = [want for one in taken for want in one.wanted]
            if self._monotonic() - self._live_at < LIVE_IS_NEAR_S:
                wanted = [replace(want, lane="live") for want in wanted]
            views = await self._views.take(wanted)
        except BaseException:
            undo.back()
            raise
        missing = frozenset(want.media_key for want in wanted if want.view_id not in views)
        if missing:
            self._memory.forget_pictures(undo.streams, missing)
        return [self._outcome(one, views, missing) for one in taken]

    def snapshot(self) -> bytes | None:
        """Every run's state; None when there is none."""
        return self._memory.snapshot()

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave. Raises SnapshotError."""
        self._memory.restore(data)

    def _take(self, record: Record, undo: Undo) -> _Taken:
        try:
            message = decode_detections(record.value)
            check_key(record.key, message.stream_id)
        except BadMessage as error:
            return _Taken(poison=error)
        undo.keep(message.stream_id)
        match message:
            case RunBegin():
                return self._begin(message)
            case AnalyticsChanged():
                return self._change(message)
            case FrameDetections():
                return self._frame(message)
            case RunEnd():
                return self._end(message)

    def _begin(self, begin: RunBegin) -> _Taken:
        if self._memory.is_over(begin.stream_id, begin.run):
            return _Taken()
        state = self._memory.run(begin.stream_id)
        if state is not None and state.begin.run >= begin.run:
            return _Taken()
        # A newer run without the elder's end: its host died, and the definition changed meanwhile.
        events = state.close() if state is not None else ()
        self._memory.begin(RunState.of(begin, self._settings))
        return _Taken((*events, begin))

    def _change(self, change: AnalyticsChanged) -> _Taken:
        if self._memory.is_over(change.stream_id, change.run):
            return _Taken()
        state = self._memory.run(change.stream_id)
        if state is None or state.begin.run < change.run:
            return _Taken(poison=BadMessage(f"a change of run {change.run}, which has not begun"))
        if state.begin.run > change.run or change.seq < state.next_seq:
            return _Taken()
        return _Taken(state.change(change.analytics, self._settings))

    def _frame(self, frame: FrameDetections) -> _Taken:
        if self._memory.is_over(frame.stream_id, frame.run):
            return _Taken()
        state = self._memory.run(frame.stream_id)
        if state is None or state.begin.run < frame.run:
            return _Taken(poison=BadMessage(f"frame {frame.seq} of run {frame.run}, which has not begun"))
        if state.begin.run > frame.run or frame.seq < state.next_seq:
            return _Taken()
        try:
            draft: Draft = state.frame(frame)
        except BadMessage as error:
            return _Taken(poison=error)
        lane = state.begin.spec.lane
        if lane == "live":
            self._live_at = self._monotonic()
        return _Taken((draft.tracks, *draft.events), draft.wanted, published_ms=frame.published_ms, lane=lane)

    def _end(self, end: RunEnd) -> _Taken:
        if self._memory.is_over(end.stream_id, end.run):
            return _Taken()
        state = self._memory.run(end.stream_id)
        if state is not None and state.begin.run > end.run:
            return _Taken()
        # A run that could not even begin has an end too, for whoever waits for it.
        events = state.close() if state is not None else ()
        self._memory.end(end.stream_id, end.run)
        return _Taken((*events, end))

    def _outcome(self, taken: _Taken, views: Mapping[ViewId, View], missing: Collection[str]) -> Outcome:
        if taken.poison is not None:
            return Poison(taken.poison)
        outputs: list[Output] = []
        for message in taken.messages:
            match message:
                case FrameTracks():
                    found = tuple(views[w.view_id] for w in taken.wanted if w.view_id in views)
                    outputs.append(self._to_tracks(msgspec.structs.replace(message, views=found)))
                case Event():
                    outputs.append(self._to_events(without(message, missing)))
                case RunBegin():
                    outputs.append(self._to_tracks(message))
                case RunEnd():
                    outputs += [self._to_tracks(message), self._run_end_to_events(message)]
        if taken.published_ms:
            seconds = (now_ms(self._clock) - taken.published_ms) / 1000
            metrics.histogram("sightline_analyse_latency_seconds").labels(taken.lane).observe(max(0.0, seconds))
        return outputs

    def _to_tracks(self, message: RunBegin | FrameTracks | RunEnd) -> Output:
        return Output(self._topics.tracks, stream_key(message.stream_id), encode_json(message))

    def _run_end_to_events(self, end: RunEnd) -> Output:
        return Output(self._topics.events, stream_key(end.stream_id), encode_json(end))

    def _to_events(self, event: Event) -> Output:
        metrics.counter("sightline_events_total").labels(event.type, event.phase).inc()
        return Output(self._topics.events, stream_key(event.stream_id), encode_json(event), cloud_event(event))


def stream_key(stream: StreamId) -> bytes:
    """Kafka key of everything about a stream."""
    return str(stream).encode()


def without(event: Event, missing: Collection[str]) -> Event:
    """`event`, with no picture where its picture could not be taken."""
    overview = event.data.get("overview")
    if isinstance(overview, dict) and overview.get("image") in missing:
        event = msgspec.structs.replace(event, data={**event.data, "overview": {**overview, "image": None}})
    return msgspec.structs.replace(event, image=None) if event.image in missing else event


def cloud_event(event: Event) -> dict[str, bytes]:
    """CloudEvents attributes in Kafka's binary mode."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": ce_id(event.event_id, event.phase, event.number),
        "ce_source": f"/streams/{event.stream_id}",
        "ce_type": f"io.sightline.{event.type}.{event.phase}",
        "ce_time": rfc3339(event.ts_ms),
        "ce_subject": str(event.event_id),
        "content-type": "application/json",
    }
    return {name: value.encode() for name, value in attributes.items()}
