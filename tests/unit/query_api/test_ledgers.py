"""The ledger: what sums, what does not, and where each frame in flight is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from falcon import testing
from hypothesis import given
from hypothesis import strategies as st

from core.ids import Run, Seq, StreamId
from core.messages import IngestCounts, Place, StreamStatus
from query_api.in_flight import RunKey, Waiting
from query_api.services.ledger import balance
from query_api.services.places import MOST_MISSING, frame_place, places_of
from query_api.types.query import Places
from tests.unit.query_api.conftest import NOW, VIDEO, finish
from tests.unit.query_api.fakes import Parts
from warehouse.rows import FrameCounts

AT_SINK, AT_DETECT = Place("detections", 1, 70), Place("frames.batch", 1, 50)


def reading(parts: Parts, task_id: str, counts: IngestCounts, *, stored: range = range(0)) -> None:
    """Report the task's run as under way, with these frames stored."""
    stream = StreamId(UUID(task_id))
    at = int(NOW * 1000)
    parts.control.record_status(StreamStatus(stream, Run(1), "in_progress", at, "host", counts, video=VIDEO))
    parts.analytics.counts = FrameCounts(len(stored), 0)
    parts.analytics.stored = frozenset(stored)


def ledger(client: testing.TestClient, task_id: str, **params: Any) -> Any:
    answer = client.simulate_get("/query/v1/ledger", params={"stream_ids": task_id, **params})
    assert answer.status_code == 200, answer.text
    (item,) = answer.json["items"]
    return item


UNDER_WAY = IngestCounts(decoded=60, sampled_out=30, read=30, gated=2, published=25, dropped={"backlog": 1})


def test_each_frame_in_flight_has_its_place(client: testing.TestClient, parts: Parts, task: Callable[..., str]) -> None:
    reading(parts, number := task(), UNDER_WAY, stored=range(10))
    parts.flights.waiting = Waiting(
        unread=14, detections={Seq(i): AT_SINK for i in (9, 10, 11)}, for_analyse=7, whole=True
    )
    item = ledger(client, number)
    assert (item["read"], item["processed"], item["in_flight"]) == (30, 10, 17)
    assert item["places"] == {
        "ingest": 2, "detect": 13, "sink": 2, "missing": 0, "unlocated": 0, "awaiting_analyse": 7,
    }  # fmt: skip
    assert (item["finished"], item["imbalance"], item["differences"]) == (False, 0, [])
    assert parts.flights.asked[0][0] == [RunKey(StreamId(UUID(number)), Run(1), "batch")]


def test_a_frame_that_is_nowhere_is_an_imbalance_while_the_run_goes_on(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    reading(parts, number := task(), UNDER_WAY, stored=range(10))
    parts.flights.waiting = Waiting(unread=4, detections={Seq(10): AT_SINK}, whole=True)
    item = ledger(client, number)
    assert (item["places"]["detect"], item["places"]["sink"], item["places"]["missing"]) == (4, 1, 10)
    assert item["imbalance"] == 10
    assert item["differences"] == ["10 frames are neither stored nor on Kafka"]


def test_what_is_stored_between_two_questions_is_at_no_moment_nowhere(
    client: testing.TestClient, parts: Parts, task: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading(parts, number := task(), UNDER_WAY, stored=range(5))
    parts.flights.waiting = Waiting(unread=0, detections={Seq(i): AT_SINK for i in range(5, 25)}, whole=True)
    store = parts.analytics

    def gone_on(question: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **more: Any) -> Any:
            answer = question(*arguments, **more)
            store.stored = frozenset(range(len(store.stored) + 5))
            store.counts = FrameCounts(len(store.stored), 0)
            return answer

        return asked

    monkeypatch.setattr(store, "frame_counts", gone_on(store.frame_counts))
    monkeypatch.setattr(store, "missing_frames", gone_on(store.missing_frames))
    item = ledger(client, number)
    assert item["in_flight"] > item["places"]["ingest"], "something is still on its way"
    assert (item["places"]["missing"], item["imbalance"]) == (0, 0)


def test_more_stored_than_ingest_has_told_of_is_no_imbalance_while_the_run_goes_on(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    reading(parts, number := task(), IngestCounts(decoded=5, read=5, published=5), stored=range(9))
    item = ledger(client, number)
    assert (item["decoded"], item["read"], item["processed"], item["in_flight"]) == (9, 9, 9, 0)
    assert item["imbalance"] == 0


def test_a_broker_that_is_away_leaves_the_sums_standing(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    reading(parts, number := task(), UNDER_WAY, stored=range(10))
    parts.flights.down = True
    item = ledger(client, number)
    assert item["places"] == {
        "ingest": 2, "detect": 0, "sink": 0, "missing": 0, "unlocated": 15, "awaiting_analyse": None,
    }  # fmt: skip
    assert item["imbalance"] == 0
    (frame, *_) = client.simulate_get(f"/query/v1/ledger/{number}").json["frames"]
    assert frame == {"seq": 10, "place": "unlocated", "topic": None, "partition": None, "offset": None}


def test_kafka_is_not_asked_when_nothing_is_under_way_or_nobody_wants_to_know(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    finish(parts, done := task())
    parts.analytics.counts = FrameCounts(19, 1)
    item = ledger(client, done)
    assert item["places"] == {
        "ingest": 0, "detect": 0, "sink": 0, "missing": 0, "unlocated": 0, "awaiting_analyse": 0,
    }  # fmt: skip
    reading(parts, under_way := task(), UNDER_WAY, stored=range(10))
    assert ledger(client, under_way, places="false")["places"] is None
    assert parts.flights.asked == []


@pytest.mark.parametrize(("stored", "frames"), [(18, 2), (22, 2)])
def test_a_finished_run_that_does_not_sum_says_so(
    client: testing.TestClient, parts: Parts, task: Callable[..., str], stored: int, frames: int
) -> None:
    finish(parts, done := task())
    parts.analytics.counts = FrameCounts(stored, 0)
    item = ledger(client, done)
    assert (item["finished"], item["imbalance"]) == (True, frames)
    assert item["differences"][0] == (f"read = processed + gated + dropped + dead_lettered is off by {20 - stored:+}")


def test_frames_in_flight_are_listed_page_by_page_with_their_records(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    reading(parts, number := task(), IngestCounts(decoded=9, read=9, published=8), stored=range(3))
    parts.flights.waiting = Waiting(
        unread=3, frames={Seq(5): AT_DETECT}, detections={Seq(3): AT_SINK}, whole=True, frames_whole=True
    )
    path = f"/query/v1/ledger/{number}"
    first = client.simulate_get(path, params={"limit": 3}).json
    assert (first["in_flight"], first["places"]["ingest"], first["run"]) == (6, 1, 1)
    assert [(f["seq"], f["place"], f["topic"], f["partition"], f["offset"]) for f in first["frames"]] == [
        (3, "sink", "detections", 1, 70), (4, "missing", None, None, None), (5, "detect", "frames.batch", 1, 50),
    ]  # fmt: skip
    assert first["next_after"] == 5
    (wanted,) = parts.flights.asked[0][1].values()
    assert wanted == {3, 4, 5}
    rest = client.simulate_get(path, params={"limit": 3, "after": 5}).json
    assert ([f["seq"] for f in rest["frames"]], rest["next_after"]) == ([6, 7], None)


def test_a_run_with_nothing_in_flight_lists_nothing(
    client: testing.TestClient, parts: Parts, task: Callable[..., str]
) -> None:
    finish(parts, done := task())
    parts.analytics.counts = FrameCounts(20, 0)
    answer = client.simulate_get(f"/query/v1/ledger/{done}", params={"run": 1}).json
    assert (answer["frames"], answer["next_after"], answer["in_flight"]) == ([], None, 0)


@pytest.mark.parametrize("suffix", ["", "?run=1"])
def test_a_stream_that_is_not_there_has_no_ledger(client: testing.TestClient, suffix: str) -> None:
    assert client.simulate_get(f"/query/v1/ledger/{UUID(int=5)}{suffix}").status_code == 404


def test_a_run_that_was_not_has_no_ledger(client: testing.TestClient, task: Callable[..., str]) -> None:
    assert client.simulate_get(f"/query/v1/ledger/{task()}", params={"run": 9}).status_code == 404


COUNT = st.integers(0, 60)


@given(
    read=COUNT,
    out=COUNT,
    given_up=st.tuples(COUNT, COUNT),
    unpublished=COUNT,
    stored=st.sets(st.integers(0, 80)),
    seen=st.one_of(st.none(), st.tuples(COUNT, st.sets(st.integers(0, 80)), st.booleans())),
)
def test_places_always_sum_to_what_is_in_flight(
    *,
    read: int,
    out: int,
    given_up: tuple[int, int],
    unpublished: int,
    stored: set[int],
    seen: tuple[int, set[int], bool] | None,
) -> None:
    gated, dropped = given_up
    published = max(0, read - gated - dropped - unpublished)
    counts = IngestCounts(read + out, out, read, gated, published, {"backlog": dropped})
    found = balance(counts, FrameCounts(len(stored), 0))
    missing = [Seq(seq) for seq in range(published) if seq not in stored]
    waiting = None
    if seen is not None:
        unread, at_sink, whole = seen
        waiting = Waiting(unread=unread, detections={Seq(s): AT_SINK for s in at_sink}, whole=whole)
    places = places_of(found, counts, missing, waiting)
    every = (places.ingest, places.detect, places.sink, places.missing, places.unlocated)
    assert sum(every) == found.in_flight
    assert min(every) >= 0


def test_beyond_what_could_be_named_a_waiting_frame_is_taken_to_wait() -> None:
    count = MOST_MISSING + 10
    counts = IngestCounts(decoded=count, read=count, published=count)
    missing = [Seq(i) for i in range(MOST_MISSING)]
    waiting = Waiting(unread=count, detections={Seq(5): AT_SINK, Seq(MOST_MISSING + 3): AT_SINK}, whole=True)
    places = places_of(balance(counts, FrameCounts(0, 0)), counts, missing, waiting)
    assert places == Places(detect=count - 2, sink=2, awaiting_analyse=0)


@pytest.mark.parametrize(
    ("whole", "frames_whole", "place"),
    [(True, True, "missing"), (True, False, "unlocated"), (False, True, "unlocated")],
)
def test_a_frame_is_called_missing_only_after_everything_was_read(whole: bool, frames_whole: bool, place: str) -> None:
    assert frame_place(Seq(1), Waiting(whole=whole, frames_whole=frames_whole)).place == place
