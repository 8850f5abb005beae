"""The control database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal
from uuid import UUID

from core.ids import Run, StreamId
from core.messages import StreamSpec, StreamStatus
from core.settings import Settings
from warehouse.control.rows import (
    OutboxRow,
    RunRow,
    StreamFilter,
    StreamRow,
    TaskProgress,
    Tombstone,
    UploadRow,
)
from warehouse.page import Page


class ControlStore:
    @classmethod
    def connect(cls, settings: Settings) -> ControlStore:
        raise NotImplementedError

    def migrate(self) -> None:
        raise NotImplementedError

    def ready(self) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    # streams
    def create_stream(self, spec: StreamSpec, extra: dict[str, Any] | None = None) -> StreamRow:
        raise NotImplementedError

    def stream(self, stream_id: StreamId) -> StreamRow:
        """Raises NotFound."""
        raise NotImplementedError

    def stream_by_engine_id(self, engine_id: str) -> StreamRow:
        raise NotImplementedError

    def streams(self, filter_: StreamFilter = StreamFilter(), *, limit: int = 100, cursor: str | None = None) -> Page[StreamRow]:
        raise NotImplementedError

    def count_streams(self, filter_: StreamFilter = StreamFilter()) -> int:
        raise NotImplementedError

    def update_stream(self, spec: StreamSpec, extra: dict[str, Any] | None = None, *, version: int | None = None) -> StreamRow:
        """Redefine: a new run begins."""
        raise NotImplementedError

    def set_desired(self, stream_id: StreamId, desired: Literal["run", "stop"]) -> StreamRow:
        """stop -> run begins a new run."""
        raise NotImplementedError

    def delete_stream(self, stream_id: StreamId) -> bool:
        """Tombstone + outbox null; False when there was none (still tombstoned)."""
        raise NotImplementedError

    # runs
    def record_status(self, status: StreamStatus) -> bool:
        raise NotImplementedError

    def run(self, stream_id: StreamId, run: Run) -> RunRow:
        raise NotImplementedError

    def runs(self, stream_id: StreamId) -> list[RunRow]:
        raise NotImplementedError

    def record_receipt(self, stream_id: StreamId, run: Run, sink: str, topic: str) -> None:
        raise NotImplementedError

    def receipts(self, stream_id: StreamId, run: Run) -> frozenset[tuple[str, str]]:
        raise NotImplementedError

    def task_state(self, stream_id: StreamId) -> TaskProgress:
        raise NotImplementedError

    # tombstones
    def tombstones(self, among: Collection[StreamId] | None = None) -> frozenset[StreamId]:
        raise NotImplementedError

    def unswept(self, deleted_before_ms: int, limit: int = 100) -> list[Tombstone]:
        raise NotImplementedError

    def mark_swept(self, stream_id: StreamId) -> None:
        raise NotImplementedError

    def forget_tombstones(self, deleted_before_ms: int) -> int:
        raise NotImplementedError

    # outbox
    def take_outbox(self, limit: int) -> list[OutboxRow]:
        raise NotImplementedError

    def delete_outbox(self, ids: Sequence[int]) -> None:
        raise NotImplementedError

    # uploads
    def create_upload(self, upload_id: UUID, name: str, *, size: int | None = None, account_id: str = "") -> UploadRow:
        raise NotImplementedError

    def upload(self, upload_id: UUID) -> UploadRow:
        raise NotImplementedError

    def uploads(self, *, limit: int = 100, cursor: str | None = None) -> Page[UploadRow]:
        raise NotImplementedError

    def advance_upload(self, upload_id: UUID, *, at: int, received: int) -> UploadRow:
        """Bytes received so far went from `at` to `received`; Conflict when `at` is not where it stands."""
        raise NotImplementedError

    def finish_upload(self, upload_id: UUID, media_key: str) -> UploadRow:
        raise NotImplementedError

    def delete_upload(self, upload_id: UUID) -> None:
        raise NotImplementedError

    def expired_uploads(self, created_before_ms: int, limit: int = 100) -> list[UploadRow]:
        """Uploads that no stream's source names."""
        raise NotImplementedError
