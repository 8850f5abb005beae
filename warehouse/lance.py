"""LanceDB's side of `warehouse.embeddings`: one table per keyspace. Loading it takes seconds.

A table takes the dimension of the first embedding that is written to it. Every write makes a
version, so batches should be large and `maintain` be called now and then. Two who write the same
view at the same moment both store it; `warehouse.doubles` tells how one row of it is left, and
readers leave out what is double until then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import lancedb
import msgspec
import numpy as np
import pyarrow as pa
from lancedb.index import Bitmap, BTree, IvfSq

from core.errors import ConfigError, FatalError, InvalidInput, SightlineError, StoreUnavailable
from core.ids import Run, Seq, StreamId, TrackId, ViewId
from core.messages import FrameTracks, Keyspace, View
from core.settings import Settings
from warehouse import doubles
from warehouse.embeddings import KEYSPACES, Neighbour

T = TypeVar("T")
PARTITION_ROWS = 2048
"""Of the vectors' index: with the library's own 8192 a search compares four times as many for the same recall."""
PROBES = 30
"""Partitions that a search looks into; into all that may hold something when it finds less than it asked for. Of a
million, recall of 10 is 1.00 and, with a filter that leaves one in two thousand, 0.96; all cost twice the time."""
REFINE = 3
"""How many times as many candidates are compared exactly; without it recall is 0.95."""
METADATA_MB = 32
"""Of versions, files and fragments, that a process keeps in memory. Each write makes a version, which is never asked
for again once the next is there: with the library's own gigabyte a sink grows for days."""
TRIES = 5
AT_ONCE = timedelta(milliseconds=1)
MAX_LIMIT = 10_000
MAX_STREAMS = 10_000
_MODEL = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SCALARS = {"view_id": BTree, "stream_id": Bitmap, "ts_ms": BTree}
SEPARATE = (
    "stream_id",
    "run",
    "track_id",
    "seq",
    "ts_ms",
    "media_s",
    "label",
    "score",
    "x_min",
    "y_min",
    "x_max",
    "y_max",
    "media_key",
    "model",
)
"""What is kept of a view beside its id, in a column each: for conditions, and for whoever opens the table."""
_WHOLE = "view"
"""All of them once more, as one JSON array: of ten rows far apart each column costs 2 ms, this one no more."""


class _View(msgspec.Struct, array_like=True, frozen=True):
    """What a search tells of a row; the fields are `SEPARATE`."""

    stream_id: UUID
    run: int
    track_id: int
    seq: int
    ts_ms: int
    media_s: float
    label: str
    score: float
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    media_key: str
    model: str


class LanceTables:
    """What `EmbeddingStore` promises, on LanceDB."""

    def __init__(
        self, database: Any, *, index_after_rows: int, keep_versions_s: float, folder: Path | None = None
    ) -> None:
        """Over an open LanceDB connection; `folder` is where it lies on this machine."""
        self._database = database
        self._folder = folder
        self._seen: set[Keyspace] = set()
        self._looked_through: set[Keyspace] = set()
        self._index_after_rows = index_after_rows
        self._keep = timedelta(seconds=keep_versions_s)

    @classmethod
    def connect(cls, settings: Settings, folder: Path | None) -> LanceTables:
        """The database of ``lancedb.uri``; reads see other processes' writes at once."""
        if folder is not None and not folder.is_dir():  # LanceDB would make it again, empty
            raise _gone(f"the folder {folder}")
        session = lancedb.Session(settings.lancedb.cache_mb * 1024**2, METADATA_MB * 1024**2)
        with _errors():
            database = lancedb.connect(settings.lancedb_uri, read_consistency_interval=timedelta(0), session=session)
        return cls(
            database,
            index_after_rows=settings.lancedb.index_after_rows,
            keep_versions_s=settings.lancedb.keep_versions_s,
            folder=folder,
        )

    def write(self, rows: Sequence[tuple[FrameTracks, View]]) -> None:
        """As `EmbeddingStore.write`."""
        for keyspace in KEYSPACES:
            kept = {
                view.view_id: (frame, view)
                for frame, view in rows
                if view.keyspace == keyspace and view.embedding and not frame.ephemeral
            }
            if kept:
                self._merge(keyspace, list(kept.values()))

    def _merge(self, keyspace: Keyspace, rows: Sequence[tuple[FrameTracks, View]]) -> None:
        dimensions = {len(view.embedding) for _, view in rows}
        with _errors():
            table = self._table(keyspace)
            if table is None:
                table = self._database.create_table(keyspace, schema=_schema(min(dimensions)), exist_ok=True)
                self._seen.add(keyspace)
        expected = _dimension(table.schema)
        for wrong in dimensions - {expected}:
            raise ConfigError(
                f"keyspace {keyspace} holds embeddings of {expected} dimensions and the model gives {wrong}: "
                "set the model back, or move lancedb.uri to an empty place"
            )
        data = _arrow(rows, expected).select(table.schema.names)
        _again(lambda: _insert(table, data))
        _make_single(table, data)

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
        """As `EmbeddingStore.search`."""
        query = _checked(vector, limit, threshold)
        where = _where(stream_ids, from_ms, to_ms, model)
        with _errors():
            table = self._table(keyspace)
        if table is None or (stream_ids is not None and not stream_ids):
            return []
        with _errors():
            schema = table.schema  # LanceDB's library makes it anew each time, of the table's newest version
        if len(query) != _dimension(schema):
            raise InvalidInput(
                f"keyspace {keyspace} has {_dimension(schema)} dimensions, the vector {len(query)}", "vector"
            )
        # a table of an older version has the separate columns alone
        told = (_WHOLE,) if _WHOLE in schema.names else SEPARATE
        found = _again(lambda: _nearest_views(table, query, limit, where, told))
        return [n for n in found if threshold is None or n.similarity >= threshold]

    def count(self, keyspace: Keyspace, stream: StreamId | None = None) -> int:
        """Views kept, of one stream when given."""
        with _errors():
            table = self._table(keyspace)
            where = None if stream is None else _where([stream], None, None, None)
        return 0 if table is None else _again(lambda: doubles.count(table, where))

    def delete_stream(self, stream: StreamId) -> None:
        """Everything of a stream: neither a search nor an older version gives any of it on return."""
        self._delete(_where([stream], None, None, None))

    def delete_before(self, streams: Sequence[StreamId], before_ms: int) -> None:
        """As `EmbeddingStore.delete_before`."""
        for at in range(0, len(streams), MAX_STREAMS):
            self._delete(_where(streams[at : at + MAX_STREAMS], None, before_ms, None))

    def _delete(self, where: str) -> None:
        for keyspace in KEYSPACES:
            with _errors():
                table = self._table(keyspace)
            if table is not None and _again(partial(table.count_rows, where)):
                _again(partial(table.delete, where))
                _again(partial(table.optimize, cleanup_older_than=AT_ONCE))

    def maintain(self) -> None:
        """Build what indices are missing, take new rows into them, compact, drop old versions.

        The first time, look for what a process that was killed, or an older version, left double.
        """
        for keyspace in KEYSPACES:
            with _errors():
                table = self._table(keyspace)
            if table is not None:
                self._index(table)
                if keyspace not in self._looked_through:
                    for ids in _again(partial(doubles.find, table)):
                        _make_single(table, _again(partial(doubles.whole, table, ids)))
                    self._looked_through.add(keyspace)
                _again(partial(table.optimize, cleanup_older_than=self._keep))

    def _index(self, table: Any) -> None:
        with _errors():
            there = {column for index in table.list_indices() for column in index.columns}
            rows = table.count_rows()
        for column, index in _SCALARS.items():
            if column not in there and rows:
                _again(partial(table.create_index, column, config=index()))
        if "vector" not in there and rows >= self._index_after_rows:
            kind = IvfSq(distance_type="cosine", target_partition_size=PARTITION_ROWS)
            _again(partial(table.create_index, "vector", config=kind))

    def _table(self, keyspace: Keyspace) -> Any | None:
        """The table at its newest version; None when nothing was ever written to it."""
        if self._folder is not None and not self._folder.is_dir():
            raise _gone(f"the folder {self._folder}")
        try:
            table = self._database.open_table(keyspace)
        except (FileNotFoundError, ValueError) as error:
            if "not found" not in str(error):
                raise
            if keyspace in self._seen:
                raise _gone(f"the table {keyspace} in {self._folder or 'the object store'}") from error
            return None
        self._seen.add(keyspace)
        return table


def _gone(what: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"LanceDB: {what} is gone; put it back, or begin with an empty one by `sightline down` and `sightline up`"
    )


def _schema(dimension: int) -> pa.Schema:
    fields: list[tuple[str, pa.DataType]] = [
        ("view_id", pa.string()),
        ("stream_id", pa.string()),
        ("run", pa.int64()),
        ("track_id", pa.int64()),
        ("seq", pa.int64()),
        ("ts_ms", pa.int64()),
        ("media_s", pa.float64()),
        ("label", pa.string()),
        ("score", pa.float64()),
        *((name, pa.float64()) for name in ("x_min", "y_min", "x_max", "y_max")),
        ("media_key", pa.string()),
        ("model", pa.string()),
        ("quality", pa.float64()),
        (_WHOLE, pa.string()),
        ("vector", pa.list_(pa.float32(), dimension)),
    ]
    return pa.schema(fields)


def _dimension(schema: pa.Schema) -> int:
    return int(schema.field("vector").type.list_size)


def _arrow(rows: Sequence[tuple[FrameTracks, View]], dimension: int) -> pa.Table:
    vectors = np.array([view.embedding for _, view in rows], dtype=np.float32)
    columns: list[Any] = [
        [str(view.view_id) for _, view in rows],
        [str(frame.stream_id) for frame, _ in rows],
        [frame.run for frame, _ in rows],
        [view.track_id for _, view in rows],
        [frame.seq for frame, _ in rows],
        [frame.ts_ms for frame, _ in rows],
        [frame.media_s for frame, _ in rows],
        [view.label for _, view in rows],
        [view.score for _, view in rows],
        *([view.box[i] for _, view in rows] for i in range(4)),
        [view.media_key for _, view in rows],
        [view.model for _, view in rows],
        [view.quality for _, view in rows],
        [msgspec.json.encode(_shown(frame, view)).decode() for frame, view in rows],
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension),
    ]
    schema = _schema(dimension)
    arrays = [pa.array(c, f.type) if isinstance(c, list) else c for c, f in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def _shown(frame: FrameTracks, view: View) -> _View:
    return _View(
        frame.stream_id,
        frame.run,
        view.track_id,
        frame.seq,
        frame.ts_ms,
        frame.media_s,
        view.label,
        view.score,
        *view.box,
        view.media_key,
        view.model,
    )


def _checked(vector: Sequence[float], limit: int, threshold: float | None) -> Any:
    query = np.asarray(vector, dtype=np.float32)
    if query.ndim != 1 or not np.isfinite(query).all() or not query.any():
        raise InvalidInput("a vector is a list of finite numbers, not all 0", "vector")
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"1 to {MAX_LIMIT} neighbours can be asked for", "limit")
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise InvalidInput("a similarity is between 0 and 1", "threshold")
    return query


def _where(stream_ids: Sequence[StreamId] | None, from_ms: int | None, to_ms: int | None, model: str | None) -> str:
    """LanceDB binds no parameters, so only what a UUID, an int or a plain name prints goes in."""
    conditions = []
    if stream_ids is not None:
        if len(stream_ids) > MAX_STREAMS:
            raise InvalidInput(f"at most {MAX_STREAMS} streams", "stream_ids")
        conditions.append(f"stream_id IN ({', '.join(repr(str(UUID(int=s.int))) for s in stream_ids)})")
    if from_ms is not None:
        conditions.append(f"ts_ms >= {int(from_ms)}")
    if to_ms is not None:
        conditions.append(f"ts_ms < {int(to_ms)}")
    if model is not None:
        if not _MODEL.fullmatch(model):
            raise InvalidInput("a model's name is made of letters, digits and ._-", "model")
        conditions.append(f"model = '{model}'")
    return " AND ".join(conditions)


def _insert(table: Any, rows: pa.Table) -> None:
    table.merge_insert("view_id").when_not_matched_insert_all().execute(rows)


def _make_single(table: Any, rows: pa.Table) -> None:
    """Leave one row of each view of `rows`; written again, should others have removed the other one."""
    ids: list[Any] = rows["view_id"].to_pylist()
    for _ in range(TRIES):
        if not _again(lambda: doubles.remove(table, ids)):
            return
        _again(lambda: _insert(table, rows))
    raise StoreUnavailable(f"LanceDB: others keep writing the same {len(ids)} views")


def _nearest_views(table: Any, query: Any, limit: int, where: str, told: Sequence[str]) -> list[Neighbour]:
    """The nearest, each view once; more is asked for only while rows are double."""
    asked = limit
    while True:
        found = _nearest(table, query, asked, where, told)
        if found.num_rows < asked:
            found = _nearest(table, query, asked, where, told, everywhere=True)
        views: dict[ViewId, Neighbour] = {}
        for neighbour in _neighbours(found):
            views.setdefault(neighbour.view_id, neighbour)
        if len(views) >= limit or found.num_rows < asked:
            return list(views.values())[:limit]
        asked *= 2


def _nearest(
    table: Any, query: Any, limit: int, where: str, told: Sequence[str], *, everywhere: bool = False
) -> pa.Table:
    search = (
        table.search(query, vector_column_name="vector")
        .distance_type("cosine")
        .limit(limit)
        .nprobes(PROBES)
        .refine_factor(REFINE)
        .select(["view_id", *told, "_distance"])
    )
    if everywhere:
        search = search.maximum_nprobes(0)
    found: pa.Table = (search.where(where, prefilter=True) if where else search).to_arrow()
    return found


def _neighbours(found: pa.Table) -> Iterator[Neighbour]:
    columns: dict[str, list[Any]] = found.to_pydict()
    if _WHOLE in columns:
        views = [msgspec.json.decode(text, type=_View) for text in columns[_WHOLE]]
    else:
        views = [msgspec.convert(row, _View) for row in zip(*(columns[name] for name in SEPARATE), strict=True)]
    for view_id, view, distance in zip(columns["view_id"], views, columns["_distance"], strict=True):
        yield Neighbour(
            view_id=ViewId(UUID(view_id)),
            stream_id=StreamId(view.stream_id),
            run=Run(view.run),
            track_id=TrackId(view.track_id),
            seq=Seq(view.seq),
            ts_ms=view.ts_ms,
            media_s=view.media_s,
            label=view.label,
            score=view.score,
            box=(view.x_min, view.y_min, view.x_max, view.y_max),
            media_key=view.media_key,
            model=view.model,
            similarity=min(1.0, max(0.0, 1.0 - distance)),
        )


def _again(call: Callable[[], T]) -> T:
    """Several processes write; who loses the race for a version tries again.

    A reader whose version is cleaned away while it reads finds files missing, and tries again too.
    """
    for left in range(TRIES, 0, -1):
        try:
            with _errors():
                return call()
        except StoreUnavailable:
            if left == 1:
                raise
    raise AssertionError("unreachable")


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except SightlineError:
        raise
    except (OSError, RuntimeError) as error:
        raise StoreUnavailable(f"LanceDB: {error}") from error
    except (ValueError, pa.ArrowException) as error:
        raise FatalError(f"LanceDB: {error}") from error
