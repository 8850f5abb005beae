"""Uploaded videos: bytes to a staging file as they come, then into the media store.

A staging file is locked while it is written, so two requests cannot write one upload; what was
received is recorded after each request, so an upload goes on where it stopped.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from uuid import UUID, uuid4

from core.clock import now_ms
from core.errors import Conflict, InvalidInput, NotFound
from core.settings import Settings
from query_api.ports import Collaborators
from query_api.refusals import NoSpace, TooLarge
from warehouse.control.rows import UploadRow

FOLDER = "uploads"
PIECE = 1024 * 1024
CHECK_SPACE_EVERY = 64 * PIECE
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Received:
    """An upload after a request; `sha256` of the whole file once it is whole."""

    row: UploadRow
    sha256: str | None = None


class Uploads:
    """Uploads in the control database, the staging folder and the media store."""

    def __init__(self, settings: Settings, parts: Collaborators) -> None:
        self._limit = settings.media.max_upload_bytes
        self._ttl_ms = int(settings.media.upload_ttl_s * 1000)
        self._reserve = settings.stack.min_free_mb * 1024 * 1024
        self._parts = parts

    async def create(
        self, name: str, chunks: AsyncIterator[bytes], *, size: int | None, expected: int | None, partial: bool
    ) -> Received:
        """A new upload with its first bytes; nothing stays of it when they do not all come.

        Args:
            size: bytes of the whole file, None when unknown.
            expected: bytes that `chunks` will bring, None when unknown.
            partial: more may come later.

        Raises:
            TooLarge, NoSpace, InvalidInput: nothing was kept.
        """
        self._check_size(size if size is not None else expected)
        run = self._parts.pool.run
        await run(self._check_space, max(size or 0, expected or 0))
        await run(self._remove_expired)
        row = await run(self._parts.control.create_upload, uuid4(), name, size=size)
        try:
            return await self._append(row, chunks, expected=expected, partial=partial)
        except BaseException:
            await run(self._remove, row)
            raise

    async def append(
        self, upload: UUID, offset: int, chunks: AsyncIterator[bytes], *, expected: int | None, partial: bool
    ) -> Received:
        """The next bytes, from `offset`; those that came are kept also when the rest does not.

        Raises:
            NotFound: no such upload.
            Conflict: it is whole, stands elsewhere, or is being written.
            TooLarge, NoSpace, InvalidInput: these bytes were not all kept.
        """
        row = await self._parts.pool.run(self._parts.control.upload, upload)
        if row.state == "complete":
            raise Conflict("the upload is whole already")
        if row.received != offset:
            raise Conflict(f"the upload stands at {row.received}, not at {offset}")
        self._check_size(offset + (expected or 0))
        await self._parts.pool.run(self._check_space, expected or 0)
        return await self._append(row, chunks, expected=expected, partial=partial)

    def row(self, upload: UUID) -> UploadRow:
        """Blocking. Raises NotFound."""
        return self._parts.control.upload(upload)

    def delete(self, upload: UUID) -> None:
        """Remove it. Blocking. Raises NotFound; Conflict when a stream or task reads it."""
        self._remove(self._parts.control.upload(upload))

    def release(self, url: str) -> None:
        """Remove the upload that `url` (``media:uploads/...``) names, unless another stream reads it. Blocking."""
        if not url.startswith(f"media:{FOLDER}/"):
            return
        try:
            upload = UUID(url.removeprefix(f"media:{FOLDER}/").split(".")[0])
            self._remove(self._parts.control.upload(upload))
        except (ValueError, NotFound, Conflict):
            return

    async def _append(
        self, row: UploadRow, chunks: AsyncIterator[bytes], *, expected: int | None, partial: bool
    ) -> Received:
        run = self._parts.pool.run
        file = await run(self._open, row)
        try:
            try:
                received = await self._write(file, row, chunks)
            finally:
                end = await run(_settle, file)
                if end != row.received:
                    row = await run(
                        self._parts.control.advance_upload, row.upload_id, at=row.received, received=end
                    )  # fmt: skip
            if expected is not None and received < expected:
                raise InvalidInput(f"the body ended after {received} of {expected} bytes")
            whole = row.received == row.size if row.size is not None else not partial
            return await run(self._finish, row) if whole else Received(row)
        finally:
            file.close()

    async def _write(self, file: FileIO, row: UploadRow, chunks: AsyncIterator[bytes]) -> int:
        """Bytes written. Raises TooLarge, NoSpace."""
        received, checked, pending = 0, 0, bytearray()
        most = self._limit if row.size is None else row.size
        try:
            async for chunk in chunks:
                received += len(chunk)
                if row.received + received > most:
                    raise TooLarge(f"the video has more than {most} bytes")
                pending += chunk
                if len(pending) >= PIECE:
                    await self._parts.pool.run(_write_all, file, bytes(pending))
                    pending.clear()
                if received - checked >= CHECK_SPACE_EVERY:
                    checked = received
                    await self._parts.pool.run(self._check_space, 0)
        finally:
            await self._parts.pool.run(_write_all, file, bytes(pending))
        return received

    def _open(self, row: UploadRow) -> FileIO:
        """Without a buffer: what a full disk refuses must not be tried again when the file is closed."""
        self._parts.staging.mkdir(parents=True, exist_ok=True)
        file = FileIO(self._staged(row.upload_id), "r+" if row.received else "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise Conflict("the upload is being written by another request") from error
        file.truncate(row.received)
        file.seek(row.received)
        return file

    def _finish(self, row: UploadRow) -> Received:
        staged = self._staged(row.upload_id)
        if row.received == 0:
            raise InvalidInput("the video is empty")
        with staged.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = f"{FOLDER}/{row.upload_id}{_suffix(row.name)}"
        target = self._parts.media.local_path(key)
        if target is None:
            self._parts.media.put_file(key, staged)
        else:
            self._parts.media.check()
            _move(staged, target)
        return Received(self._parts.control.finish_upload(row.upload_id, key), digest)

    def _remove(self, row: UploadRow) -> None:
        self._parts.control.delete_upload(row.upload_id)
        self._staged(row.upload_id).unlink(missing_ok=True)
        if row.media_key is not None:
            self._parts.media.delete(row.media_key)

    def _remove_expired(self) -> None:
        for row in self._parts.control.expired_uploads(now_ms(self._parts.clock) - self._ttl_ms):
            self._remove(row)

    def _staged(self, upload: UUID) -> Path:
        return self._parts.staging / f"{upload}.part"

    def _check_size(self, size: int | None) -> None:
        if size is not None and size > self._limit:
            raise TooLarge(f"the video has {size} bytes; {self._limit} are the most")

    def _check_space(self, coming: int) -> None:
        self._parts.staging.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._parts.staging).free
        if free - coming < self._reserve:
            raise NoSpace(f"the disk has {free} bytes free, and {self._reserve} of them are kept")


@contextmanager
def _room() -> Iterator[None]:
    """Tell a full disk from what else a file may fail with. Raises NoSpace."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpace("the disk is full") from error
        raise


def _write_all(file: FileIO, data: bytes) -> None:
    with _room():
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]


def _settle(file: FileIO) -> int:
    """Bytes that are safely in the file; what a full disk has refused is not among them."""
    os.fsync(file.fileno())
    return os.fstat(file.fileno()).st_size


def _move(staged: Path, target: Path) -> None:
    """Onto another disk too; nothing stays there of a file that has no room."""
    try:
        with _room():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(staged, target)
    except BaseException:
        if staged.exists():
            target.unlink(missing_ok=True)
        raise


def _suffix(name: str) -> str:
    """The name's ending, when it is an ordinary one; decoders look at it."""
    found = Path(name).suffix.lower()
    return found if _SUFFIX.fullmatch(found) else ""
