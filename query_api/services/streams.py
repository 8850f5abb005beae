"""Streams, as the query surface shows them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from core.clock import rfc3339
from core.errors import NotFound
from core.ids import StreamId
from core.log import mask
from core.messages import IngestCounts, StreamSpec
from query_api.ports import Collaborators
from query_api.services.results import problems_shown, video_facts
from query_api.services.submissions import analytics_shown, gate_shown
from query_api.services.tasks import remove_stream
from query_api.services.uploads import Uploads
from query_api.types.query import StreamItem, StreamsPage, StreamsParams
from warehouse.control.rows import StreamFilter, StreamRow


class Streams:
    """Streams that are no tasks; blocking."""

    def __init__(self, parts: Collaborators, uploads: Uploads) -> None:
        self._parts = parts
        self._uploads = uploads

    def create(self, spec: StreamSpec) -> StreamItem:
        """Store the stream; an ingest host takes it from there."""
        return stream_item(self._parts.control.create_stream(spec))

    def page(self, params: StreamsParams, limit: int) -> StreamsPage:
        """Some streams."""
        chosen = StreamFilter(
            task=False, names=params.names, desired=params.desired, stream_ids=ids_of(params.stream_ids)
        )
        found = self._parts.control.streams(chosen, limit=limit, cursor=params.cursor)
        return StreamsPage([stream_item(row) for row in found.items], found.next_cursor)

    def get(self, stream_id: UUID) -> StreamItem:
        """One stream. Raises NotFound."""
        return stream_item(self._row(stream_id))

    def delete(self, stream_id: UUID) -> None:
        """Remove it and all that it left. Raises NotFound."""
        row = self._row(stream_id)
        remove_stream(self._parts, row.stream_id)
        self._uploads.release(row.spec.source.url)

    def _row(self, stream_id: UUID) -> StreamRow:
        row = self._parts.control.stream(StreamId(stream_id))
        if row.spec.task:
            raise NotFound(f"no stream {stream_id}; it is a task")
        return row


def ids_of(given: Sequence[UUID] | None) -> tuple[StreamId, ...] | None:
    """The ids as the stores take them."""
    return None if given is None else tuple(StreamId(one) for one in given)


def stream_item(row: StreamRow) -> StreamItem:
    """A stream as answers show it, secrets in its address masked."""
    spec, run = row.spec, row.current
    return StreamItem(
        stream_id=row.stream_id,
        name=spec.name,
        url=mask(spec.source.url),
        lane=spec.lane,
        desired=spec.desired,
        state=run.state,
        run=spec.run,
        analytics=analytics_shown(spec.analytics),
        model=spec.model,
        fps=spec.source.fps,
        realtime=spec.source.realtime,
        loop=spec.source.loop,
        gate=gate_shown(spec.gate),
        created_at=rfc3339(row.created_ms),
        updated_at=rfc3339(row.updated_ms),
        last_media_s=run.last_media_s,
        video=None if run.video is None else video_facts(spec.name, run.video, IngestCounts()),
        error=run.error,
        errors=problems_shown(run.problems),
    )
