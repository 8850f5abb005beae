"""Rounds of load with faults in them, each compared with an undisturbed run; and the figures of all of them."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from core.ids import StreamId
from core.messages import FrameDetections, FrameTracks, RunBegin, RunEnd, decode_detections, decode_tracks
from core.settings import Settings
from core.topics import Topics
from streams_proc.stage import Record
from tests.faults.faults import RECOVERY_S, Fault, stands
from tests.faults.load import STREAMS, TASKS, Clip, Service, until
from tests.faults.pulse import Offsets, Pulse
from tests.faults.rig import Rig
from tests.faults.rows import Rows, Stores, without_ids
from tests.faults.undisturbed import Answers, Found, expect, once, records_of
from warehouse.analytics import AnalyticsStore
from warehouse.migrate import migrate

PATIENCE_S = 90.0
SETTLE_S = 240.0
LEDGER_S = 1.0
ENDED = ("done", "stop")
"""How a stream ends: its file at its end, a camera when it is stopped."""

ALL_LEDGERS_EVERY = 15
"""Looks: in between, those of runs that have ended are not asked for again, which would be most of the load."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What happened to one kind of fault.

    Attributes:
        lost, duplicated, disordered: rows and frames of the rounds in which it was.
        unsummed: ledgers seen that did not sum.
        recovery_s: seconds until what came after had passed, for each time it could be seen.
        slow: times beyond the promise, or not within patience.
    """

    times: int = 0
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    unsummed: int = 0
    recovery_s: list[float] = field(default_factory=list)
    slow: int = 0


@dataclass(slots=True)
class Verdict:
    """What one round came to.

    Attributes:
        frames: that must be there; gated: that the motion gate held back.
    """

    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    unsummed: int = 0
    frames: int = 0
    gated: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.duplicated or self.disordered or self.unsummed)


@dataclass(slots=True)
class Figures:
    """Of a whole campaign."""

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    rounds: int = 0
    bad_rounds: int = 0
    frames: int = 0
    gated: int = 0
    notes: list[str] = field(default_factory=list)


class Campaign:
    """Rounds on one stack.

    Args:
        tasks: clips of each round's batch lane; streams: of its live lane.
    """

    def __init__(
        self,
        rig: Rig,
        service: Service,
        seed: int,
        say: Say,
        *,
        tasks: Sequence[Clip] = TASKS,
        streams: Sequence[Clip] = STREAMS,
    ) -> None:
        self.figures = Figures()
        self._rig = rig
        self._service = service
        self._chance = random.Random(seed)
        self._say = say
        self._tasks = tasks
        self._streams = streams
        self._stores = Stores(rig.settings)
        self._offsets = Offsets(rig.settings.kafka)
        database = rig.settings.clickhouse.model_copy(update={"database": "undisturbed"})
        self._apart: Settings = rig.settings.model_copy(update={"clickhouse": database})
        migrate(self._apart)
        self._undisturbed = AnalyticsStore.connect(self._apart)
        self._expected: dict[Clip, Rows] = {}
        self._answers: Answers = {}

    def prepare(self, *, twice: bool = True) -> None:
        """Analyse every clip of the batch lane undisturbed; if twice, the second time must equal the first."""
        for clip in self._tasks:
            first = self._alone(clip)
            assert first.by_kind["frames"], f"{clip.name}: nothing was read"
            if twice:
                second = self._alone(clip)
                assert not second.missing_from(first), second.differences(first)
                assert not first.missing_from(second), second.differences(first)
            self._expected[clip] = first
            self._say(f"undisturbed {clip.name}: {first.counts()}")

    def _alone(self, clip: Clip) -> Rows:
        task = self._service.submit(clip)
        self._finished([task])
        rows = without_ids(self._stores.rows(task))
        self._service.forget([task], [])
        return rows

    def round(self, deck: list[Fault], most: int = 1000) -> Verdict:
        """Load, faults from the end of the deck while the longest stream runs, then the comparison."""
        verdict = Verdict()
        live = {self._service.watch(clip): clip for clip in self._streams}
        batch: dict[StreamId, Clip] = {}
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch_ledgers, args=(batch, live, verdict, ended))
        watcher.start()
        done: list[tuple[Fault, float | None]] = []
        try:
            self._submit(batch)
            begun = self._reading(live)
            while deck and len(done) < most:
                running = self._running(live, begun)
                if not running:
                    break
                over = begun + min(live[stream].lasts_s for stream in running)
                self._caught_up(running, over)
                time.sleep(self._chance.uniform(0.0, 3.0))
                fault = deck.pop()
                done.append((fault, self._strike(fault, running, over)))
                if all(self._service.task(task)["state"] == "done" for task in batch):
                    self._submit(batch)
            until(lambda: stands(self._rig), "every process runs")
            self._finished(list(batch))
            for stream in (stream for stream, clip in live.items() if clip.endless):
                self._service.stop(stream)
            self._ended(list(live), max(0.0, begun + max(clip.lasts_s for clip in live.values()) - time.monotonic()))
        finally:
            ended.set()
            watcher.join()
            self._offsets.close()
        wanted_tasks = self._judge_tasks(batch, verdict)
        wanted_streams = self._judge_streams(live, verdict)
        self._judge_ledgers({**wanted_tasks, **wanted_streams}, verdict)
        self._note(done, verdict)
        self._service.forget(list(batch), list(live))
        return verdict

    def _submit(self, batch: dict[StreamId, Clip]) -> None:
        for clip in self._tasks:
            batch[self._service.submit(clip)] = clip

    def _reading(self, live: Mapping[StreamId, Clip]) -> float:
        """When (monotonic) frames of all streams come."""
        now = time.monotonic()
        pulse = Pulse(self._rig.settings, self._offsets, list(live), now + PATIENCE_S)
        assert pulse.recovery_s("detect", now, PATIENCE_S) is not None, "not all streams begin"
        return time.monotonic()

    def _running(self, live: Mapping[StreamId, Clip], begun: float) -> list[StreamId]:
        """The streams that go on long enough to show a recovery."""
        age = time.monotonic() - begun
        return [stream for stream, clip in live.items() if clip.lasts_s - age > RECOVERY_S]

    def _caught_up(self, running: Sequence[StreamId], over: float) -> None:
        """Until the line is through with what the fault before has held up: the next one's recovery is its own."""
        Pulse(self._rig.settings, self._offsets, running, over).recovery_s("all", time.monotonic(), PATIENCE_S)

    def _strike(self, fault: Fault, running: Sequence[StreamId], over: float) -> float | None:
        pulse = Pulse(self._rig.settings, self._offsets, running, over)
        service = self._rig.pid("query")
        if not fault.act(self._rig, self._chance):
            self._say(f"  {fault.name}: there was nothing to hurt")
            return None
        begun = time.monotonic()
        if fault.process == "query":
            # for a moment the supervisor still knows the killed one, and its worker still answers
            until(
                lambda: self._rig.pid("query") != service and self._rig.serves() and self._service.alive(),
                "another query service answers",
            )
            seconds: float | None = time.monotonic() - begun
        else:
            seconds = pulse.recovery_s(fault.process, begun, PATIENCE_S)
        steps = ", ".join(f"{part} {after:.1f}" for part, after in pulse.steps.items())
        self._say(f"  {fault.name}: {'not seen to recover' if seconds is None else f'{seconds:.1f} s'} ({steps})")
        return seconds

    def _finished(self, tasks: Sequence[StreamId]) -> None:
        def over() -> bool:
            states = [self._service.task(task) for task in tasks]
            for state in states:
                assert state["state"] not in ("failed", "cancelled"), state
            return all(state["state"] == "done" for state in states)

        until(over, f"tasks {tasks} are done", SETTLE_S)

    def _ended(self, streams: Sequence[StreamId], left_s: float) -> None:
        """Until they have; `left_s`: how long the longest of them still plays."""

        def over() -> bool:
            ledgers = self._service.ledgers(streams)
            return len(ledgers) >= len(streams) and all(
                ledger["finished"] and ledger["state"] in ENDED and not ledger["in_flight"] for ledger in ledgers
            )

        until(over, f"streams {streams} have ended", left_s + SETTLE_S)

    def _watch_ledgers(
        self, batch: Mapping[StreamId, Clip], live: Mapping[StreamId, Clip], verdict: Verdict, ended: threading.Event
    ) -> None:
        settled: set[StreamId] = set()
        seen: dict[str, int] = {}
        looks = itertools.count()
        while not ended.wait(LEDGER_S):
            if next(looks) % ALL_LEDGERS_EVERY == 0:
                settled.clear()
            try:
                asked = [stream for stream in (*tuple(batch), *live) if stream not in settled]
                for ledger in self._service.ledgers(asked) if asked else ():
                    self._look_at(ledger, seen, verdict)
                    if ledger["finished"] and not ledger["in_flight"]:
                        settled.add(StreamId(UUID(ledger["stream_id"])))
            except Exception as error:  # a thread of its own: the verdict says it
                verdict.unsummed += 1
                verdict.notes.append(f"ledger: {error!r}")

    @staticmethod
    def _look_at(ledger: Mapping[str, Any], seen: dict[str, int], verdict: Verdict) -> None:
        """While it runs: both sums, no frame that is nowhere, and nothing that was counted is taken back."""
        done = ledger["processed"] + ledger["dead_lettered"]
        if not sums(ledger) or ledger["imbalance"] or done < seen.get(ledger["stream_id"], 0):
            verdict.unsummed += 1
            verdict.notes.append(f"ledger, {seen.get(ledger['stream_id'], 0)} were done before: {ledger}")
        seen[ledger["stream_id"]] = done

    def _judge_tasks(self, batch: Mapping[StreamId, Clip], verdict: Verdict) -> dict[StreamId, int]:
        """The frames that each must have."""
        for task, clip in batch.items():
            stored = self._stores.rows(task)
            self._compare(f"task {clip.name}", without_ids(stored), self._expected[clip], verdict)
        return {task: len(self._expected[clip].by_kind["frames"]) for task, clip in batch.items()}

    def _judge_streams(self, live: Mapping[StreamId, Clip], verdict: Verdict) -> dict[StreamId, int]:
        """The frames that Kafka has acknowledged of each."""
        settings = self._rig.settings
        topics, streams = Topics.of(settings.kafka), list(live)
        frames = records_of(settings, topics.frames_live, streams)
        published = {topic: records_of(settings, topic, streams) for topic in (topics.detections, topics.tracks)}
        wanted = {}
        for stream, clip in live.items():
            expected = self._expectation(stream, expect(settings, once(frames[stream]), self._answers))
            self._compare(f"stream {clip.name}", self._stores.rows(stream), expected, verdict)
            verdict.disordered += disorder(published[topics.detections][stream], decode_detections)
            verdict.disordered += disorder(published[topics.tracks][stream], decode_tracks)
            self._undisturbed.delete_stream(stream)
            wanted[stream] = len(expected.by_kind["frames"])
        return wanted

    def _expectation(self, stream: StreamId, found: Found) -> Rows:
        """What the pass found, through a database of its own, so that both sides are read in the same way."""
        self._undisturbed.write_frames(found.frames)
        self._undisturbed.write_tracks(found.tracks)
        self._undisturbed.write_events(found.events)
        rows = self._stores.rows(stream, self._undisturbed)
        vectors = [
            ((v.track_id, t.seq, v.keyspace), tuple(map(float, np.asarray(v.embedding, np.float32))))
            for t in found.tracks
            for v in t.views
            if v.embedding
        ]
        pictures = [((v.track_id, t.seq, v.keyspace),) for t in found.tracks for v in t.views]
        return Rows({**rows.by_kind, "vectors": vectors, "pictures": pictures})

    def _compare(self, what: str, stored: Rows, expected: Rows, verdict: Verdict) -> None:
        lost, more, twice = expected.missing_from(stored), stored.missing_from(expected), stored.duplicates()
        verdict.frames += len(expected.by_kind["frames"])
        verdict.lost += lost
        verdict.duplicated += max(more - lost, 0) + twice
        if lost or more or twice:
            verdict.notes += [f"{what}: {line}" for line in stored.differences(expected)]

    def _judge_ledgers(self, wanted: Mapping[StreamId, int], verdict: Verdict) -> None:
        """One run each, finished, that has as many frames as were counted past the ledger."""
        found = self._service.ledgers(list(wanted))
        if sorted(ledger["stream_id"] for ledger in found) != sorted(map(str, wanted)):
            verdict.unsummed += 1
            verdict.notes.append(f"ledgers of {[(ledger['stream_id'], ledger['run']) for ledger in found]}")
        for ledger in found:
            verdict.gated += ledger["gated"]
            frames = wanted[StreamId(UUID(ledger["stream_id"]))]
            open_ = ledger["in_flight"] or ledger["imbalance"] or not ledger["finished"]
            if not sums(ledger) or open_ or ledger["processed"] != frames:
                verdict.unsummed += 1
                verdict.notes.append(f"ledger at the end, {frames} frames were counted: {ledger}")

    def _note(self, done: Sequence[tuple[Fault, float | None]], verdict: Verdict) -> None:
        figures = self.figures
        figures.rounds += 1
        figures.bad_rounds += not verdict.good
        figures.frames += verdict.frames
        figures.gated += verdict.gated
        figures.notes += verdict.notes
        for fault, seconds in done:
            tally = figures.tallies[fault.name]
            tally.times += 1
            tally.lost += verdict.lost
            tally.duplicated += verdict.duplicated
            tally.disordered += verdict.disordered
            tally.unsummed += verdict.unsummed
            if seconds is not None:
                tally.recovery_s.append(seconds)
            tally.slow += seconds is None or (fault.limit_s is not None and seconds > fault.limit_s)


def sums(ledger: Mapping[str, Any]) -> bool:
    """Whether both sums of a ledger are right and nothing in it is negative."""
    settled = ledger["processed"] + ledger["gated"] + sum(ledger["dropped"].values()) + ledger["dead_lettered"]
    parts = [ledger["sampled_out"], ledger["in_flight"], *ledger["dropped"].values()]
    return (
        ledger["decoded"] == ledger["sampled_out"] + ledger["read"]
        and ledger["read"] == settled + ledger["in_flight"]
        and min(parts, default=0) >= 0
    )


def disorder(records: Sequence[Record], decode: Callable[[bytes | None], Any]) -> int:
    """Frames that came for the first time after a later one."""
    wrong, highest = 0, -1
    seen: set[int] = set()
    for record in records:
        message = decode(record.value)
        if isinstance(message, RunBegin | RunEnd) or not isinstance(message, FrameDetections | FrameTracks):
            continue
        if message.seq not in seen:
            wrong += message.seq < highest
            highest = max(highest, message.seq)
            seen.add(message.seq)
    return wrong
