"""Pictures and uploaded videos, in a folder or an S3-compatible store."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, from_url

from core.errors import InvalidInput, NotFound, StoreUnavailable
from core.settings import Settings

CHUNK = 1024 * 1024
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
MAX_KEY = 512


def check_key(key: str) -> str:
    """`key` itself when it is safe: segments of letters, digits, ``._-``, none beginning with a dot.

    Raises:
        InvalidInput: anything else; so no key leaves its folder.
    """
    if len(key) > MAX_KEY or not _KEY.fullmatch(key):
        raise InvalidInput("a media key is made of letters, digits and ._- between slashes", "key")
    return key


class MediaStore:
    """Bytes under keys.

    Every method raises InvalidInput for an unsafe key and StoreUnavailable when the store fails: a
    folder that is full, not writable, or gone since the process started. It is not made again
    while something runs: what was in it would be taken for deleted.
    """

    def __init__(self, store: Any, root: Path | None) -> None:
        """Over an obstore store; `root` is its folder when it is local."""
        self._store = store
        self._root = root

    @classmethod
    def connect(cls, settings: Settings) -> MediaStore:
        """The store of ``media.url``: a URL that obstore knows (``s3://bucket/prefix``), or a folder."""
        url = settings.media_url
        if "://" in url and not url.startswith("file://"):
            return cls(from_url(url), None)
        root = Path(url.removeprefix("file://")).absolute()
        root.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(prefix=root), root)

    def check(self) -> None:
        """That the folder, if it is one, is there. Raises StoreUnavailable."""
        if self._root is not None and not self._root.is_dir():
            raise StoreUnavailable(
                f"media store: the folder {self._root} is gone; put it back, or begin with an empty one by "
                "`sightline down` and `sightline up`"
            )

    def put(self, key: str, data: bytes) -> None:
        """Keep `data`, replacing what was there; readers see the old or the new, never a part."""
        with self._errors(key):
            obstore.put(self._store, check_key(key), data)

    def put_file(self, key: str, path: Path) -> None:
        """Keep a file's bytes; read in pieces, so it may be large."""
        with self._errors(key):
            obstore.put(self._store, check_key(key), path)

    def get(self, key: str) -> bytes:
        """All bytes. Raises NotFound."""
        with self._errors(key):
            return bytes(obstore.get(self._store, check_key(key)).bytes())

    def open_range(self, key: str, start: int = 0, end: int | None = None, chunk: int = CHUNK) -> Iterator[bytes]:
        """Bytes from `start` to before `end` in pieces; a range beyond the end is cut. Raises NotFound at once."""
        size = self.size(key)
        stop = size if end is None else min(end, size)
        return self._pieces(key, start, stop, chunk)

    def _pieces(self, key: str, start: int, stop: int, chunk: int) -> Iterator[bytes]:
        for at in range(start, stop, chunk):
            with self._errors(key):
                yield bytes(obstore.get_range(self._store, key, start=at, end=min(at + chunk, stop)))

    def size(self, key: str) -> int:
        """Bytes. Raises NotFound."""
        with self._errors(key):
            return int(obstore.head(self._store, check_key(key))["size"])

    def exists(self, key: str) -> bool:
        """Whether the key holds something."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key below the folder `prefix`."""
        with self._errors(prefix):
            for batch in obstore.list(self._store, check_key(prefix)):
                for found in batch:
                    yield str(found["path"])

    def delete(self, key: str) -> None:
        """Remove a key; one that is not there is no error."""
        try:
            with self._errors(key):
                obstore.delete(self._store, check_key(key))
        except NotFound:
            return

    def delete_prefix(self, prefix: str) -> int:
        """Remove every key below the folder `prefix`; returns how many."""
        keys = list(self.keys(prefix))
        for at in range(0, len(keys), 1000):
            try:
                with self._errors(prefix):
                    obstore.delete(self._store, keys[at : at + 1000])
            except NotFound:  # somebody else was removing them too
                for key in keys[at : at + 1000]:
                    self.delete(key)
        if self._root is not None:  # an object store has no folders that could stay behind
            shutil.rmtree(self._root / check_key(prefix), ignore_errors=True)
        return len(keys)

    def local_path(self, key: str) -> Path | None:
        """The file, when the store is a folder, whether or not it exists; None for an object store."""
        return self._root / check_key(key) if self._root else None

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        self.check()
        try:
            yield
        except (NotFoundError, FileNotFoundError) as error:
            self.check()
            raise NotFound(f"no media {key}") from error
        except (BaseError, OSError) as error:
            raise StoreUnavailable(f"media store: {str(error).splitlines()[0]}") from error
