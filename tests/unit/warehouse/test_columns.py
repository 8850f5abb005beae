"""Messages as columns."""

from __future__ import annotations

from uuid import UUID

import msgspec
import numpy as np
import pytest

from core.ids import EventId, Run, Seq, StreamId, TrackId, ViewId
from core.messages import Detection, Event, Face, FrameDetections, FrameTracks, Place, TrackedBox, View
from warehouse.clickhouse.columns import TYPES, BadRow, Batch, build, event_batches, frame_batches, track_batches

A = StreamId(UUID(int=1))
BOX = (0.1, 0.2, 0.3, 0.4)
FRAME = FrameDetections(
    A,
    Run(1),
    Seq(7),
    21,
    0.7,
    1_700_000_000_000,
    960,
    540,
    "m",
    2,
    Place("frames.batch", 0, 1),
    (Detection("car", 0.9, BOX), Detection("bus", 0.1 + 0.2, BOX)),
    (Face(0.5, BOX, ((0.1, 0.2),)),),
)
TRACKS = FrameTracks(
    A,
    Run(1),
    Seq(7),
    21,
    0.7,
    1_700_000_000_000,
    960,
    540,
    (TrackedBox(TrackId(3), "car", 0.9, BOX),),
    (View(ViewId(UUID(int=5)), TrackId(3), "appearance", "car", 0.9, BOX, "k.jpg", b"", "m"),),
)
EVENT = Event(
    EventId(UUID(int=9)),
    A,
    Run(1),
    0,
    "object_detection",
    "object",
    "begin",
    0,
    Seq(7),
    1_700_000_000_000,
    1_700_000_000_000,
    0.7,
    Seq(7),
)


def by_table(batches: list[Batch]) -> dict[str, int]:
    return {batch.table: len(batch) for batch in batches}


def test_a_frame_s_row_comes_after_its_detections() -> None:
    batches = build([FRAME], frame_batches)
    assert [(b.table, len(b)) for b in batches] == [("detections", 2), ("detections", 1), ("frames", 1)]
    objects = batches[0].columns
    assert list(objects["score"]) == [0.9, 0.1 + 0.2]
    assert [list(objects[side]) for side in ("x_min", "y_min", "x_max", "y_max")] == [[v, v] for v in BOX]
    assert list(objects["idx"]) == [0, 1]
    assert list(objects["seq"]) == [7, 7]


def test_tables_without_rows_are_left_out() -> None:
    empty = msgspec.structs.replace(FRAME, objects=(), faces=None)
    assert by_table(build([empty], frame_batches)) == {"frames": 1}
    assert build([], frame_batches) == []
    assert build([msgspec.structs.replace(TRACKS, tracks=(), views=())], track_batches) == []
    assert by_table(build([TRACKS], track_batches)) == {"views": 1, "track_points": 1}


def test_every_column_has_its_type_and_all_are_of_one_length() -> None:
    for batches in (build([FRAME], frame_batches), build([TRACKS], track_batches), build([EVENT], event_batches)):
        for batch in batches:
            assert len({len(values) for values in batch.columns.values()}) == 1
            assert len(batch.types) == len(batch.columns)
            for name, values in batch.columns.items():
                if isinstance(values, np.ndarray) and values.dtype == np.float64:
                    assert name not in TYPES


REPLACE = msgspec.structs.replace


@pytest.mark.parametrize(
    ("message", "batches"),
    [
        (REPLACE(FRAME, objects=(Detection("\ud800", 0.5, BOX),)), frame_batches),
        (REPLACE(FRAME, objects=(Detection("car", float("inf"), BOX),)), frame_batches),
        (REPLACE(FRAME, objects=(Detection("car", 0.5, (0.1, 0.2, 0.3)),)), frame_batches),
        (REPLACE(FRAME, faces=(Face(0.5, BOX, ((float("nan"), 0.1),)),)), frame_batches),
        (REPLACE(FRAME, run=Run(-1)), frame_batches),
        (REPLACE(FRAME, index=2**64), frame_batches),
        (REPLACE(TRACKS, tracks=(TrackedBox(TrackId(2**32), "car", 0.9, BOX),)), track_batches),
        (REPLACE(TRACKS, tracks=(TrackedBox(TrackId(1), "car", 0.9, (None, 0, 0, 0)),)), track_batches),
        (REPLACE(EVENT, begin_ms=-1), event_batches),
        (REPLACE(EVENT, end_s=float("nan")), event_batches),
        (REPLACE(EVENT, end_seq=-5), event_batches),
        (REPLACE(EVENT, image="\ud800"), event_batches),
        (REPLACE(EVENT, data={"x": object()}), event_batches),
        (REPLACE(EVENT, box=(0.1, 0.2, float("nan"), 1.0)), event_batches),
    ],
)
def test_a_message_that_cannot_be_held_is_named(message: object, batches: object) -> None:
    good = {frame_batches: FRAME, track_batches: TRACKS, event_batches: EVENT}[batches]
    with pytest.raises(BadRow, match=f"stream {A} run") as caught:
        build([good, good, message, good], batches)
    assert caught.value.position == 2


def test_a_position_counts_messages_that_are_left_out_too() -> None:
    immediate = REPLACE(FRAME, index=-1, ephemeral=True)
    with pytest.raises(BadRow) as caught:
        build([immediate, REPLACE(FRAME, index=-1)], frame_batches)
    assert caught.value.position == 1
