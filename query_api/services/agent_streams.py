"""Streams and their logs, as the agent surface has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from core.clock import rfc3339
from core.errors import NotFound
from core.ids import StreamId
from core.log import mask
from core.messages import StreamSpec
from core.profile import StreamProfile, extra_of
from core.states import NUMBERS, STATES
from query_api.ports import Collaborators
from query_api.services.stream_shown import NOBODY, stream_shown
from query_api.services.streams import ids_of
from query_api.services.tasks import remove_stream
from query_api.services.uploads import Uploads
from query_api.types.agent_streams import (
    AgentStream,
    LogListParams,
    LogTarget,
    StreamListParams,
    StreamLog,
    StreamParams,
)
from query_api.types.common import moment_ms
from warehouse.control.rows import LogFilter, StreamFilter, StreamLogRow, StreamRow


class AgentStreams:
    """Streams that are no tasks; blocking."""

    def __init__(self, parts: Collaborators, uploads: Uploads) -> None:
        self._control = parts.control
        self._parts = parts
        self._uploads = uploads

    def create(self, spec: StreamSpec, profile: StreamProfile) -> StreamId:
        """Store the stream; an ingest host takes it from there."""
        return self._control.create_stream(spec, extra_of(profile)).stream_id

    def page(self, params: StreamListParams) -> list[AgentStream]:
        """The streams of one page."""
        bounded = params.stream_id__gte is not None or params.stream_id__lt is not None
        by: Literal["created", "name", "id"] = "name" if params.order_column == "name" else "created"
        found = self._control.list_streams(
            _stream_filter(params),
            by="id" if bounded else by,
            descending=params.order == "desc",
            limit=params.page_size,
            offset=(params.page - 1) * params.page_size,
        )
        return [stream_shown(row, params.targets) for row in found]

    def get(self, stream_id: UUID, params: StreamParams) -> AgentStream:
        """One stream. Raises NotFound, also for another account's."""
        return stream_shown(self._row(stream_id, params.account_id), params.targets)

    def delete(self, stream_id: UUID, account_id: UUID | None) -> None:
        """Remove it and all that it left. Raises NotFound, also for another account's."""
        row = self._row(stream_id, account_id)
        remove_stream(self._parts, row.stream_id)
        self._uploads.release(row.spec.source.url)

    def patch(self, stream_id: UUID, action: Literal["stop", "resume"]) -> Literal[0, 1]:
        """Stop or resume it; how many streams were changed. Raises NotFound."""
        row = self._row(stream_id, None)
        return 1 if self._control.patch_stream(row.stream_id, action) else 0

    def logs(self, params: LogListParams) -> list[StreamLog]:
        """The entries of one page."""
        chosen = LogFilter(
            account_id=_owner(params.account_id),
            stream_ids=ids_of(params.stream_ids),
            statuses=tuple(STATES[number] for number in params.statuses),
            analytic_indexes=params.analytic_indexes,
            from_ms=_ms(params.log_time__gte),
            to_ms=_ms(params.log_time__lt),
        )
        offset = (params.page - 1) * params.page_size
        found = self._control.stream_logs(chosen, limit=params.page_size, offset=offset)
        return [_log_shown(row, params.targets) for row in found]

    def clear_logs(self, before: int | datetime | None) -> int:
        """Remove older entries, but for the last of each stream; how many went."""
        return self._control.clear_stream_logs(_ms(before))

    def _row(self, stream_id: UUID, account_id: UUID | None) -> StreamRow:
        row = self._control.stream(StreamId(stream_id))
        if row.spec.task or _owner(account_id) not in {None, row.spec.account_id}:
            raise NotFound(f"no stream {stream_id}")
        return row


def _stream_filter(params: StreamListParams) -> StreamFilter:
    def bound(given: UUID | None) -> StreamId | None:
        return None if given is None else StreamId(given)

    return StreamFilter(
        task=False,
        account_id=_owner(params.account_id),
        stream_ids=ids_of(params.stream_ids),
        names=params.names,
        created_from_ms=_ms(params.create_time__gte),
        created_to_ms=_ms(params.create_time__lt),
        shown=tuple(STATES[number] for number in params.statuses),
        stream_id_from=bound(params.stream_id__gte),
        stream_id_to=bound(params.stream_id__lt),
        references=() if params.reference is None else (params.reference,),
        sources=params.sources,
        event_source_groups=params.event_source_groups,
    )


def _owner(account_id: UUID | None) -> str | None:
    """As streams keep their owner; None when nobody is asked for."""
    if account_id is None:
        return None
    return "" if account_id == NOBODY else str(account_id)


def _ms(moment: int | datetime | None) -> int | None:
    return None if moment is None else moment_ms(moment)


def _log_shown(row: StreamLogRow, targets: Sequence[LogTarget]) -> StreamLog:
    fields: dict[LogTarget, Any] = {
        "stream_id": row.stream_id,
        "status": NUMBERS[row.status],
        "error": None if row.error is None else mask(row.error),
        "log_time": rfc3339(row.log_ms),
        "last_processed_frame_time": None if row.frame_ms is None else rfc3339(row.frame_ms),
        "analytic_index": row.analytic_index,
    }
    return StreamLog(**{name: value for name, value in fields.items() if not targets or name in targets})
