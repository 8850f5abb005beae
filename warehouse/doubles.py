"""Views that two writers have stored at the same moment.

LanceDB looks for a key among the rows of the version it read, and lets two writers commit who both
found it absent. It notices that only with a declared primary key and only when it reads the keys
of the whole table for every write; and not at all once the versions in between are cleaned away. So
whoever commits looks afterwards: the later of two commits sees both rows, and one of them goes.

Functions take an open LanceDB table and raise what LanceDB raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

PART = 500
"""Ids in one question."""


def remove(table: Any, ids: Sequence[str]) -> int:
    """Leave one row of each of `ids`, the one that lies first; how many were too many.

    A row's address is never used again, so one that was moved meanwhile is not hit: it stays double
    until somebody looks again. Two who look before and after such a move may keep different ones,
    which is why callers insert once more after rows were removed.
    """
    removed = 0
    for some in _parts(ids):
        found = table.search().where(_are(some)).select(["view_id"]).with_row_id(True).to_arrow()
        if found.num_rows == len(set(found["view_id"].to_pylist())):
            continue
        rows = sorted(zip(found["_rowid"].to_pylist(), found["view_id"].to_pylist(), strict=True))
        kept: dict[str, int] = {}
        extra = [(row, view) for row, view in rows if kept.setdefault(view, row) != row]
        views = sorted({view for _, view in extra})
        table.delete(f"{_are(views)} AND _rowid IN ({', '.join(str(row) for row, _ in extra)})")
        removed += len(extra)
    return removed


def find(table: Any) -> Sequence[Sequence[str]]:
    """The ids that are there more than once, in parts of some hundreds.

    Reads every id: 1.5 s of one core and 130 MB for a million.
    """
    every: Any = table.search().select(["view_id"]).to_arrow()["view_id"]
    counted: Any = pc.value_counts(every)
    ids: list[str] = counted.filter(counted.field("counts").to_numpy() > 1).field("values").to_pylist()
    return list(_parts(ids))


def whole(table: Any, ids: Sequence[str]) -> pa.Table:
    """One row of each of `ids`, with all its columns."""
    rows: pa.Table = table.search().where(_are(ids)).to_arrow()
    first: dict[str, int] = {}
    for place, view in enumerate(rows["view_id"].to_pylist()):
        first.setdefault(str(view), place)
    return rows.take(list(first.values()))


def count(table: Any, where: str | None) -> int:
    """Different views among the rows that `where` picks."""
    query = table.search().select(["view_id"])
    found = (query.where(where) if where else query).to_arrow()
    return int(pc.count_distinct(found["view_id"]).as_py())


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), PART):
        yield ids[at : at + PART]


def _are(ids: Sequence[str]) -> str:
    return f"view_id IN ({', '.join(map(repr, ids))})"  # ids are printed UUIDs
