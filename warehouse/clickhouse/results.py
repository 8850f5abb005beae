"""Everything of one run, read in pieces of some thousand frames, and tracks' best pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from core.ids import Run, Seq, StreamId, TrackId
from core.messages import Box, Detection, Face, TrackedBox
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.questions import points_of
from warehouse.clickhouse.topology import Topology
from warehouse.clickhouse.where import moment
from warehouse.rows import RunFrame, RunTrackPoint, TrackRow, TrackView

FRAMES = 2000
ROWS = 20_000


def _rows(columns: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    return zip(*columns, strict=True)


def run_frames(client: Client, topology: Topology, stream: StreamId, run: Run) -> Iterator[RunFrame]:
    """Frames by seq; those of a piece bound the time in which their detections are looked for."""
    after = -1
    while True:
        frames = list(
            _rows(
                client.columns(
                    "SELECT seq, frame_index, media_s, toUnixTimestamp64Milli(ts), width, height, model, "  # noqa: S608
                    f"model_version, error, faces FROM {topology.table('frames')} FINAL WHERE "
                    "stream_id = {stream:UUID} AND run = {run:UInt32} AND seq > {after:Int64} ORDER BY seq "
                    f"LIMIT {FRAMES}",
                    {"stream": str(stream), "run": run, "after": after},
                )
            )
        )
        if not frames:
            return
        seen = _seen(client, topology, stream, run, frames)
        for f in frames:
            objects, faces = seen.get(f[0], ((), ()))
            shown = None if f[9] < 0 else faces
            yield RunFrame(Seq(f[0]), f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8] or None, objects, shown)
        after = frames[-1][0]


def _seen(
    client: Client, topology: Topology, stream: StreamId, run: Run, frames: Sequence[tuple[Any, ...]]
) -> dict[int, tuple[tuple[Detection, ...], tuple[Face, ...]]]:
    times = [f[3] for f in frames]
    columns = client.columns(
        "SELECT seq, kind, label, score, x_min, y_min, x_max, y_max, landmarks "  # noqa: S608
        f"FROM {topology.table('detections')} FINAL WHERE stream_id = {{stream:UUID}} AND run = {{run:UInt32}} "
        f"AND ts >= {moment('begin')} AND ts <= {moment('end')} "
        "AND seq BETWEEN {first:UInt64} AND {last:UInt64} ORDER BY seq, kind, idx",
        {
            "stream": str(stream),
            "run": run,
            "begin": min(times),
            "end": max(times),
            "first": frames[0][0],
            "last": frames[-1][0],
        },
    )
    found = {}
    for seq, rows in groupby(_rows(columns), key=lambda r: int(r[0])):
        objects, faces = [], []
        for r in rows:
            box = cast("Box", r[4:8])
            if r[1] == "object":
                objects.append(Detection(r[2], r[3], box))
            else:
                faces.append(Face(r[3], box, points_of(r[8])))
        found[seq] = (tuple(objects), tuple(faces))
    return found


def run_track_points(client: Client, topology: Topology, stream: StreamId, run: Run) -> Iterator[RunTrackPoint]:
    """Places by frame and track."""
    after = (-1, -1)
    while True:
        columns = client.columns(
            "SELECT seq, frame_index, media_s, toUnixTimestamp64Milli(ts), track_id, label, score, x_min, y_min, "  # noqa: S608
            f"x_max, y_max, kind, detection FROM {topology.table('track_points')} FINAL WHERE "
            "stream_id = {stream:UUID} AND run = {run:UInt32} AND seq >= {seq:Int64} "
            f"AND (seq, track_id) > ({{seq:Int64}}, {{track:Int64}}) ORDER BY seq, track_id LIMIT {ROWS}",
            {"stream": str(stream), "run": run, "seq": after[0], "track": after[1]},
        )
        if not columns or not columns[0]:
            return
        for r in _rows(columns):
            track = TrackedBox(TrackId(r[4]), r[5], r[6], r[7:11], r[11], None if r[12] < 0 else r[12])
            yield RunTrackPoint(Seq(r[0]), r[1], r[2], r[3], track)
        after = (columns[0][-1], columns[4][-1])


def run_views(client: Client, topology: Topology, stream: StreamId, run: Run) -> Iterator[TrackView]:
    """Pictures by track and frame."""
    columns = client.columns(
        "SELECT track_id, seq, keyspace, media_key, score, quality, x_min, y_min, x_max, y_max "  # noqa: S608
        f"FROM {topology.table('views')} FINAL WHERE stream_id = {{stream:UUID}} AND run = {{run:UInt32}} "
        "ORDER BY track_id, seq, keyspace",
        {"stream": str(stream), "run": run},
    )
    for r in _rows(columns):
        yield TrackView(TrackId(r[0]), Seq(r[1]), r[2], r[3], r[4], r[5], cast("Box", r[6:10]))


def with_images(client: Client, topology: Topology, tracks: Sequence[TrackRow]) -> tuple[TrackRow, ...]:
    """The tracks, each with the media key of its picture of highest quality."""
    if not tracks:
        return ()
    columns = client.columns(
        "SELECT stream_id, run, track_id, argMax(media_key, (quality, media_key)) "  # noqa: S608
        f"FROM {topology.table('views')} WHERE (stream_id, run, track_id) IN (SELECT k.1, k.2, k.3 FROM "
        "(SELECT arrayJoin(arrayZip({streams:Array(UUID)}, {runs:Array(UInt32)}, {tracks:Array(UInt32)})) AS k)) "
        "GROUP BY stream_id, run, track_id",
        {
            "streams": [str(t.stream_id) for t in tracks],
            "runs": [t.run for t in tracks],
            "tracks": [t.track_id for t in tracks],
        },
    )
    images = {key[:3]: key[3] for key in _rows(columns)}
    return tuple(replace(t, image=images.get((t.stream_id, t.run, t.track_id))) for t in tracks)
