"""Videos that were, or are being, uploaded."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, Row, and_, delete, exists, insert, or_, select, update

from core.errors import Conflict, InvalidInput, NotFound
from warehouse.control.codec import STREAMS, UPLOADS, upload_row
from warehouse.control.database import Database
from warehouse.control.rows import UploadRow
from warehouse.page import Page, decode_cursor, digest, page_of

MAX_LIMIT = 10_000
_USED = exists().where(STREAMS.c.media_key == UPLOADS.c.media_key)


class Uploads(Database):
    """Uploads, resumable."""

    def create_upload(self, upload_id: UUID, name: str, *, size: int | None = None, account_id: str = "") -> UploadRow:
        """A new upload of `size` bytes, none received yet. Raises Conflict when the id exists."""
        now = self._now()
        with self._writing() as connection:
            connection.execute(
                insert(UPLOADS).values(
                    upload_id=upload_id,
                    name=name,
                    account_id=account_id,
                    state="open",
                    size=size,
                    received=0,
                    created_ms=now,
                    updated_ms=now,
                )
            )
            return _read(connection, upload_id)

    def upload(self, upload_id: UUID) -> UploadRow:
        """One upload. Raises NotFound."""
        with self._reading() as connection:
            return _read(connection, upload_id)

    def uploads(self, *, account_id: str | None = None, limit: int = 100, cursor: str | None = None) -> Page[UploadRow]:
        """Uploads, the newest first. Raises InvalidInput for a wrong limit or cursor."""
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidInput(f"a page has 1 to {MAX_LIMIT} rows", "limit")
        asked = digest("uploads", account_id)
        u = UPLOADS.c
        statement = select(UPLOADS).order_by(u.created_ms.desc(), u.upload_id.desc())
        if account_id is not None:
            statement = statement.where(u.account_id == account_id)
        if cursor is not None:
            created, at = decode_cursor(cursor, asked, (int, str))
            statement = statement.where(
                or_(u.created_ms < created, and_(u.created_ms == created, u.upload_id < UUID(hex=str(at))))
            )
        with self._reading() as connection:
            rows = [upload_row(row) for row in connection.execute(statement.limit(limit + 1))]
        return page_of(rows, limit, asked, lambda row: (row.created_ms, row.upload_id.hex))

    def advance_upload(self, upload_id: UUID, *, at: int, received: int) -> UploadRow:
        """Bytes `at` to `received` are safely kept.

        Raises:
            NotFound: no such upload.
            Conflict: it does not stand at `at`, or is complete.
            InvalidInput: less than before, or more than its size.
        """
        with self._writing() as connection:
            row = _lock(connection, upload_id)
            if row.state != "open" or row.received != at:
                raise Conflict(f"upload {upload_id} is {row.state} at byte {row.received}, not open at {at}")
            if received < at or (row.size is not None and received > row.size):
                raise InvalidInput(f"byte {received} of {row.size} after byte {at}", "received")
            connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.upload_id == upload_id)
                .values(received=received, updated_ms=self._now())
            )
            return _read(connection, upload_id)

    def finish_upload(self, upload_id: UUID, media_key: str) -> UploadRow:
        """All bytes lie in the media store; doing so again with the same key changes nothing.

        Raises:
            NotFound: no such upload.
            Conflict: bytes are missing, or it is complete under another key.
        """
        with self._writing() as connection:
            row = _lock(connection, upload_id)
            if row.state == "complete" and row.media_key == media_key:
                return upload_row(row)
            if row.state == "complete" or (row.size is not None and row.received != row.size):
                raise Conflict(f"upload {upload_id} is {row.state} at byte {row.received} of {row.size}")
            connection.execute(
                update(UPLOADS)
                .where(UPLOADS.c.upload_id == upload_id)
                .values(state="complete", media_key=media_key, size=row.received, updated_ms=self._now())
            )
            return _read(connection, upload_id)

    def delete_upload(self, upload_id: UUID) -> bool:
        """Forget an upload; False when there was none. Raises Conflict while a stream reads it."""
        with self._writing() as connection:
            if connection.execute(select(UPLOADS.c.upload_id).where(UPLOADS.c.upload_id == upload_id, _USED)).first():
                raise Conflict(f"upload {upload_id} is the source of a stream or task")
            result = connection.execute(delete(UPLOADS).where(UPLOADS.c.upload_id == upload_id))
            return bool(result.rowcount)

    def expired_uploads(self, before_ms: int, limit: int = 100) -> list[UploadRow]:
        """Uploads untouched since then that no stream reads; the oldest first."""
        statement = (
            select(UPLOADS).where(UPLOADS.c.updated_ms < before_ms, ~_USED).order_by(UPLOADS.c.updated_ms).limit(limit)
        )
        with self._reading() as connection:
            return [upload_row(row) for row in connection.execute(statement)]


def _read(connection: Connection, upload_id: UUID) -> UploadRow:
    return upload_row(_lock(connection, upload_id))


def _lock(connection: Connection, upload_id: UUID) -> Row[tuple[object, ...]]:
    row = connection.execute(select(UPLOADS).where(UPLOADS.c.upload_id == upload_id).with_for_update()).first()
    if row is None:
        raise NotFound(f"no upload {upload_id}")
    return row
