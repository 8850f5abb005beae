"""Deleting again what was on its way to the stores when its stream was deleted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

from core import log
from core.clock import Clock, now_ms, wall_clock
from core.errors import Conflict
from core.ids import StreamId
from streams_proc.attempt import Backoff, attempt

EVERY_S = 5.0
FIRST_MS = 5_000
LAST_MS = 60_000
FORGET_MS = 30 * 86_400_000
_log = log.get(__name__)


class TombstoneRow(Protocol):
    """A deleted stream."""

    @property
    def stream_id(self) -> StreamId:
        """The stream."""
        ...

    @property
    def deleted_ms(self) -> int:
        """When."""
        ...


class UploadRow(Protocol):
    """A video that no stream names."""

    @property
    def upload_id(self) -> UUID:
        """Its id."""
        ...

    @property
    def media_key(self) -> str | None:
        """Where it lies once complete."""
        ...


class Records(Protocol):
    """The part of the control store that names what is to go. Blocking."""

    def unswept(self, deleted_before_ms: int, limit: int = 100) -> Sequence[TombstoneRow]:
        """Deleted streams that may have left something."""
        ...

    def mark_swept(self, stream_id: StreamId, deleted_ms: int) -> None:
        """Nothing of what was deleted then can come any more."""
        ...

    def forget_tombstones(self, deleted_before_ms: int) -> int:
        """Drop tombstones that nothing kept can outlive."""
        ...

    def expired_uploads(self, before_ms: int, limit: int = 100) -> Sequence[UploadRow]:
        """Uploads that no stream's source names."""
        ...

    def delete_upload(self, upload_id: UUID) -> object:
        """Forget one. Raises Conflict when a stream has begun to read it."""
        ...


class Media(Protocol):
    """The part of the media store that deletes. Blocking."""

    def delete(self, key: str) -> None:
        """Remove a key."""
        ...

    def delete_prefix(self, prefix: str) -> Any:
        """Remove a folder."""
        ...


class Sweep:
    """Sweeps each tombstone twice, seconds and a minute after the deletion, and drops old uploads.

    Args:
        erase: each removes everything of a stream from one store.
        upload_ttl_s: age from which an upload that no stream names goes.
        purge: takes what was erased off the disks; heavy, so once for all that is swept together.
    """

    def __init__(
        self,
        records: Records,
        media: Media,
        erase: Sequence[Callable[[StreamId], Any]],
        *,
        upload_ttl_s: float,
        purge: Callable[[], None],
        clock: Clock = wall_clock,
    ) -> None:
        self._records = records
        self._media = media
        self._erase = erase
        self._upload_ttl_ms = int(upload_ttl_s * 1000)
        self._purge = purge
        self._clock = clock
        self._once: set[StreamId] = set()

    def sweep(self) -> None:
        """Sweep what is due. Raises StoreUnavailable."""
        now = now_ms(self._clock)
        finished: list[TombstoneRow] = []
        for row in self._records.unswept(now - FIRST_MS):
            last = row.deleted_ms <= now - LAST_MS
            if last or row.stream_id not in self._once:
                for erase in self._erase:
                    erase(row.stream_id)
                self._once.add(row.stream_id)
            if last:
                finished.append(row)
        if finished:
            self._purge()
        for row in finished:
            self._records.mark_swept(row.stream_id, row.deleted_ms)
            self._once.discard(row.stream_id)
            _log.info("swept", stream_id=str(row.stream_id))
        self._records.forget_tombstones(now - FORGET_MS)

    def drop_uploads(self) -> None:
        """Remove whole uploads that nobody used in time; one that is under way is its receiver's.

        Raises:
            StoreUnavailable: a store does not answer.
        """
        for row in self._records.expired_uploads(now_ms(self._clock) - self._upload_ttl_ms):
            if row.media_key is None:
                continue
            with contextlib.suppress(Conflict):  # a stream has begun to read it
                self._records.delete_upload(row.upload_id)
                self._media.delete(row.media_key)
                _log.info("upload expired", upload_id=str(row.upload_id))

    async def run(self, backoff: Backoff) -> None:
        """Sweep for ever; a store that does not answer is waited for."""

        async def once() -> None:
            await asyncio.to_thread(self.sweep)
            await asyncio.to_thread(self.drop_uploads)

        while True:
            await backoff.sleep(EVERY_S)
            await attempt(once, "control", backoff=backoff)
