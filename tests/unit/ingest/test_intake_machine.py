"""One run through readers that crash, are suspended and go on: its records, checkpoints and counts.

The broker keeps a producer's records in their order, each partition for itself; what has not
arrived when a reader dies never does. Sessions take turns until the run ends, and then everything
must be as if one reader had never been disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from ingest_fakes import STREAM, FakeClock, FakeDecoded, FakeLag, FakeMessage, FakeSource, spec

from core.ids import Run
from core.messages import Frame, IngestCounts, StreamSpec, VideoInfo, decode_frames
from core.settings import Ingest, Kafka
from core.topics import Topics
from ingest import progress
from ingest.backlog import REFRESH_S, Backlog
from ingest.control import Control
from ingest.decoded import ProblemSink, Unneeded
from ingest.lanes import BatchLane, LiveLane, Numbering
from ingest.ledger import Ledger
from ingest.progress import Checkpoint
from ingest.reader import Reader
from ingest.reading import Reading, Resume
from ingest.recover import Standing, _mark
from ingest.reporter import Teller

TOPICS = Topics.of(Kafka())
FRAMES = 24
LARGE = frozenset({3, 4, 11})
"""Frames whose picture is too large for a record."""


class Crash(Exception):
    """The process is gone."""


@dataclass
class Log:
    """The frames' partition and the run's newest checkpoint, as the broker has them."""

    frames: list[bytes] = field(default_factory=list)
    checkpoint: Checkpoint = field(default_factory=lambda: Checkpoint(STREAM, Run(1), "batch"))

    def take(self, topic: str, value: bytes) -> int:
        if topic == TOPICS.ingest_progress:
            self.checkpoint = progress.decode(value)
            return 0
        self.frames.append(value)
        return len(self.frames) - 1

    def standing(self) -> Standing:
        """What `recover` finds."""
        standing = Standing.of(self.checkpoint)
        for offset in range(self.checkpoint.offset, len(self.frames)):
            value = self.frames[offset]
            record: Any = SimpleNamespace(error=lambda: None, key=lambda: str(STREAM).encode(), value=lambda v=value: v)
            mark = _mark(record, self.checkpoint)
            standing = standing if mark is None else standing.with_mark(mark)
        return replace(standing, offset=len(self.frames))


@dataclass
class Producer:
    """Hands records over to the log, and tells of them, when it is let to."""

    log: Log
    waiting: list[tuple[str, bytes, Callable[..., None]]] = field(default_factory=list)
    arrived: list[tuple[Callable[..., None], int]] = field(default_factory=list)

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, on_delivery: Callable[..., None]) -> None:
        self.waiting.append((topic, value, on_delivery))

    def poll(self, timeout: float) -> int:
        return 0

    def flush(self, timeout: float) -> int:
        self.arrive(len(self.waiting), of=None)
        self.tell()
        return 0

    def arrive(self, count: int, of: str | None) -> None:
        """The broker takes the next records of a topic (None: of all)."""
        for one in [w for w in self.waiting if of in (None, w[0])][:count]:
            self.waiting.remove(one)
            self.arrived.append((one[2], self.log.take(one[0], one[1])))

    def tell(self) -> None:
        arrived, self.arrived = self.arrived, []
        for delivered, offset in arrived:
            delivered(None, FakeMessage(offset))


@dataclass
class Step:
    """What happens around one decoded frame."""

    arrive: int = 9
    tell: bool = True
    backlog: bool = False
    checkpoint: bool = False


@dataclass
class Scripted:
    """A source that lets a step happen before each frame, and may end the process there."""

    before: Callable[[int], None]
    inner: FakeSource = field(default_factory=lambda: FakeSource(count=FRAMES))
    decoder: str = "fake"
    broken: str | None = None
    lost: str | None = None
    times: str = "recorded"

    @property
    def probe(self) -> Any:
        return self.inner.probe

    def frames(self, problem: ProblemSink, unneeded: Unneeded) -> Iterator[FakeDecoded]:
        for frame in self.inner.frames(problem, unneeded):
            self.before(frame.number)
            yield frame


@dataclass
class Gate:
    """Lets the first frame through that it sees, and then those in which something moves."""

    still: frozenset[int]
    first: bool = True

    def lets(self, _: Any, time_s: Fraction) -> bool:
        first, self.first = self.first, False
        return first or int(time_s * 10) not in self.still


class Session:
    """A reader process, built as `ingest.reader` builds it."""

    def __init__(self, log: Log, definition: StreamSpec, steps: list[Step], crash: bool, still: frozenset[int]) -> None:
        self.log = log
        self.steps = steps
        self.crash = crash
        self.producer = Producer(log)
        self.clock = FakeClock()
        self.lag = FakeLag()
        self.control = Control(self.clock, lease_s=1e9)
        reader: Any = SimpleNamespace(
            _spec=definition,
            _start=SimpleNamespace(partition=0),
            _topics=TOPICS,
            _producer=self.producer,
            _control=self.control,
        )
        reader._frames_topic = TOPICS.frames_live if definition.lane == "live" else TOPICS.frames_batch
        standing = log.standing()
        self.ledger = Ledger(definition.lane, Reader._counts_before(reader, log.checkpoint, standing))
        self.publisher = Reader._publisher(reader, standing, self.ledger)
        numbering = Numbering(
            self.publisher, Backlog(self.lag, 5_000, self.clock), self.ledger, standing.next_seq, 9_000
        )
        self.lane = (
            LiveLane(numbering, self.ledger, 3_000)
            if definition.lane == "live"
            else BatchLane(numbering, self.ledger, self._wait)
        )
        source = Scripted(self._before)
        self.resume: Resume = Reader._resume(reader, standing, source, self.ledger.counts)
        self.reading = Reading(
            definition,
            source,
            Ingest(),
            lane=self.lane,
            ledger=self.ledger,
            control=self.control,
            resume=self.resume,
            clock=lambda: 5_000.0,
            monotonic=self.clock,
        )
        self.reading._shape = SimpleNamespace(size=self.reading._shape.size, jpeg=picture)  # type: ignore[assignment]
        self.reading._gate = Gate(still) if still else None  # type: ignore[assignment]
        self.teller = Teller(definition, "host", self.publisher, self.ledger, VideoInfo(64, 48, 10.0))
        self.done = 0

    def run(self) -> bool:
        """Whether the source has come to its end."""
        try:
            self.reading.run()
        except Crash:
            return False
        self.lane.drain()
        self.check(settled=True)
        self.publisher.checkpoint(self.teller.checkpoint())
        self.publisher.flush()
        return self.control.order == "go"

    def _before(self, number: int) -> None:
        if self.resume.behind is not None and Fraction(number, 10) <= self.resume.behind:
            return
        self.check(settled=False)
        if self.done == len(self.steps):
            if self.crash:
                raise Crash
            self.control.tell("suspend")
            return
        step = self.steps[self.done]
        self.done += 1
        self.clock.now += REFRESH_S
        self.lag.records = 1000 if step.backlog else 0
        if step.checkpoint:
            self.publisher.checkpoint(self.teller.checkpoint())
        for topic in (TOPICS.frames_live, TOPICS.frames_batch, TOPICS.ingest_progress):
            self.producer.arrive(step.arrive, topic)
        if step.tell:
            self.producer.tell()

    def _wait(self, _: float) -> bool:
        """Batch waits for room, and gets it."""
        self.lag.records = 0
        self.clock.now += REFRESH_S
        self.producer.flush(0)
        return True

    def check(self, *, settled: bool) -> None:
        """The equations of ingest, at any moment."""
        counts = self.ledger.counts
        unacknowledged = sum(1 for topic, *_ in self.producer.waiting if topic.split(".")[-2] == "frames") + sum(
            1 for _ in self.producer.arrived
        )
        queued = len(self.lane._queue) if isinstance(self.lane, LiveLane) else 0
        assert counts.decoded == counts.sampled_out + counts.read
        left = counts.read - counts.gated - counts.published - sum(counts.dropped.values()) - queued
        assert (left == 0) if settled else (0 <= left <= unacknowledged)


def picture(image: Any) -> bytes:
    number = int(image[0, 0, 0])
    return bytes([number]) * (9_000 if number in LARGE else 1_000)


def frames_of(log: Log) -> list[Frame]:
    return [frame for frame in map(decode_frames, log.frames) if isinstance(frame, Frame)]


def undisturbed(definition: StreamSpec, still: frozenset[int]) -> tuple[list[Frame], IngestCounts]:
    log = Log(checkpoint=Checkpoint(STREAM, Run(1), definition.lane))
    session = Session(log, definition, [Step() for _ in range(FRAMES + 1)], crash=False, still=still)
    assert session.run()
    return frames_of(log), session.ledger.counts


steps = st.builds(Step, st.sampled_from([0, 1, 2, 9]), st.booleans(), st.booleans(), st.booleans())


class Intake(RuleBasedStateMachine):
    """Sessions of one run, one after the other."""

    @initialize(
        lane=st.sampled_from(["batch", "live"]),
        fps=st.sampled_from([0.0, 3.0, 7.5]),
        still=st.one_of(st.just(frozenset()), st.frozensets(st.integers(0, FRAMES - 1), max_size=FRAMES)),
    )
    def begin(self, lane: str, fps: float, still: frozenset[int]) -> None:
        self.definition = spec(lane=lane, fps=fps)
        self.still = still
        self.log = Log(checkpoint=Checkpoint(STREAM, Run(1), self.definition.lane))
        self.ended: IngestCounts | None = None

    @rule(script=st.lists(steps, max_size=12), crash=st.booleans())
    def session(self, script: list[Step], crash: bool) -> None:
        if self.ended is not None:
            return
        known = frames_of(self.log)
        session = Session(self.log, self.definition, script, crash, self.still)
        if session.run():
            self.ended = session.ledger.counts
        assert frames_of(self.log)[: len(known)] == known
        self._check()

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        while self.ended is None:
            self.session([Step() for _ in range(FRAMES + 1)], crash=False)
        frames = frames_of(self.log)
        whole, counts = undisturbed(self.definition, self.still)
        assert self.ended.decoded == FRAMES
        assert self.ended.published == len(frames)
        assert sum(frame.held for frame in frames) <= self.ended.gated
        if self.definition.lane == "batch":
            assert frames == whole
            assert self.ended == counts
        else:
            new = {f.index for f in frames} - {f.index for f in whole}
            assert not new or self.definition.source.fps or self.still
            if not self.definition.source.fps:
                assert self.ended.sampled_out == 0

    def _check(self) -> None:
        frames = frames_of(self.log)
        assert [f.seq for f in frames] == list(range(len(frames))), "no number is missing or used twice"
        indices = [f.index for f in frames]
        assert indices == sorted(set(indices)), "no frame comes twice"
        between = [(b.index - a.index, b.media_s - a.media_s, b) for a, b in pairwise(frames)]
        assert all(f.held < count and f.held_s < seconds for count, seconds, f in between if f.held)
        assert all(f.jpeg == bytes([f.index]) * 1_000 for f in frames), "a frame's place is its own"


TestIntake = Intake.TestCase
TestIntake.settings = settings(max_examples=60, stateful_step_count=8, phases=(Phase.explicit, Phase.generate))
