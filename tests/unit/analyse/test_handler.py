"""The stage: what comes out for what goes in, again and again, cut anyhow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import metrics
from core.errors import BadMessage, GapError, InvalidInput, ModelUnavailable, SnapshotError, handling_of
from core.messages import (
    Analytic,
    Event,
    RunBegin,
    RunEnd,
    Source,
    VideoInfo,
    decode_event,
    decode_tracks,
    encode_json,
)
from core.settings import Analyse
from streams_proc import memory
from streams_proc.analyse import LIVE_IS_NEAR_S
from streams_proc.memory import FORMAT
from streams_proc.run_state import frame_rate
from streams_proc.stage import Outcome, Output, Poison, Record
from tests.unit.analyse.scenes import (
    OBJECTS,
    OTHER,
    STREAM,
    TOPICS,
    Bench,
    FakeFrames,
    Message,
    Row,
    at,
    begin,
    end,
    events_of,
    frame,
    outputs,
    records,
    tracks_of,
    walk,
    whole_run,
)

FACES = Analytic("face_detection")
PEOPLE = Analytic("people_count", {"people_count_threshold": 0}, ("overview", "coordinates"))


def last(events: Sequence[Event]) -> dict[str, Event]:
    return {str(event.event_id): event for event in events}


def test_a_run_passes_with_its_tracks_and_events() -> None:
    outcomes = Bench().give(whole_run(walk("car", 0.8, 0.1, 0.02, 10)))
    assert [len(o) for o in outcomes if isinstance(o, Sequence)] == [1, 2, *[1] * 9, 3]
    assert isinstance(decode_tracks(outputs(outcomes[:1])[0].value), RunBegin)
    ending = outputs(outcomes[-1:])
    assert [o.topic for o in ending] == [TOPICS.events, TOPICS.tracks, TOPICS.events]
    assert isinstance(decode_tracks(ending[1].value), RunEnd)
    assert isinstance(decode_event(ending[2].value), RunEnd)
    assert {o.key for o in outputs(outcomes)} == {str(STREAM).encode()}
    shown = tracks_of(outcomes)
    assert [f.seq for f in shown] == list(range(10))
    assert [b.track_id for f in shown for b in f.tracks] == [1] * 10
    assert [b.detection for f in shown for b in f.tracks] == [0] * 10


def test_events_carry_cloud_events_attributes() -> None:
    (began, ended) = [o for o in outputs(Bench().give(whole_run(walk("car", 0.8, 0.1, 0.02, 5)))) if o.headers]
    event = decode_event(ended.value)
    assert isinstance(event, Event)
    assert {name: value.decode() for name, value in ended.headers.items()} == {
        "ce_specversion": "1.0",
        "ce_id": f"{event.event_id}/end/1",
        "ce_source": f"/streams/{STREAM}",
        "ce_type": "io.sightline.object_detection.end",
        "ce_time": "1970-01-01T00:16:40.400Z",
        "ce_subject": str(event.event_id),
        "content-type": "application/json",
    }
    assert began.headers["ce_id"] != ended.headers["ce_id"]


def test_a_view_comes_with_the_frame_it_was_taken_in() -> None:
    bench = Bench()
    outcomes = bench.give(whole_run(walk("car", 0.8, 0.1, 0.02, 25)))
    shown = [(f.seq, v) for f in tracks_of(outcomes) for v in f.views]
    (seq, view), *more = shown
    assert (seq, view.track_id, view.keyspace, view.model, view.label) == (0, 1, "appearance", "appearance", "car")
    assert view.jpeg[:2] == b"\xff\xd8"
    assert len(view.embedding) == 2
    assert more == [], "a view that is not clearly better is not taken"
    event = next(iter(last(events_of(outcomes)).values()))
    assert event.image == view.media_key
    assert str(STREAM) in view.media_key


def test_views_are_at_most_one_an_interval_and_only_when_better_or_old() -> None:
    grows: list[Row] = [[("car", 0.8, at(0.1, 0.1, 0.1 + 0.02 * i))] for i in range(35)]
    taken = [f.seq for f in tracks_of(Bench().give(whole_run(grows))) for _ in f.views]
    assert taken == [0, 10, 20, 30]
    stays: list[Row] = [[("car", 0.8, at(0.1))]] * 230
    assert [f.seq for f in tracks_of(Bench().give(whole_run(stays))) for _ in f.views] == [0, 100, 200]
    often = Bench(Analyse(view_interval_s=0.2))
    assert [f.seq for f in tracks_of(often.give(whole_run(stays[:50]))) for _ in f.views] == [0, 20, 40]


def test_no_views_where_none_are_asked_for() -> None:
    bench = Bench()
    outcomes = bench.give(
        whole_run(walk("car", 0.8, 0.1, 0.02, 10), Analytic("object_detection", {"embeddings": False}))
    )
    assert [v for f in tracks_of(outcomes) for v in f.views] == []
    assert bench.frames.calls == []
    assert {e.image for e in events_of(outcomes)} == {None}


def test_the_views_of_a_chunk_are_read_and_embedded_together() -> None:
    bench = Bench()
    rows: list[Row] = [[("car", 0.8, at(0.1)), ("bus", 0.7, at(0.6, 0.1))] for _ in range(3)]
    bench.give([begin(OBJECTS, FACES), *(frame(i, row, faces=[("", 0.9, at(0.4))]) for i, row in enumerate(rows))])
    assert len(bench.frames.calls) == 1
    assert bench.embedder.calls == [("appearance", 2), ("faceres", 1)]
    assert bench.embedder.lanes == ["batch", "batch"]


def test_live_views_are_asked_for_as_live() -> None:
    bench = Bench()
    bench.give([begin(lane="live"), frame(0, [("car", 0.8, at(0.1))])])
    assert bench.embedder.lanes == ["live"]


def test_the_views_of_a_task_hold_up_no_camera_beside_it() -> None:
    bench = Bench()
    bench.give([begin(lane="live", stream=OTHER), begin(), frame(0, [("car", 0.8, at(0.1))])])
    bench.give([frame(0, stream=OTHER), begin(run=2), frame(0, [("car", 0.8, at(0.1))], run=2)])
    bench.now += LIVE_IS_NEAR_S / 2
    bench.give([begin(run=3), frame(0, [("car", 0.8, at(0.1))], run=3)])
    bench.now += LIVE_IS_NEAR_S / 2
    bench.give([begin(run=4), frame(0, [("car", 0.8, at(0.1))], run=4)])
    assert bench.embedder.lanes == ["batch", "live", "live", "batch"]


def test_faces_have_tracks_events_and_views_of_their_own() -> None:
    bench = Bench()
    messages: list[Message] = [
        begin(OBJECTS, FACES),
        *(frame(i, [("person", 0.8, at(0.1, 0.1, 0.6))], faces=[("", 0.9, at(0.3))]) for i in range(5)),
        end(),
    ]
    outcomes = bench.give(messages)
    kinds = {(b.track_id, b.kind, b.label) for f in tracks_of(outcomes) for b in f.tracks}
    assert kinds == {(1, "object", "person"), (2, "face", "face")}
    assert {(e.type, e.event_type, e.analytic_index, e.track_id) for e in events_of(outcomes)} == {
        ("object_detection", "object", 0, 1),
        ("face_detection", "face", 1, 2),
    }
    assert {(v.track_id, v.keyspace, v.model) for f in tracks_of(outcomes) for v in f.views} == {
        (1, "appearance", "appearance"),
        (2, "face", "faceres"),
    }


def test_an_overview_is_the_whole_frame_without_an_embedding() -> None:
    bench = Bench()
    rows: list[Row] = [[("person", 0.8, at(0.1))]] * 4
    outcomes = bench.give(whole_run(rows, PEOPLE))
    ((seq, view),) = [(f.seq, v) for f in tracks_of(outcomes) for v in f.views]
    assert (seq, view.track_id, view.embedding, view.model, view.box) == (2, 0, (), "", (0.0, 0.0, 1.0, 1.0))
    assert bench.frames.record(2).find(view.jpeg) > 0, "the frame's own bytes"
    began, ended = events_of(outcomes)
    assert (began.image, ended.image) == (view.media_key, view.media_key)
    assert len(ended.data["frames_estimations"]) == 2
    assert bench.embedder.calls == []


def test_an_overview_is_kept_as_its_analytic_asks() -> None:
    bench = Bench()
    policy = {"people_count_threshold": 0, "image_retain_policy": {"mimetype": "PNG", "max_size": 100}}
    rows: list[Row] = [[("person", 0.8, at(0.1))]] * 4
    outcomes = bench.give(whole_run(rows, Analytic("people_count", policy, ("overview",))))
    (view,) = [v for f in tracks_of(outcomes) for v in f.views]
    assert view.jpeg.startswith(b"\x89PNG")
    assert view.media_key.endswith(".png")
    assert {event.image for event in events_of(outcomes)} == {view.media_key}


def test_a_frame_that_is_gone_costs_its_view_only() -> None:
    bench = Bench()
    bench.frames.gone = set(range(100))
    before = metrics.counter("sightline_views_total").labels("appearance", "frame_gone")._value.get()
    outcomes = bench.give(whole_run(walk("car", 0.8, 0.1, 0.02, 10), OBJECTS, PEOPLE))
    assert [v for f in tracks_of(outcomes) for v in f.views] == []
    assert {e.image for e in events_of(outcomes)} == {None}
    assert len(last(events_of(outcomes))) == 1
    after = metrics.counter("sightline_views_total").labels("appearance", "frame_gone")._value.get()
    assert after - before == 1


@pytest.mark.parametrize("trouble", ["broken", "other stream", "refused", "tiny", "no frame"])
def test_a_view_that_cannot_be_made_is_left_out(trouble: str) -> None:
    bench = Bench()
    box = at(0.1)
    if trouble == "broken":
        bench.frames.broken = {0}
    elif trouble == "other stream":
        bench.frames.stream = OTHER
    elif trouble == "refused":
        bench.embedder.refused = {0}
    elif trouble == "tiny":
        box = at(0.1, size=0.01)
    else:
        bench.frames.record = lambda offset: b"\xc1"  # type: ignore[method-assign]
    outcomes = bench.give([begin(), *(frame(i, [("car", 0.8, box)]) for i in range(3)), end()])
    assert [v for f in tracks_of(outcomes) for v in f.views] == []
    assert [e.image for e in events_of(outcomes)] == [None, None]


def test_a_chunk_that_fails_for_now_changes_nothing() -> None:
    rows = walk("car", 0.8, 0.1, 0.02, 30)
    messages = whole_run([*rows[:10], *[[]] * 20, *rows[10:]], OBJECTS, PEOPLE)
    expected = Bench().give(messages)
    bench = Bench()
    given_ = records(messages)
    got: list[Outcome] = []
    for i in range(0, len(given_), 7):
        chunk = given_[i : i + 7]
        for failing in (bench.frames.failing, bench.embedder.failing):
            failing.append(ModelUnavailable("not now"))
            before = bench.handler.snapshot()
            try:
                got += bench.handle(chunk)
            except ModelUnavailable:
                assert (before is None) == (bench.handler.snapshot() is None)
            else:
                break
            finally:
                failing.clear()
        else:
            got += bench.handle(chunk)
    assert got == expected


def test_a_cancelled_chunk_changes_nothing() -> None:
    bench = Bench()
    bench.frames.failing.append(asyncio.CancelledError())  # type: ignore[arg-type]
    chunk = records(whole_run(walk("car", 0.8, 0.1, 0.02, 5)))
    with pytest.raises(asyncio.CancelledError):
        bench.handle(chunk)
    assert bench.handler.snapshot() is None
    assert len(events_of(bench.handle(chunk))) == 2


def test_replays_are_passed_over() -> None:
    bench = Bench()
    messages = whole_run(walk("car", 0.8, 0.1, 0.02, 10))
    first = bench.give(messages[:6])
    again = bench.give(messages[2:])
    assert [len(o) for o in again if isinstance(o, Sequence)] == [0, 0, 0, 0, 1, 1, 1, 1, 1, 3]
    assert outputs([*first, *again]) == outputs(Bench().give(messages))
    assert outputs(bench.give(messages)) == [], "and after the run's end"


def test_a_run_that_never_began_still_ends() -> None:
    bench = Bench()
    outcomes = bench.give([end(ephemeral=True), end()])
    assert [[o.topic for o in one] for one in outcomes if isinstance(one, Sequence)] == [
        [TOPICS.tracks, TOPICS.events],
        [],
    ]


def test_a_frame_of_a_run_that_never_began_is_poison() -> None:
    bench = Bench()
    lost, begun, next_run = bench.give([frame(0), begin(), frame(0, run=2)])
    assert isinstance(lost, Poison)
    assert isinstance(lost.error, BadMessage)
    assert isinstance(begun, Sequence)
    assert isinstance(next_run, Poison)


def test_bytes_that_are_no_message_are_poison_and_the_rest_goes_on() -> None:
    outcomes = Bench().give([begin(), b"{", frame(0), end()])
    assert isinstance(outcomes[1], Poison)
    assert [f.seq for f in tracks_of(o for o in outcomes if not isinstance(o, Poison))] == [0]


def test_a_newer_run_ends_the_events_of_the_elder_one() -> None:
    bench = Bench()
    bench.give([begin(), *(frame(i, [("car", 0.8, at(0.1))]) for i in range(3))])
    outcomes = bench.give([begin(run=2), frame(3), end(run=1), frame(0, run=2), begin(run=1), end(run=2)])
    (ended,) = events_of(outcomes)
    assert (ended.phase, ended.run, ended.end_seq) == ("end", 1, 2)
    assert [(f.run, f.seq) for f in tracks_of(outcomes)] == [(2, 0)]
    assert [len(o) for o in outcomes if isinstance(o, Sequence)] == [2, 0, 0, 1, 0, 2]


def test_a_batch_that_lost_a_frame_stops_the_line() -> None:
    bench = Bench()
    bench.give([begin(), frame(0)])
    before = bench.handler.snapshot()
    with pytest.raises(GapError, match="frame 2 follows 0"):
        bench.give([frame(2)])
    assert before is not None
    assert len(outputs(bench.give([frame(1), frame(2)]))) == 2


def test_a_live_stream_goes_on_after_frames_that_expired() -> None:
    shown = tracks_of(Bench().give([begin(lane="live"), frame(0), frame(5), frame(4), frame(6)]))
    assert [f.seq for f in shown] == [0, 5, 6]


def test_a_frame_that_could_not_be_analysed_is_passed_on_and_ends_no_visit() -> None:
    rows = walk("car", 0.8, 0.1, 0.01, 10)
    messages = whole_run(rows)
    messages[5] = frame(4, error="BadImage: no JPEG")
    outcomes = Bench().give(messages)
    shown = tracks_of(outcomes)
    assert (shown[4].error, shown[4].tracks) == ("BadImage: no JPEG", ())
    assert {b.track_id for f in shown for b in f.tracks} == {1}
    assert len(last(events_of(outcomes))) == 1


def test_ephemeral_is_on_everything() -> None:
    messages: list[Message] = [
        begin(OBJECTS, PEOPLE, ephemeral=True),
        *(frame(i, [("person", 0.8, at(0.1))], ephemeral=True) for i in range(5)),
        end(ephemeral=True),
    ]
    outcomes = Bench().give(messages)
    assert all(f.ephemeral for f in tracks_of(outcomes))
    assert len(events_of(outcomes)) == 4
    assert all(e.ephemeral for e in events_of(outcomes))


def test_two_streams_of_a_partition_do_not_touch() -> None:
    rows = walk("car", 0.8, 0.1, 0.02, 10)
    alone = [
        whole_run(rows),
        [begin(stream=OTHER), *(frame(i, r, stream=OTHER) for i, r in enumerate(rows)), end(OTHER)],
    ]
    mixed = [message for pair in zip(*alone, strict=True) for message in pair]
    got = outputs(Bench().give(mixed))
    for messages in alone:
        key = str(messages[0].stream_id).encode()
        bench = Bench()
        bench.frames = FakeFrames()
        assert [o for o in got if o.key == key and o.topic == TOPICS.events][-1] == outputs(bench.give(messages))[-1]


def test_an_analytic_of_another_version_is_left_out() -> None:
    outcomes = Bench().give(whole_run(walk("car", 0.8, 0.1, 0.02, 5), Analytic("fire"), OBJECTS))
    assert {e.analytic_index for e in events_of(outcomes)} == {1}
    assert handling_of(InvalidInput("x")).value == "client_error"


def test_analytics_of_one_need_share_their_tracks() -> None:
    rows: list[Row] = [[("person", 0.8, at(0.1)), ("car", 0.7, at(0.6))]] * 5
    only_cars = Analytic("object_detection", {"labels": ["car"]})
    shown = tracks_of(Bench().give(whole_run(rows, only_cars, PEOPLE)))
    assert {(b.track_id, b.label) for f in shown for b in f.tracks} == {(1, "person"), (2, "car")}
    unwanted = tracks_of(Bench().give(whole_run(rows, only_cars)))
    assert {b.label for f in unwanted for b in f.tracks} == {"car"}


def test_times_that_fall_back_do_not_stop_the_tracker() -> None:
    messages: list[Message] = [
        begin(lane="live"),
        *(frame(i, [("car", 0.8, at(0.1))], media_s=(i % 5) / 10) for i in range(20)),
        end(),
    ]
    shown = tracks_of(Bench().give(messages))
    assert [[b.track_id for b in f.tracks] for f in shown] == [[1]] * 20


def test_the_rate_is_what_is_analysed() -> None:
    def rate(own: float, asked: float) -> float:
        return frame_rate(begin(video=VideoInfo(64, 48, own), source=Source("file:/v", fps=asked)))

    assert (rate(30, 10), rate(5, 10), rate(30, 0), rate(0, 10), rate(0, 0)) == (10, 5, 30, 10, 10)


def test_a_video_of_unknown_size_is_followed() -> None:
    outcomes = Bench().give(
        [begin(video=VideoInfo(0, 0, 0.0)), *(frame(i, [("car", 0.8, at(0.1))]) for i in range(3)), end()]
    )
    assert len(last(events_of(outcomes))) == 1


def test_latency_is_measured_from_publishing() -> None:
    histogram = metrics.histogram("sightline_analyse_latency_seconds").labels("batch")
    before = histogram._sum.get()
    Bench().give([begin(), frame(0, published_ms=97_000)])
    assert histogram._sum.get() - before == pytest.approx(3.0)


def test_a_snapshot_of_nothing_is_none() -> None:
    assert Bench().handler.snapshot() is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"sightline-analyse/0 trackers/1\nxx",
        FORMAT + b"\nno zlib",
        FORMAT + b"\n" + b"x\x9c\x03\x00\x00\x00\x00\x01",
    ],
)
def test_a_snapshot_that_cannot_be_read_stops_the_line(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        Bench().handler.restore(data)


def test_a_snapshot_runs_no_code() -> None:
    import os
    import pickle
    import zlib

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("true",)

    for evil in (Evil(), memory.zlib.compress):
        with pytest.raises(SnapshotError, match="no part of a state"):
            Bench().handler.restore(FORMAT + b"\n" + zlib.compress(pickle.dumps(evil)))
    hidden = b"\x80\x04\x8c\x13streams_proc.memory\x8c\x0dzlib.compress\x93."
    with pytest.raises(SnapshotError, match="no part of a state"):
        Bench().handler.restore(FORMAT + b"\n" + zlib.compress(hidden))


def test_ends_of_runs_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RUNS_REMEMBERED", 1)
    bench = Bench()
    bench.give([begin(), end(), begin(stream=OTHER), end(OTHER)])
    assert len(outputs(bench.give([end(OTHER)]))) == 0
    assert len(outputs(bench.give([end()]))) == 2


boxes = st.builds(
    at,
    st.sampled_from([0.0, 0.1, 0.12, 0.3, 0.33, 0.6]),
    st.sampled_from([0.1, 0.3]),
    st.sampled_from([0.1, 0.2, 0.25]),
)
things = st.tuples(st.sampled_from(["person", "car", "truck"]), st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.9]), boxes)
rows_of_runs = st.lists(st.lists(things, max_size=4), min_size=1, max_size=40)
analytics = st.lists(
    st.sampled_from([OBJECTS, Analytic("object_detection", {"labels": "any", "min_boxes": 1}), PEOPLE, FACES]),
    min_size=1,
    max_size=3,
)
HARD = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def made(rows: list[list[tuple[str, float, tuple[float, float, float, float]]]], asked: list[Analytic]) -> list[Record]:
    messages: list[Message] = [
        begin(*asked),
        *(frame(i, row, faces=row if i % 3 else None) for i, row in enumerate(rows)),
        end(),
    ]
    return records(messages)


@HARD
@given(rows=rows_of_runs, asked=analytics, cuts=st.lists(st.integers(1, 6), min_size=50, max_size=50))
def test_the_same_comes_out_however_the_records_are_cut(
    rows: list[list[tuple[str, float, tuple[float, float, float, float]]]], asked: list[Analytic], cuts: list[int]
) -> None:
    given_ = made(rows, asked)
    whole = outputs(Bench().handle(given_))
    assert outputs(Bench().handle(given_)) == whole
    bench, got, position = Bench(), list[Output](), 0
    for size in cuts:
        got += outputs(bench.handle(given_[position : position + size]))
        position += size
    assert got == whole


@HARD
@given(rows=rows_of_runs, asked=analytics, at_=st.integers(0, 41), back=st.integers(0, 5))
def test_the_same_comes_out_over_a_restart(
    rows: list[list[tuple[str, float, tuple[float, float, float, float]]]], asked: list[Analytic], at_: int, back: int
) -> None:
    given_ = made(rows, asked)
    whole = outputs(Bench().handle(given_))
    bench = Bench()
    before = outputs(bench.handle(given_[:at_]))
    snapshot = bench.handler.snapshot()
    bench.handler = bench.new_handler()
    if snapshot is not None:
        bench.handler.restore(snapshot)
    after = outputs(bench.handle(given_[max(0, at_ - back) :])) if snapshot or not at_ else []
    assert before + after == whole or not snapshot


def test_ids_are_never_shared_within_a_run() -> None:
    rows: list[Row] = [[("car", 0.9, at(0.1 if i % 60 < 20 else 0.7))] for i in range(200)]
    events = events_of(Bench().give(whole_run(rows)))
    assert len({e.track_id for e in events}) == len({e.event_id for e in events}) > 2
    numbers: dict[str, list[int]] = {}
    for event in events:
        numbers.setdefault(str(event.event_id), []).append(event.number)
    assert all(seen == list(range(len(seen))) for seen in numbers.values())
    assert encode_json(events[0]) == encode_json(events_of(Bench().give(whole_run(rows)))[0])
