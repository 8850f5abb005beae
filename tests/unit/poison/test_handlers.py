"""Bad records between good ones, at every handler: each is a dead letter, and the good ones never notice."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import messages as m
from core.errors import BadImage, BadMessage, GapError
from core.ids import Run, StreamId
from core.settings import Kafka
from core.topics import Topics
from ingest import progress, recover
from ingest.host import definition
from ingest.progress import ProgressLog
from query_api import following
from query_api.following import Collected
from query_api.refusals import TooLarge
from streams_proc.detect import DetectHandler
from streams_proc.sink import SinkHandler
from streams_proc.sink_clickhouse import ByTopic, ClickHouseStore
from streams_proc.sink_lancedb import LanceDbStore
from streams_proc.sink_media import MediaSink
from streams_proc.stage import Handler, Outcome, Poison, Record
from streams_proc.status import StatusHandler
from streams_proc.trim import _batch_place
from tests.hostile import messages as hostile
from tests.unit.analyse import scenes
from tests.unit.streams_proc.test_control import FakeRuns, status
from tests.unit.streams_proc.test_sinks import FakeLedger, FakeStore, event, tracks, view
from tests.unit.streams_proc.test_sinks import end as run_end
from tests.unit.streams_proc.test_sinks import frame as detections

TOPICS = Topics.of(Kafka(prefix="p."))
SEEDS = range(20)
A = StreamId(UUID(int=1))


class Detector:
    """Sees nothing, and no picture in what does not begin as a JPEG."""

    async def detect(self, model: str, images: Sequence[bytes], *, lane: m.Lane) -> list[Any]:
        assert model == "m"
        return [() if image.startswith(b"\xff\xd8") else BadImage("no JPEG") for image in images]

    async def detect_faces(self, model: str, images: Sequence[bytes], *, lane: m.Lane) -> list[Any]:
        return [() for _ in images]

    async def version(self, model: str) -> int:
        return 1


def record(topic: str, offset: int, message: Any) -> Record:
    """A message, or a poison, as it lies in Kafka."""
    if isinstance(message, hostile.Poison):
        return Record(topic, 0, offset, message.key, message.value)
    value = m.encode_frame(message) if topic == TOPICS.frames_batch else m.encode_json(message)
    return Record(topic, 0, offset, str(message.stream_id).encode(), value)


def mixed(kind: str, good: Sequence[Any], seed: int) -> list[Any]:
    """The good messages in order, with one to three bad ones before each and after the last."""
    chance = random.Random(seed)
    made: list[Any] = []
    for message in [*good, None]:
        made += [hostile.bad(kind, chance.getrandbits(32), A) for _ in range(chance.randint(1, 3))]
        made += [] if message is None else [message]
    return made


def answers(handler: Handler, topic: str, messages: Sequence[Any], pieces: int) -> list[Outcome]:
    """Outcomes, the records given in so many calls."""
    given_ = [record(topic, i, message) for i, message in enumerate(messages)]
    size = -(-len(given_) // pieces)
    return [
        outcome
        for at in range(0, len(given_), size)
        for outcome in asyncio.run(_handled(handler, given_[at : at + size]))
    ]


async def _handled(handler: Handler, records: Sequence[Record]) -> Sequence[Outcome]:
    return await handler.handle(records)


def assert_unnoticed(make: Callable[[], Handler], kind: str, topic: str, good: Sequence[Any], seed: int) -> None:
    """Bad ones are poison, good ones have the outcome they have without them."""
    alone = answers(make(), topic, good, 1)
    among = mixed(kind, good, seed)
    for pieces in (1, 3, len(among)):
        outcomes = answers(make(), topic, among, pieces)
        for message, outcome in zip(among, outcomes, strict=True):
            if isinstance(message, hostile.Poison):
                assert isinstance(outcome, Poison), message.what
                assert isinstance(outcome.error, BadMessage), message.what
                assert not outcome.outputs
        kept = [o for message, o in zip(among, outcomes, strict=True) if not isinstance(message, hostile.Poison)]
        assert without_places(kept) == without_places(alone)


def without_places(outcomes: Sequence[Outcome]) -> list[Any]:
    """What was said, but for where in Kafka the frames lay."""
    said = []
    for outcome in outcomes:
        assert not isinstance(outcome, Poison)
        said.append([(o.topic, o.key, _without_place(o.value), dict(o.headers)) for o in outcome])
    return said


def _without_place(value: bytes | None) -> Any:
    message = msgspec.json.decode(value or b"null")
    if isinstance(message, dict):
        message.pop("place", None)
    return message


def frame(seq: int, stream: StreamId = A, jpeg: bytes = b"\xff\xd8") -> m.Frame:
    return m.Frame(stream, Run(1), m.Seq(seq), seq, seq / 10, 1000 + seq, 960, 540, jpeg, "m", faces=seq % 2 == 0)


SPEC = m.StreamSpec(A, Run(1), "s", "batch", m.Source("file:x"), (), "m", 0)
BEGIN = m.RunBegin(A, Run(1), SPEC, m.VideoInfo(960, 540, 10.0))
END = m.RunEnd(A, Run(1), "done", m.IngestCounts(), 9)


@pytest.mark.parametrize("seed", SEEDS)
def test_detect(seed: int) -> None:
    good = [BEGIN, *(frame(i) for i in range(5)), END]
    assert_unnoticed(lambda: DetectHandler(Detector(), TOPICS, "faces"), "frames", TOPICS.frames_batch, good, seed)


@pytest.mark.parametrize("jpeg", [b"", b"\x00" * 10, b"\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_a_frame_without_a_picture_costs_itself_and_leaves_no_gap(jpeg: bytes) -> None:
    good = [BEGIN, frame(0), frame(1, jpeg=jpeg), frame(2), END]
    outcomes = answers(DetectHandler(Detector(), TOPICS, "faces"), TOPICS.frames_batch, good, 1)
    bad = outcomes[2]
    assert isinstance(bad, Poison)
    (instead,) = (m.decode_detections(o.value) for o in bad.outputs)
    assert isinstance(instead, m.FrameDetections)
    assert (instead.seq, instead.error) == (1, "no JPEG")


def analysing() -> tuple[Callable[[], Handler], list[Any]]:
    walk = [
        [("car", 0.8, (0.01 * i, 0.1, 0.01 * i + 0.2, 0.4)), ("person", 0.7, (0.5, 0.1, 0.6, 0.9))] for i in range(12)
    ]
    good = [
        scenes.begin(scenes.OBJECTS, stream=A),
        *(scenes.frame(i, row, stream=A) for i, row in enumerate(walk)),
        scenes.end(A),
    ]

    def make() -> Handler:
        bench = scenes.Bench()
        bench.frames = AnyFrame(A)
        bench.handler = bench.new_handler()
        return bench.handler

    return make, good


class AnyFrame(scenes.FakeFrames):
    """The frame that is asked for, wherever it lies: its place's partition is its sequence here."""

    def record(self, offset: int) -> bytes:
        return m.encode_frame(m.Frame(self.stream, Run(1), m.Seq(offset), offset, 0.0, 0, 192, 108, scenes.jpeg(), "m"))


@pytest.mark.parametrize("seed", SEEDS)
def test_analyse(seed: int) -> None:
    make, good = analysing()
    assert_unnoticed(make, "detections", scenes.TOPICS.detections, good, seed)


@pytest.mark.parametrize("lane", ["live", "batch"])
def test_analyse_is_not_led_astray_by_frames_that_cannot_be_of_the_run(lane: str) -> None:
    bench = scenes.Bench()
    lost = [scenes.frame(7, run=2), scenes.frame(7, stream=scenes.OTHER)]
    if lane == "live":
        lost.append(msgspec.structs.replace(scenes.frame(0), seq=m.Seq(2**40), index=2**40))
    outcomes = bench.give([scenes.begin(lane=lane), scenes.frame(0), *lost, scenes.frame(1), scenes.end()])
    assert [isinstance(o, Poison) for o in outcomes] == [False, False, *[True] * len(lost), False, False]


def test_a_frame_that_is_missing_in_a_batch_stops_the_line_on_purpose() -> None:
    with pytest.raises(GapError):
        scenes.Bench().give([scenes.begin(), scenes.frame(0), scenes.frame(2)])


numbers = st.floats(0.0, 1.0)
odd_boxes = st.tuples(numbers, numbers, numbers, numbers)
odd_rows = st.lists(
    st.lists(st.tuples(st.sampled_from(["person", "car", ""]), numbers, odd_boxes), max_size=6), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(
    rows=odd_rows,
    times=st.lists(st.floats(0, 1e10), min_size=12, max_size=12),
    fps=st.sampled_from([0.0, 1e-3, 10.0, 1e6]),
    size=st.sampled_from([(0, 0), (1, 1), (2**31 - 1, 1), (960, 540)]),
)
def test_no_boxes_times_or_sizes_within_bounds_stop_the_tracker(
    rows: list[Any], times: list[float], fps: float, size: tuple[int, int]
) -> None:
    """Boxes inside out or without area, times that jump by centuries, rates and sizes that are absurd."""
    video = m.VideoInfo(*size, fps)
    messages = [
        scenes.begin(scenes.OBJECTS, scenes.Analytic("people_count"), video=video, source=m.Source("file:/v", fps=0.0)),
        *(scenes.frame(i, row, media_s=times[i]) for i, row in enumerate(rows)),
        scenes.end(),
    ]
    outcomes = scenes.Bench().give(messages)
    assert not any(isinstance(o, Poison) for o in outcomes)
    assert len(scenes.tracks_of(outcomes)) == len(rows)


@settings(max_examples=100, deadline=None)
@given(seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=8))
def test_strange_records_stop_analyse_only_where_it_is_meant_to_stop(seeds: list[int]) -> None:
    make, good = analysing()
    among: list[Any] = [*good[:4], *(hostile.strange("detections", seed, A) for seed in seeds), *good[4:]]
    try:
        answers(make(), scenes.TOPICS.detections, among, 1)
    except GapError:
        return


def sinks(name: str) -> tuple[Callable[[], SinkHandler], FakeStore, FakeLedger]:
    store, ledger = FakeStore(), FakeLedger()
    inner: Any = {"clickhouse": ClickHouseStore, "lancedb": LanceDbStore, "media": MediaSink}[name](store)
    return lambda: SinkHandler("sink", "p.", ByTopic(TOPICS), inner, ledger), store, ledger


GOOD: dict[str, list[Any]] = {
    "detections": [BEGIN, *(detections(i, A) for i in range(4)), run_end()],
    "tracks": [BEGIN, tracks(0), tracks(1, view()), tracks(2, view()), run_end()],
    "events": [event(0), event(1), run_end()],
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("clickhouse", "detections"),
        ("clickhouse", "tracks"),
        ("clickhouse", "events"),
        ("lancedb", "tracks"),
        ("media", "tracks"),
    ],
)
def test_sinks(name: str, kind: str, seed: int) -> None:
    make, store, ledger = sinks(name)
    topic: str = getattr(TOPICS, kind)
    answers(make(), topic, GOOD[kind], 1)
    rows, receipts = list(store.log), list(ledger.log)
    store.log.clear()
    ledger.log.clear()
    among = mixed(kind, GOOD[kind], seed)
    outcomes = answers(make(), topic, among, 1)
    assert [isinstance(o, Poison) for o in outcomes] == [isinstance(one, hostile.Poison) for one in among]
    assert (store.log, ledger.log) == (rows, receipts)


@pytest.mark.parametrize("seed", SEEDS)
def test_statuses(seed: int) -> None:
    good, runs = [status(i) for i in range(5)], FakeRuns()
    among = mixed("stream-status", good, seed)
    outcomes = answers(StatusHandler(runs), "s", among, 1)
    assert [isinstance(o, Poison) for o in outcomes] == [isinstance(one, hostile.Poison) for one in among]
    assert runs.statuses == good


# what reads topics without being a stage


@pytest.mark.parametrize("seed", range(150))
def test_an_ingest_host_passes_over_what_is_no_definition(seed: int) -> None:
    poison = hostile.bad("streams", seed)
    assert poison.key is not None
    with pytest.raises(BadMessage):
        definition(poison.key, poison.value)


@pytest.mark.parametrize("key", [b"", b"\xff\xfe", b"x", b"557D54EC-29AD-4F3C-93B4-C9092EF12515"])
def test_nothing_is_deleted_under_a_key_that_is_no_stream(key: bytes) -> None:
    with pytest.raises(BadMessage):
        definition(key, None)


def test_a_definition_and_a_deletion_are_heard() -> None:
    for key, value in hostile.goods("streams"):
        assert isinstance(definition(key, value), m.StreamSpec)
        assert definition(key, None) is None


WRONG: dict[str, tuple[float, ...]] = {
    "offset": (-1, 2**63),
    "next_seq": (-1, 2**60),
    "index": (-2,),
    "media_s": (-1.0, 1e308),
    "run": (0, 2**40),
    "gated": (-1, 2**60),
    "reached_s": (-1.0, 1e308),
}
CHECKPOINT = progress.Checkpoint(A, Run(1), "batch", offset=4, next_seq=3, index=9, media_s=0.9)


def progress_log() -> ProgressLog:
    log = ProgressLog.__new__(ProgressLog)
    log._found = {0: {}}
    return log


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (str(A).encode(), b""),
        (str(A).encode(), b"\xff\xfe"),
        (str(A).encode(), b"[" * 5000),
        (str(A).encode(), b'{"stream_id":"\xff"}'),
        *((str(A).encode(), progress.encode(CHECKPOINT)[:cut]) for cut in range(0, 80, 7)),
        *(
            (str(A).encode(), progress.encode(msgspec.structs.replace(CHECKPOINT, **{name: wrong})))
            for name, wrongs in WRONG.items()
            for wrong in wrongs
        ),
        (str(UUID(int=9)).encode(), progress.encode(CHECKPOINT)),
        (b"\xff", progress.encode(CHECKPOINT)),
        (None, progress.encode(CHECKPOINT)),
        (None, None),
    ],
)
def test_a_checkpoint_that_cannot_be_leaves_the_one_before_in_force(key: bytes | None, value: bytes | None) -> None:
    log = progress_log()
    log._note(0, str(A).encode(), progress.encode(CHECKPOINT))
    log._note(0, key, value)
    assert log._found[0][str(A)] == CHECKPOINT


class Message:
    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        self._key, self._value = key, value

    def error(self) -> None:
        return None

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_run_is_taken_up_where_its_own_frames_say(seed: int) -> None:
    chance = random.Random(seed)
    standing = recover.Standing()
    for one in mixed("frames", [BEGIN, *(frame(i) for i in range(3))], chance.getrandbits(32)):
        at = record(TOPICS.frames_batch, 0, one)
        mark = recover._mark(Message(at.key, at.value), CHECKPOINT)  # type: ignore[arg-type]
        if isinstance(one, hostile.Poison) and isinstance(mark, recover.FrameMark):
            assert mark.seq <= mark.index, one.what
        elif not isinstance(one, hostile.Poison):
            assert mark is not None
            standing = standing.with_mark(mark)
    assert standing.next_seq == 3


@pytest.mark.parametrize("seed", range(60))
def test_trimming_passes_over_what_is_no_detection(seed: int) -> None:
    poison = hostile.bad("detections", seed)
    place = _batch_place(poison.value, "sightline.frames.batch")
    assert place is None or "key" in poison.what


class Consumer:
    def __init__(self, records: list[Any]) -> None:
        self.records = records

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        return 0, 0

    def assign(self, partitions: list[Any]) -> None:
        return

    def consume(self, most: int, timeout: float) -> list[Any]:
        return [self.records.pop(0)] if self.records else []

    def close(self) -> None:
        return


class Heard:
    def __init__(self, topic: str, given_: Record) -> None:
        self._topic, self._given = topic, given_

    def topic(self) -> str:
        return self._topic

    def key(self) -> bytes | None:
        return self._given.key

    def value(self) -> bytes | None:
        return self._given.value

    def offset(self) -> int:
        return 0

    def error(self) -> None:
        return None


@pytest.mark.parametrize("seed", SEEDS)
def test_an_analysis_that_is_answered_at_once_passes_over_what_it_cannot_read(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collected(make: Callable[[str, list[Any]], list[Any]]) -> Any:
        records = [
            Heard(getattr(TOPICS, kind), record(getattr(TOPICS, kind), 0, one))
            for kind, good in GOOD.items()
            for one in make(kind, good)
        ]
        monkeypatch.setattr(following.clients, "consumer", lambda *_, **__: Consumer(records))
        ticks = iter(range(10**6))
        follower = following.KafkaFollower(Kafka(prefix="p."), A, clock=lambda: float(next(ticks)))
        return follower.collect(threading.Event(), 10_000)

    assert collected(lambda kind, good: mixed(kind, good, seed)) == collected(lambda _, good: good)


def test_an_analysis_that_is_answered_at_once_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_BYTES", 10 * following.POINT_BYTES)
    found = Collected()
    box = m.TrackedBox(m.TrackId(1), "car", 0.5, (0, 0, 1, 1))
    for seq in range(5):
        found.take_tracks(m.encode_json(msgspec.structs.replace(tracks(seq), tracks=(box, box))))
    with pytest.raises(TooLarge, match="deferred"):
        found.take_tracks(m.encode_json(msgspec.structs.replace(tracks(5), tracks=(box,))))
