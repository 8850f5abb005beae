"""Messages that are made up, each of its place in its stream."""

from __future__ import annotations

from uuid import UUID

from core.ids import Run, Seq, StreamId
from core.messages import Detection, Frame, FrameDetections, Place

WIDTH, HEIGHT = 768, 432
FPS = 10
BEGIN_MS = 1_759_968_000_000
"""Midnight, UTC."""


def stream_of(number: int) -> StreamId:
    """One of many streams; as ClickHouse makes it too (`suite.clickhouse`)."""
    return StreamId(UUID(f"00000000-0000-4000-8000-{number:012x}"))


def frame_of(stream: int, seq: int, jpeg: bytes) -> Frame:
    """A frame."""
    media_s = seq / FPS
    at_ms = BEGIN_MS + int(media_s * 1000)
    return Frame(
        stream_of(stream), Run(1), Seq(seq), seq, media_s, at_ms, WIDTH, HEIGHT, jpeg, "model", published_ms=at_ms
    )


def detections_of(stream: int, seq: int, objects: int = 10) -> FrameDetections:
    """What was seen in it: objects in rows, their scores falling."""
    media_s = seq / FPS
    found = tuple(
        Detection(
            ("person", "car", "bicycle")[i % 3],
            round(0.95 - 0.04 * i, 5),
            (round(0.09 * i, 5), round(0.05 * i + 0.00001 * (seq % 1000), 5), round(0.09 * i + 0.08, 5), 0.9),
        )
        for i in range(objects)
    )
    return FrameDetections(
        stream_of(stream),
        Run(1),
        Seq(seq),
        seq,
        media_s,
        BEGIN_MS + int(media_s * 1000),
        WIDTH,
        HEIGHT,
        "model",
        1,
        Place("frames", 0, seq),
        found,
    )
