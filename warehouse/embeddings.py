"""Embeddings in LanceDB, one table per keyspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.ids import Run, Seq, StreamId, TrackId, ViewId
from core.messages import Box, FrameTracks, Keyspace, View
from core.settings import Settings


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
    @classmethod
    def connect(cls, settings: Settings) -> EmbeddingStore:
        raise NotImplementedError

    def write(self, rows: Sequence[tuple[FrameTracks, View]]) -> None:
        raise NotImplementedError

    def search(self, keyspace: Keyspace, vector: Sequence[float], *, limit: int, stream_ids: Sequence[StreamId] | None = None, from_ms: int | None = None, to_ms: int | None = None, threshold: float | None = None, model: str | None = None) -> list[Neighbour]:
        raise NotImplementedError

    def delete_stream(self, stream: StreamId) -> None:
        raise NotImplementedError

    def maintain(self) -> None:
        raise NotImplementedError
