"""Rows as CSV, Arrow or Parquet, written batch by batch."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from query_api.routes.route import ARROW, CSV

ROWS_OF_A_BATCH = 10_000


class Outlet(io.RawIOBase):
    """A file that hands over what was written to it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep the bytes until they are taken."""
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._at

    def take(self) -> bytes:
        """What was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def encode(batches: Iterable[Any], schema: Any, media: str) -> Iterator[bytes]:
    """Record batches of one schema in a format; nested columns are JSON text in CSV."""
    outlet = Outlet()
    shown = _flat(schema) if media == CSV else schema
    with _writer(outlet, shown, media) as writer:
        for batch in batches:
            writer.write_batch(_flattened(batch, shown) if media == CSV else batch)
            yield outlet.take()
    yield outlet.take()


def _writer(outlet: Outlet, schema: Any, media: str) -> Any:
    if media == CSV:
        return pa_csv.CSVWriter(cast(Any, outlet), schema)
    if media == ARROW:
        return pa.ipc.new_stream(outlet, schema)
    return pq.ParquetWriter(cast(Any, outlet), schema)


def first_rows(batches: Iterable[Any], limit: int | None) -> Iterator[Any]:
    """The batches until `limit` rows are there."""
    left = limit
    for batch in batches:
        if left is None:
            yield batch
            continue
        yield batch.slice(0, left)
        left -= min(left, batch.num_rows)
        if left == 0:
            return


def from_items(items: Sequence[msgspec.Struct], schema: Any) -> Iterator[Any]:
    """Answers' items as record batches; dicts and lists become JSON text where the schema says string."""
    for at in range(0, max(1, len(items)), ROWS_OF_A_BATCH):
        rows = [msgspec.to_builtins(item) for item in items[at : at + ROWS_OF_A_BATCH]]
        columns = [pa.array([_cell(row[field.name], field.type) for row in rows], field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _cell(value: Any, kind: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, (dict, list)) and kind == pa.string() else value


def _flat(schema: Any) -> Any:
    return pa.schema([pa.field(f.name, pa.string() if pa.types.is_nested(f.type) else f.type) for f in schema])


def _flattened(batch: Any, schema: Any) -> Any:
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        nested = pa.types.is_nested(column.type)
        texts = [None if v is None else msgspec.json.encode(v).decode() for v in column.to_pylist()] if nested else None
        columns.append(column if texts is None else pa.array(texts, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


_Columns = list[tuple[str, Any]]


def _schema(columns: _Columns) -> Any:
    return pa.schema([pa.field(name, kind) for name, kind in columns])


STATISTICS = _schema(
    [
        ("value", pa.int64()),
        ("bucket", pa.string()),
        ("bucket_ms", pa.int64()),
        ("label", pa.string()),
        ("stream_id", pa.string()),
        ("type", pa.string()),
    ]
)
LEDGER = _schema(
    [
        ("stream_id", pa.string()),
        ("run", pa.int64()),
        ("name", pa.string()),
        ("state", pa.string()),
        ("decoded", pa.int64()),
        ("sampled_out", pa.int64()),
        ("read", pa.int64()),
        ("processed", pa.int64()),
        ("gated", pa.int64()),
        ("dropped", pa.string()),
        ("dead_lettered", pa.int64()),
        ("in_flight", pa.int64()),
        ("finished", pa.bool_()),
        ("imbalance", pa.int64()),
        ("places", pa.string()),
    ]
)
STREAMS = _schema(
    [
        ("stream_id", pa.string()),
        ("name", pa.string()),
        ("url", pa.string()),
        ("lane", pa.string()),
        ("desired", pa.string()),
        ("state", pa.string()),
        ("run", pa.int64()),
        ("analytics", pa.string()),
        ("model", pa.string()),
        ("fps", pa.float64()),
        ("created_at", pa.string()),
        ("updated_at", pa.string()),
        ("last_media_s", pa.float64()),
        ("error", pa.string()),
    ]
)
