"""Embeddings of tracks' views, and the search for what is alike.

A keyspace takes the dimension of the first embedding that is written to it. Every write makes a
version, so batches should be large and `maintain` be called now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from core.ids import Run, Seq, StreamId, TrackId, ViewId
from core.messages import Box, FrameTracks, Keyspace, View
from core.settings import Settings

if TYPE_CHECKING:
    from warehouse.lance import LanceTables

KEYSPACES: tuple[Keyspace, ...] = get_args(Keyspace)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A stored view and how alike it is.

    Attributes:
        similarity: cosine, 0..1; vectors that point apart count as 0.
    """

    view_id: ViewId
    stream_id: StreamId
    run: Run
    track_id: TrackId
    seq: Seq
    ts_ms: int
    media_s: float
    label: str
    score: float
    box: Box
    media_key: str
    model: str
    similarity: float


class EmbeddingStore:
    """Vectors of tracks' views in LanceDB, which is loaded when it is first needed. Threads may share it; calls block.

    Every method raises StoreUnavailable when LanceDB fails or others write too much at once; when
    its disk is full, its folder not writable, or gone since the process started. Neither the folder
    nor a table that was there is made again while something runs: what was in it would be taken
    for deleted.
    """

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        """`folder` is where the database lies on this machine."""
        self._settings = settings
        self._folder = folder
        self._lock = threading.Lock()
        self._opened: LanceTables | None = None

    @classmethod
    def connect(cls, settings: Settings) -> EmbeddingStore:
        """The database of ``lancedb.uri``; its folder is there on return."""
        uri = settings.lancedb_uri
        folder = Path(uri).absolute() if "://" not in uri else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return cls(settings, folder)

    def open(self) -> LanceTables:
        """Load LanceDB and connect, unless that is done."""
        with self._lock:
            if self._opened is None:
                from warehouse.lance import LanceTables  # noqa: PLC0415 - takes seconds, which few processes need

                self._opened = LanceTables.connect(self._settings, self._folder)
            return self._opened

    def write(self, rows: Sequence[tuple[FrameTracks, View]]) -> None:
        """Keep views' embeddings; views without one, and of immediate analyses, are left out.

        Writing the same view again changes nothing.

        Raises:
            ConfigError: an embedding of another dimension than the keyspace has.
        """
        self.open().write(rows)

    def search(
        self,
        keyspace: Keyspace,
        vector: Sequence[float],
        *,
        limit: int,
        stream_ids: Sequence[StreamId] | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        threshold: float | None = None,
        model: str | None = None,
    ) -> list[Neighbour]:
        """The most alike views, the most alike first; none of an empty keyspace.

        Args:
            vector: of the keyspace's dimension; its length does not matter, unless it is 0.
            stream_ids: None means all; an empty sequence means none.
            from_ms, to_ms: wall time, from inclusive, to exclusive.
            threshold: least similarity, 0..1.
            model: only embeddings that this model made.

        Raises:
            InvalidInput: a wrong vector, limit, threshold or model.
        """
        return self.open().search(
            keyspace,
            vector,
            limit=limit,
            stream_ids=stream_ids,
            from_ms=from_ms,
            to_ms=to_ms,
            threshold=threshold,
            model=model,
        )

    def count(self, keyspace: Keyspace, stream: StreamId | None = None) -> int:
        """Views kept, of one stream when given."""
        return self.open().count(keyspace, stream)

    def delete_stream(self, stream: StreamId) -> None:
        """Everything of a stream: neither a search nor an older version gives any of it on return."""
        self.open().delete_stream(stream)

    def delete_before(self, streams: Sequence[StreamId], before_ms: int) -> None:
        """Views of these streams taken before then, as `delete_stream`."""
        self.open().delete_before(streams, before_ms)

    def maintain(self) -> None:
        """Build what indices are missing, take new rows into them, compact, drop old versions."""
        self.open().maintain()
