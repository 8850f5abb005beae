"""What is older, or more, than is to be kept is deleted, and nothing else; the ledger still sums."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.ids import Run, Seq, StreamId
from core.messages import FrameTracks, View
from core.settings import Settings
from tests.integration.warehouse.samples import START_MS, events, frames, stream_id, tracks, view
from warehouse.analytics import AnalyticsStore
from warehouse.embeddings import EmbeddingStore
from warehouse.filters import Filter

A, B, TASK = stream_id(1), stream_id(2), stream_id(3)
CUT_MS = START_MS + 3000
"""Frames come ten in a second: the first thirty are old."""


@pytest.fixture
def filled(analytics: AnalyticsStore) -> AnalyticsStore:
    for stream in (A, B, TASK):
        analytics.write_frames(frames(stream, 60))
        analytics.write_tracks(tracks(stream, 60))
        analytics.write_events([phase for story in events(stream, 40) for phase in story])
    return analytics


def everything(store: AnalyticsStore, stream: StreamId) -> tuple[Any, ...]:
    run = Run(1)
    return (
        store.frame_counts(stream, run),
        list(store.run_frames(stream, run)),
        list(store.run_track_points(stream, run)),
        list(store.run_views(stream, run)),
        list(store.run_tracks(stream, run)),
        list(store.run_events(stream, run)),
    )


@pytest.mark.clickhouse
def test_findings_of_before_are_deleted_and_frames_stay(filled: AnalyticsStore) -> None:
    others = [everything(filled, stream) for stream in (B, TASK)]
    counts = filled.frame_counts(A, Run(1))
    views = [v for f in tracks(A, 60) for v in f.views]
    old = sorted(v.media_key for f in tracks(A, 60) for v in f.views if f.ts_ms < CUT_MS)
    assert 0 < len(old) < len(views)
    assert filled.old_pictures([A], CUT_MS, after="", limit=1000) == old
    assert filled.old_pictures([A], CUT_MS, after=old[1], limit=2) == old[2:4]
    assert filled.old_pictures([], CUT_MS, after="", limit=2) == []
    assert filled.delete_before([A], CUT_MS)
    assert not filled.delete_before([A], CUT_MS), "there is nothing more"
    assert filled.frame_counts(A, Run(1)) == counts, "the ledger is made of them"
    seen = filled.detections(Filter(stream_ids=(A,)), limit=10_000).items
    assert seen
    assert min(d.ts_ms for d in seen) >= CUT_MS
    assert {d.seq for d in seen} == {f.seq for f in frames(A, 60) if f.ts_ms >= CUT_MS and (f.objects or f.faces)}
    points = list(filled.run_track_points(A, Run(1)))
    assert [(p.seq, p.track) for p in points] == [
        (f.seq, t) for f in tracks(A, 60) for t in f.tracks if f.ts_ms >= CUT_MS
    ]
    assert {v.media_key for v in filled.run_views(A, Run(1))} == {v.media_key for v in views} - set(old)
    assert all(t.last_ms >= CUT_MS for t in filled.run_tracks(A, Run(1)))
    assert [everything(filled, stream) for stream in (B, TASK)] == others
    filled.purge_deleted()
    assert filled.frame_counts(A, Run(1)) == counts


@pytest.mark.clickhouse
def test_events_of_before_are_deleted_by_their_newest_phase(filled: AnalyticsStore) -> None:
    others = everything(filled, B)
    assert filled.delete_events_before([A], CUT_MS)
    left = {e.event_id for e in filled.run_events(A, Run(1))}
    assert left == {story[-1].event_id for story in events(A, 40) if story[-1].ts_ms >= CUT_MS}
    assert left
    assert everything(filled, B) == others
    assert not filled.delete_events_before([], CUT_MS)


@pytest.mark.clickhouse
@pytest.mark.parametrize("most", [1, 7, 39])
def test_the_newest_events_stay(filled: AnalyticsStore, most: int) -> None:
    others = everything(filled, TASK)
    before = list(filled.run_events(A, Run(1)))
    assert filled.delete_events_beyond([A, B], most)
    left = list(filled.run_events(A, Run(1)))
    assert len(left) == most
    assert min(e.begin_ms for e in left) >= sorted(e.begin_ms for e in before)[-most]
    assert len(list(filled.run_events(B, Run(1)))) == most
    assert everything(filled, TASK) == others
    assert not filled.delete_events_beyond([A, B], most)
    assert not filled.delete_events_beyond([A, B], 40)


@pytest.mark.clickhouse
def test_room_and_events_are_told(filled: AnalyticsStore) -> None:
    used = filled.usage()
    assert used.total_bytes > used.free_bytes > 0
    assert used.events == 3 * 40


def test_vectors_of_before_are_deleted(tmp_path: Path) -> None:
    store = EmbeddingStore.connect(Settings(data_dir=tmp_path))
    rows: list[tuple[FrameTracks, View]] = []
    for stream in (A, B, TASK):
        for seq in range(60):
            frame = FrameTracks(stream, Run(1), Seq(seq), seq, seq / 10, START_MS + seq * 100, 960, 540, ())
            rows.append((frame, view(stream, 1, 1, seq, random=Random(f"{stream}{seq}"), keyspace="appearance")))
    store.write(rows)
    store.delete_before([A, B], CUT_MS)
    assert [store.count("appearance", stream) for stream in (A, B, TASK)] == [30, 30, 60]
    found = store.search("appearance", rows[0][1].embedding, limit=200, stream_ids=[A])
    assert min(n.ts_ms for n in found) >= CUT_MS
    store.delete_before([], CUT_MS)
    assert store.count("appearance") == 120
