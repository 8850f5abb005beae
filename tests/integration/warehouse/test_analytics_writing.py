"""What is written is read again, equal and once, in whatever order and however often it came."""

from __future__ import annotations

from random import Random

import clickhouse_connect
import msgspec
import pytest
from pydantic import SecretStr

from core.errors import ConfigError, PoisonError, SetupError, StoreUnavailable
from core.ids import Run, Seq
from core.settings import ClickHouse, Settings
from tests.integration.warehouse.samples import events, frames, stream_id, tracks
from warehouse.analytics import AnalyticsStore
from warehouse.clickhouse.columns import BadRow
from warehouse.filters import Filter
from warehouse.rows import FrameCounts, RunTrackPoint

pytestmark = pytest.mark.clickhouse
A, B = stream_id(1), stream_id(2)


def everything(store: AnalyticsStore, stream=A) -> tuple[object, ...]:
    run = Run(1)
    return (
        store.frame_counts(stream, run),
        list(store.run_frames(stream, run)),
        list(store.run_track_points(stream, run)),
        list(store.run_views(stream, run)),
        list(store.run_tracks(stream, run)),
        list(store.run_events(stream, run)),
        store.statistics(Filter(stream_ids=(stream,)), metric="detections", bucket="second", group_by=("label",)),
    )


def test_frames_come_back_as_they_were_published(analytics: AnalyticsStore) -> None:
    written = frames(A, 120)
    analytics.write_frames(written)
    read = list(analytics.run_frames(A, Run(1)))
    assert [(r.seq, r.index, r.media_s, r.ts_ms, r.width, r.height, r.model, r.model_version) for r in read] == [
        (w.seq, w.index, w.media_s, w.ts_ms, w.width, w.height, w.model, w.model_version) for w in written
    ]
    assert [(r.objects, r.faces, r.error) for r in read] == [(w.objects, w.faces, w.error) for w in written]
    failed = sum(w.error is not None for w in written)
    assert failed == 7
    assert analytics.frame_counts(A, Run(1)) == FrameCounts(120 - failed, failed)


def test_a_frame_that_failed_and_succeeds_later_counts_once_and_as_analysed(analytics: AnalyticsStore) -> None:
    written = frames(A, 40)
    failed = [w for w in written if w.error is not None]
    assert [w.seq for w in failed] == [16, 33]
    analytics.write_frames(written)
    later = msgspec.structs.replace(failed[0], error=None, objects=written[0].objects, faces=())
    for _ in range(2):
        analytics.write_frames([later])
        assert analytics.frame_counts(A, Run(1)) == FrameCounts(39, 1)
    (read,) = [r for r in analytics.run_frames(A, Run(1)) if r.seq == 16]
    assert (read.error, read.objects) == (None, later.objects)


def test_the_frames_that_are_not_here_are_named(analytics: AnalyticsStore) -> None:
    written = frames(A, 30)
    analytics.write_frames([w for w in written if w.seq not in (0, 7, 8, 29)])
    analytics.write_frames(frames(B, 5))
    run = Run(1)
    assert analytics.missing_frames(A, run, upto=30, limit=100) == [0, 7, 8, 29]
    assert analytics.missing_frames(A, run, upto=29, limit=100) == [0, 7, 8]
    assert analytics.missing_frames(A, run, upto=33, after=7, limit=3) == [8, 29, 30]
    assert analytics.missing_frames(A, Run(2), upto=3, limit=100) == [0, 1, 2]
    assert analytics.missing_frames(A, run, upto=0, limit=100) == []
    assert analytics.missing_frames(A, run, upto=5, after=9, limit=100) == []


def test_more_frames_than_one_piece_holds_stay_in_order(analytics: AnalyticsStore, monkeypatch) -> None:
    monkeypatch.setattr("warehouse.clickhouse.results.FRAMES", 7)
    monkeypatch.setattr("warehouse.clickhouse.results.ROWS", 5)
    written = frames(A, 50)
    analytics.write_frames(written)
    followed = tracks(A, 50)
    analytics.write_tracks(followed)
    assert [(r.seq, r.objects) for r in analytics.run_frames(A, Run(1))] == [(w.seq, w.objects) for w in written]
    points = [RunTrackPoint(f.seq, f.index, f.media_s, f.ts_ms, t) for f in followed for t in f.tracks]
    assert list(analytics.run_track_points(A, Run(1))) == points


def test_tracks_are_put_together(analytics: AnalyticsStore) -> None:
    written = tracks(A, 60)
    analytics.write_tracks(written)
    points = [(f, t) for f in written for t in f.tracks]
    assert [p.track for p in analytics.run_track_points(A, Run(1))] == [t for _, t in points]
    for track in analytics.run_tracks(A, Run(1)):
        mine = [(f, t) for f, t in points if t.track_id == track.track_id]
        best = max(mine, key=lambda p: (p[1].score, p[0].seq))[1]
        views = [v for f in written for v in f.views if v.track_id == track.track_id]
        assert (track.label, track.score, track.kind) == (best.label, best.score, best.kind)
        assert (track.frames, track.first_seq, track.last_seq) == (len(mine), mine[0][0].seq, mine[-1][0].seq)
        assert (track.first_ms, track.last_ms) == (mine[0][0].ts_ms, mine[-1][0].ts_ms)
        assert (track.first_s, track.last_s) == (mine[0][0].media_s, mine[-1][0].media_s)
        assert (track.first_index, track.last_index) == (mine[0][0].index, mine[-1][0].index)
        assert track.image == (max(views, key=lambda v: v.quality).media_key if views else None)
    assert {v.media_key for v in analytics.run_views(A, Run(1))} == {v.media_key for f in written for v in f.views}


def test_events_come_back_as_they_were_published(analytics: AnalyticsStore) -> None:
    stories = events(A, 30)
    analytics.write_events([phase for story in stories for phase in story])
    read = {e.event_id: e for e in analytics.run_events(A, Run(1))}
    assert read == {story[-1].event_id: story[-1] for story in stories}
    one = stories[3][-1]
    assert analytics.event(one.event_id) == one
    assert analytics.event(events(B, 1)[0][0].event_id) is None


def test_the_latest_phase_wins_whatever_the_order(analytics: AnalyticsStore) -> None:
    stories = events(A, 20)
    shuffled = [phase for story in stories for phase in story]
    Random(5).shuffle(shuffled)
    for phase in shuffled:
        analytics.write_events([phase])
        seen = [e.event_id for e in analytics.run_events(A, Run(1))]
        assert len(seen) == len(set(seen))
    read = {e.event_id: e for e in analytics.run_events(A, Run(1))}
    assert read == {story[-1].event_id: story[-1] for story in stories}


def test_replays_change_nothing_at_any_moment(analytics: AnalyticsStore) -> None:
    seen, followed, stories = frames(A, 40), tracks(A, 40), [p for s in events(A, 10) for p in s]
    analytics.write_frames(seen)
    analytics.write_tracks(followed)
    analytics.write_events(stories)
    once = everything(analytics)
    for size in (1, 7, 40):  # replays are cut differently
        for at in range(0, 40, size):
            analytics.write_frames(seen[at : at + size])
            analytics.write_tracks(followed[at : at + size])
        analytics.write_events(stories[: size + 3])
        assert everything(analytics) == once


def test_whoever_asks_with_a_plain_select_sees_each_row_once(analytics: AnalyticsStore, clickhouse: ClickHouse) -> None:
    seen, stories = frames(A, 20), [p for s in events(A, 10) for p in s]
    for _ in range(3):
        analytics.write_frames(seen)
        analytics.write_events(stories)
    client = clickhouse_connect.get_client(
        host=clickhouse.host,
        port=clickhouse.http_port,
        username=clickhouse.user,
        password=clickhouse.password.get_secret_value(),
        database=clickhouse.database,
    )
    counted = [client.query(f"SELECT count() FROM {table}").result_rows for table in ("frames", "events")]
    client.close()
    assert counted == [[(20,)], [(len({phase.event_id for phase in stories}),)]]


def test_immediate_analyses_leave_nothing(analytics: AnalyticsStore) -> None:
    replace = msgspec.structs.replace
    analytics.write_frames([replace(f, ephemeral=True) for f in frames(A, 5)])
    analytics.write_tracks([replace(f, ephemeral=True) for f in tracks(A, 15)])
    analytics.write_events([replace(e, ephemeral=True) for e in events(A, 1)[0]])
    assert everything(analytics)[:-1] == (FrameCounts(0, 0), [], [], [], [], [])


def test_nothing_is_written_of_nothing(analytics: AnalyticsStore) -> None:
    analytics.write_frames([])
    analytics.write_tracks([])
    analytics.write_events([])


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": Seq(-1)},
        {"run": Run(2**32)},
        {"media_s": float("nan")},
        {"ts_ms": -1},
        {"ts_ms": 2**60},
        {"model": "\ud800"},
        {"width": "wide"},
    ],
)
def test_a_bad_row_is_named_and_nothing_written(analytics: AnalyticsStore, wrong: dict[str, object]) -> None:
    rows = frames(A, 5)
    rows[3] = msgspec.structs.replace(rows[3], **wrong)
    with pytest.raises(BadRow, match=f"FrameDetections of stream {A}") as caught:
        analytics.write_frames(rows)
    assert caught.value.position == 3
    assert isinstance(caught.value, PoisonError)
    assert analytics.frame_counts(A, Run(1)) == FrameCounts(0, 0)


def test_deletion_is_complete_and_the_rest_stays(analytics: AnalyticsStore) -> None:
    for stream in (A, B):
        analytics.write_frames(frames(stream, 30))
        analytics.write_tracks(tracks(stream, 30))
        analytics.write_events([p for s in events(stream, 5) for p in s])
    before = everything(analytics, B)
    analytics.delete_stream(A)
    assert everything(analytics, A)[:-1] == (FrameCounts(0, 0), [], [], [], [], [])
    assert everything(analytics, B) == before
    for metric in ("detections", "objects", "visits", "events", "max_at_once"):
        counted = analytics.statistics(Filter(), metric=metric, group_by=("stream",))
        assert [row.stream_id for row in counted] == [B]
    analytics.purge_deleted()
    analytics.delete_stream(A)
    assert everything(analytics, A)[:-1] == (FrameCounts(0, 0), [], [], [], [], [])
    assert everything(analytics, B) == before


def test_a_database_without_schema_names_the_command(settings: Settings) -> None:
    store = AnalyticsStore.connect(settings)
    assert store.ready()
    with pytest.raises(SetupError, match="sightline migrate"):
        store.frame_counts(A, Run(1))
    with pytest.raises(SetupError, match="sightline migrate"):
        store.write_frames(frames(A, 1))
    store.close()


def test_a_wrong_password_stops(clickhouse: ClickHouse) -> None:
    with pytest.raises(ConfigError):
        AnalyticsStore.connect(Settings(clickhouse=clickhouse.model_copy(update={"password": SecretStr("other")})))


def test_no_server_is_worth_another_try(unused_port: int) -> None:
    with pytest.raises(StoreUnavailable):
        AnalyticsStore.connect(Settings(clickhouse=ClickHouse(http_port=unused_port)))
