"""Rows to values and back; what is nested is kept as JSON text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row

from core.ids import Run, StreamId, engine_stream_id
from core.messages import IngestCounts, StreamProblem, StreamSpec, VideoInfo
from warehouse.control import models
from warehouse.control.database import table
from warehouse.control.rows import RunRow, StreamRow, UploadRow

T = TypeVar("T")
MEDIA_SCHEME = "media:"
STREAMS, RUNS, UPLOADS = table(models.Stream), table(models.Run), table(models.Upload)
STREAM_COLUMNS = (
    STREAMS.c.stream_id,
    STREAMS.c.engine_id,
    STREAMS.c.spec,
    STREAMS.c.extra,
    STREAMS.c.created_ms,
    STREAMS.c.updated_ms,
    STREAMS.c.version,
    STREAMS.c.node_num,
)
RUN_COLUMNS = tuple(RUNS.c)
KNOWN = 2048
"""Texts whose values are remembered: a list that is looked at again and again is mostly the same. Nobody changes
a message."""
_spec_of = lru_cache(KNOWN)(msgspec.json.Decoder(StreamSpec).decode)
counts_of = lru_cache(KNOWN)(msgspec.json.Decoder(IngestCounts).decode)
positions_of = msgspec.json.Decoder(tuple[int, ...]).decode
_video_of = lru_cache(KNOWN)(msgspec.json.Decoder(VideoInfo).decode)
_problems_of = lru_cache(KNOWN)(msgspec.json.Decoder(tuple[StreamProblem, ...]).decode)
_object = msgspec.json.Decoder(dict[str, Any])


def json_text(value: Any) -> str:
    """JSON of a message or of plain values."""
    return msgspec.json.encode(value).decode()


def stream_values(spec: StreamSpec, extra: dict[str, Any]) -> dict[str, Any]:
    """Columns that follow from what a stream is."""
    url = spec.source.url
    return {
        "stream_id": spec.stream_id,
        "engine_id": engine_stream_id(spec.stream_id),
        "name": spec.name,
        "account_id": spec.account_id,
        "task": spec.task,
        "ephemeral": spec.ephemeral,
        "desired": spec.desired,
        "run": spec.run,
        "media_key": url.removeprefix(MEDIA_SCHEME) if url.startswith(MEDIA_SCHEME) else None,
        "spec": json_text(spec),
        "extra": json_text(extra),
        "reference": _text(extra, "reference") or url,
        "source": _text(extra, "source"),
        "event_source_group": _text(extra, "event_source_group"),
    }


def _text(extra: dict[str, Any], name: str) -> str | None:
    """A text of the profile (`core.profile`); other values than texts are some surface's own."""
    found = extra.get(name)
    return found if isinstance(found, str) else None


def run_row(row: Sequence[Any]) -> RunRow:
    """Of `RUN_COLUMNS`."""
    stream_id, run, state, created, status, started, ended, host, counts, *rest = row
    video, problems, error, total, last, imbalance, attempt, attempt_ms, paused, frame = rest
    return RunRow(
        stream_id=StreamId(stream_id),
        run=Run(run),
        state=state,
        created_ms=created,
        updated_ms=status or created,
        started_ms=started,
        ended_ms=ended,
        host=host,
        counts=counts_of(counts),
        video=None if video is None else _video_of(video),
        problems=_problems_of(problems),
        error=error,
        total_frames=total,
        last_media_s=last,
        imbalance=imbalance,
        attempt=attempt,
        attempt_ms=attempt_ms,
        paused=positions_of(paused),
        frame_ms=frame,
    )


def stream_row(row: Sequence[Any]) -> StreamRow:
    """Of `STREAM_COLUMNS`, then `RUN_COLUMNS`."""
    at = len(STREAM_COLUMNS)
    stream_id, engine_id, spec, extra, created, updated, version, node_num = row[:at]
    return StreamRow(
        stream_id=StreamId(stream_id),
        engine_id=engine_id,
        spec=_spec_of(spec),
        extra=_object.decode(extra),
        created_ms=created,
        updated_ms=updated,
        version=version,
        current=run_row(row[at:]),
        node_num=node_num,
    )


def upload_row(row: Row[Any]) -> UploadRow:
    """Of all columns of uploads."""
    return UploadRow(
        upload_id=row.upload_id,
        name=row.name,
        state=row.state,
        received=row.received,
        created_ms=row.created_ms,
        updated_ms=row.updated_ms,
        size=row.size,
        media_key=row.media_key,
        account_id=row.account_id,
    )
