"""Filters, pages, counts and exports, against a model in plain Python."""

from __future__ import annotations

from random import Random

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, LimitExceeded
from core.ids import Run, TrackId
from tests.integration.warehouse import model
from tests.integration.warehouse.samples import LABELS, START_MS, events, frames, stream_id, tracks
from warehouse.analytics import AnalyticsStore
from warehouse.filters import Filter
from warehouse.rows import StatisticsRow

pytestmark = pytest.mark.clickhouse
STREAMS = [stream_id(n) for n in (3, 1, 2)]
SEEN = [f for n, s in enumerate(STREAMS) for f in frames(s, 60, run=1 + n % 2)]
FOLLOWED = [f for n, s in enumerate(STREAMS) for f in tracks(s, 60, run=1 + n % 2)]
STORIES = [story for n, s in enumerate(STREAMS) for story in events(s, 12, run=1 + n % 2)]
TIMES = st.none() | st.integers(START_MS - 500, START_MS + 11_000)
SIDES = st.tuples(*[st.floats(0, 1) for _ in range(4)]).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)
AREAS = st.none() | SIDES.filter(lambda a: a[0] < a[2] and a[1] < a[3])
LABEL_SETS = st.lists(st.sampled_from([*LABELS, "face", "unknown", "') OR 1 --"]), max_size=3, unique=True).map(tuple)
COMMON = {
    "stream_ids": st.none() | st.lists(st.sampled_from([*STREAMS, stream_id(9)]), max_size=3, unique=True).map(tuple),
    "run": st.sampled_from([None, None, 1, 2, 3]),
    "labels": LABEL_SETS,
    "min_score": st.none() | st.floats(0, 1),
    "area": AREAS,
}


def filters(**more: st.SearchStrategy) -> st.SearchStrategy[Filter]:
    def build(times: tuple[int | None, int | None], **values: object) -> Filter:
        begin, end = times
        if begin is not None and end is not None:
            begin, end = min(begin, end), max(begin, end)
        return Filter(from_ms=begin, to_ms=end, **values)

    return st.builds(build, st.tuples(TIMES, TIMES), **COMMON, **more)


KIND = st.sampled_from([None, "object", "face"])
TRACK = st.sampled_from([None, None, None, 1, 3, 12])
DETECTION_FILTERS = filters(kind=KIND)
TRACK_FILTERS = filters(kind=KIND, track_id=TRACK)
EVENT_FILTERS = filters(
    track_id=TRACK,
    event_ids=st.lists(st.sampled_from([s[0].event_id for s in STORIES]), max_size=5).map(tuple),
    types=st.lists(st.sampled_from(["object_detection", "people_count", "'"]), max_size=2).map(tuple),
    event_types=st.lists(st.sampled_from(["object", "crowd"]), max_size=1).map(tuple),
    phases=st.lists(st.sampled_from(["begin", "update", "end"]), max_size=2).map(tuple),
)
BUCKETS = st.sampled_from([None, "second", "minute", "hour", "day"])
GROUPS = st.lists(st.sampled_from(["label", "stream"]), max_size=2, unique=True).map(tuple)
tried = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def store(analytics: AnalyticsStore) -> AnalyticsStore:
    """Everything, and a third of it twice."""
    analytics.write_frames(SEEN)
    analytics.write_tracks(FOLLOWED)
    analytics.write_events([phase for story in STORIES for phase in story])
    random = Random(1)
    analytics.write_frames(random.sample(SEEN, len(SEEN) // 3))
    analytics.write_tracks(random.sample(FOLLOWED, len(FOLLOWED) // 3))
    analytics.write_events([story[0] for story in random.sample(STORIES, len(STORIES) // 3)])
    return analytics


def paged(ask, filter_: Filter, limit: int, descending: bool = False) -> list:
    found, cursor = [], None
    while True:
        page = ask(filter_, limit=limit, cursor=cursor, descending=descending)
        assert len(page.items) <= limit
        found += page.items
        if (cursor := page.next_cursor) is None:
            return found
        assert len(page.items) == limit


def key_of(d) -> tuple:
    return (d.ts_ms, d.stream_id, d.run, d.seq, d.kind, d.idx, d.label, d.score, d.box, d.landmarks)


def test_detections_are_those_of_the_model(store: AnalyticsStore) -> None:
    @tried
    @given(DETECTION_FILTERS, st.sampled_from([7, 50, 1000]), st.booleans())
    @example(Filter(), 13, True)
    @example(Filter(labels=LABELS), 1000, False)
    def check(filter_: Filter, limit: int, descending: bool) -> None:
        expected = model.detections(SEEN, filter_)
        found = [key_of(d) for d in paged(store.detections, filter_, limit, descending)]
        assert found == (expected[::-1] if descending else expected)

    check()


def test_tracks_are_those_of_the_model(store: AnalyticsStore) -> None:
    @tried
    @given(TRACK_FILTERS, st.sampled_from([3, 1000]), st.booleans())
    @example(Filter(), 4, True)
    def check(filter_: Filter, limit: int, descending: bool) -> None:
        expected = [(w.stream, w.run, w.track, len(w.points)) for w in model.tracks(FOLLOWED, filter_)]
        found = [(t.stream_id, t.run, t.track_id, t.frames) for t in paged(store.tracks, filter_, limit, descending)]
        assert found == (expected[::-1] if descending else expected)

    check()


def test_events_are_those_of_the_model(store: AnalyticsStore) -> None:
    @tried
    @given(EVENT_FILTERS, st.sampled_from([3, 1000]), st.booleans())
    @example(Filter(), 5, True)
    @example(Filter(phases=("begin", "update")), 5, False)
    @example(Filter(area=(0.1, 0.1, 0.6, 0.6)), 5, False)
    def check(filter_: Filter, limit: int, descending: bool) -> None:
        expected = model.events(STORIES, filter_)
        assert paged(store.events, filter_, limit, descending) == (expected[::-1] if descending else expected)

    check()


def as_dict(rows: list[StatisticsRow]) -> dict:
    found = {(r.bucket_ms, r.label, r.stream_id, r.type): r.value for r in rows}
    assert len(found) == len(rows)
    return found


def test_counts_are_those_of_the_model(store: AnalyticsStore) -> None:
    def seen(filter_: Filter) -> list:
        return [(d[0], d[1], d[6], None, d[1:6]) for d in model.detections(SEEN, filter_)]

    def places(filter_: Filter) -> list:
        return [
            (f.ts_ms, f.stream_id, t.label, None, (f.stream_id, f.run, t.track_id))
            for f, t in model.points(FOLLOWED, filter_)
        ]

    def in_frames(filter_: Filter) -> list:
        return [
            (f.ts_ms, f.stream_id, t.label, None, ((f.stream_id, f.run, f.seq), t.track_id))
            for f, t in model.points(FOLLOWED, filter_)
        ]

    def begun(filter_: Filter) -> list:
        return [
            (w.first.ts_ms, w.stream, w.best.label, None, (w.stream, w.run, w.track))
            for w in model.tracks(FOLLOWED, filter_, begun=True)
        ]

    @tried
    @given(DETECTION_FILTERS, BUCKETS, GROUPS)
    @example(Filter(), "second", ("label", "stream"))
    def check(filter_: Filter, bucket, group_by) -> None:
        asked = {"bucket": bucket, "group_by": group_by}
        assert as_dict(store.statistics(filter_, metric="detections", **asked)) == model.counted(
            seen(filter_), bucket, group_by
        )
        assert as_dict(store.statistics(filter_, metric="objects", **asked)) == model.counted(
            places(filter_), bucket, group_by
        )
        assert as_dict(store.statistics(filter_, metric="visits", **asked)) == model.counted(
            begun(filter_), bucket, group_by
        )
        assert as_dict(store.statistics(filter_, metric="max_at_once", **asked)) == model.counted(
            in_frames(filter_), bucket, group_by, fold=model.most_at_once
        )

    check()


def test_counts_of_events_are_those_of_the_model(store: AnalyticsStore) -> None:
    @tried
    @given(EVENT_FILTERS, BUCKETS, st.lists(st.sampled_from(["label", "stream", "type"]), unique=True).map(tuple))
    @example(Filter(), "second", ("type",))
    def check(filter_: Filter, bucket, group_by) -> None:
        rows = [
            (e.begin_ms, e.stream_id, e.label, e.type, e.event_id) for e in model.events(STORIES, filter_, begun=True)
        ]
        found = as_dict(store.statistics(filter_, metric="events", bucket=bucket, group_by=group_by))
        assert found == model.counted(rows, bucket, group_by)

    check()


def test_exports_hold_the_same_rows(store: AnalyticsStore) -> None:
    filter_ = Filter(stream_ids=tuple(STREAMS[:2]), min_score=0.3)
    seen = pa.Table.from_batches(store.export("detections", filter_)).to_pylist()
    expected = model.detections(SEEN, filter_)
    assert [(r["stream_id"], r["seq"], r["kind"], r["idx"], r["label"], r["score"], r["x_min"]) for r in seen] == [
        (str(d[1]), d[3], d[4], d[5], d[6], d[7], d[8][0]) for d in expected
    ]
    assert [int(r["ts"].timestamp() * 1000 + 0.5) for r in seen] == [d[0] for d in expected]
    whole = pa.Table.from_batches(store.export("tracks", filter_)).to_pylist()
    assert [(r["stream_id"], r["track_id"], r["frames"]) for r in whole] == [
        (str(w.stream), w.track, len(w.points)) for w in model.tracks(FOLLOWED, filter_)
    ]
    told = pa.Table.from_batches(store.export("events", filter_)).to_pylist()
    assert [(r["event_id"], r["phase"], r["track_id"], r["image"]) for r in told] == [
        (str(e.event_id), e.phase, e.track_id, e.image) for e in model.events(STORIES, filter_)
    ]


def test_an_export_of_nothing_still_has_its_columns(store: AnalyticsStore) -> None:
    nothing = Filter(stream_ids=(stream_id(99),))
    for table in ("detections", "tracks", "events"):
        assert [len(batch) for batch in store.export(table, nothing)] in ([], [0])
        schema = store.export_schema(table)
        full = pa.Table.from_batches(store.export(table, Filter()))
        assert schema == full.schema


def test_pages_neither_repeat_nor_miss_rows_while_rows_arrive(analytics: AnalyticsStore) -> None:
    stream = STREAMS[0]
    rows = frames(stream, 200)
    analytics.write_frames(rows[:100])
    expected = model.detections(rows[:100], Filter())
    found, cursor, at = [], None, 100
    while True:
        page = analytics.detections(Filter(), limit=20, cursor=cursor)
        found += [key_of(d) for d in page.items]
        analytics.write_frames(rows[at : at + 5] + rows[:3])  # later ones, and a replay
        at += 5
        if (cursor := page.next_cursor) is None:
            break
    assert len(found) == len(set(found))
    assert found[: len(expected)] == expected

    newest, cursor = [], None
    while True:
        page = analytics.detections(Filter(), limit=20, cursor=cursor, descending=True)
        newest += [key_of(d) for d in page.items]
        analytics.write_frames(frames(stream, 2, first=at))
        at += 2
        if (cursor := page.next_cursor) is None:
            break
    assert len(newest) == len(set(newest))
    assert set(found) <= set(newest)


def test_what_cannot_be_asked_is_refused(analytics: AnalyticsStore) -> None:
    with pytest.raises(InvalidInput, match="kind") as caught:
        analytics.events(Filter(kind="face"))
    assert caught.value.field == "kind"
    with pytest.raises(InvalidInput, match="phases"):
        analytics.detections(Filter(phases=("end",)))
    with pytest.raises(InvalidInput, match="types"):
        analytics.tracks(Filter(types=("object_detection",)))
    with pytest.raises(InvalidInput, match="track_id"):
        analytics.statistics(Filter(track_id=TrackId(1)), metric="detections")
    with pytest.raises(InvalidInput, match="type"):
        analytics.statistics(Filter(), metric="objects", group_by=("type",))
    for limit in (0, -1, 10**9):
        with pytest.raises(InvalidInput, match="1 to"):
            analytics.events(Filter(), limit=limit)


def test_too_many_groups_are_refused(store: AnalyticsStore) -> None:
    with pytest.raises(LimitExceeded, match="larger bucket"):
        store.statistics(Filter(), metric="detections", bucket="second", limit=3)


def test_cursors_belong_to_their_question(store: AnalyticsStore) -> None:
    cursor = store.detections(Filter(), limit=1).next_cursor
    assert cursor is not None
    for ask in (
        lambda: store.detections(Filter(run=Run(1)), cursor=cursor),
        lambda: store.detections(Filter(), cursor=cursor, descending=True),
        lambda: store.events(Filter(), cursor=cursor),
        lambda: store.detections(Filter(), cursor="rubbish"),
    ):
        with pytest.raises(InvalidInput) as caught:
            ask()
        assert caught.value.field == "cursor"
