"""Searching vectors: the product's store over LanceDB, or FAISS, each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from benchmarks import child
from benchmarks.work.embedding import STEP_MS, STREAMS, Vectors, kept_by_filter
from benchmarks.work.made_up import BEGIN_MS, stream_of

LIMIT = 10
PART = 20_000
WRITTEN = 1000
"""Views in one write of the product's own."""

LINKS, BUILD, LOOK = 16, 64, 64
"""HNSW: links of a node, candidates while building and while searching."""

Search = Callable[[Vectors, bool], list[int]]


class Lance:
    """`warehouse.embeddings` with `vectors` in it."""

    def __init__(self, folder: Path, vectors: Vectors) -> None:
        from core.settings import Settings  # noqa: PLC0415  # FAISS's process does without
        from warehouse.embeddings import EmbeddingStore  # noqa: PLC0415

        settings = Settings(data_dir=folder)
        self._store = EmbeddingStore.connect(settings)
        self._later_ms = BEGIN_MS + len(vectors) // 2 * STEP_MS
        written = min(len(vectors) // 4, 10 * WRITTEN)
        begun = time.perf_counter()
        for at in range(0, written, WRITTEN):
            self._store.write(list(_views(vectors, at, at + WRITTEN)))
        self.write_s = (time.perf_counter() - begun) / written
        begun = time.perf_counter()
        _append(settings.lancedb_uri, vectors, written)
        self.append_s = time.perf_counter() - begun
        begun = time.perf_counter()
        self._store.maintain()
        self.build_s = time.perf_counter() - begun

    def __call__(self, query: Vectors, filtered: bool) -> list[int]:
        """Rows of the nearest."""
        more: dict[str, Any] = {}
        if filtered:
            more = {"stream_ids": [stream_of(n) for n in range(STREAMS // 10)], "from_ms": self._later_ms}
        found = self._store.search("appearance", query, limit=LIMIT, **more)  # type: ignore[arg-type]  # an array is a sequence to it
        return [neighbour.view_id.int for neighbour in found]


class Faiss:
    """An index of FAISS over `vectors`, flat or HNSW."""

    def __init__(self, vectors: Vectors, *, flat: bool) -> None:
        faiss: Any = import_module("faiss")  # whose own types know less than it takes
        begun = time.perf_counter()
        dimension = vectors.shape[1]
        if flat:
            self._index = faiss.IndexFlatIP(dimension)
        else:
            self._index = faiss.IndexHNSWFlat(dimension, LINKS, faiss.METRIC_INNER_PRODUCT)
            self._index.hnsw.efConstruction = BUILD
            self._index.hnsw.efSearch = LOOK
        for at in range(0, len(vectors), PART):
            self._index.add(np.ascontiguousarray(vectors[at : at + PART]))
        self.build_s = time.perf_counter() - begun
        self._selector = faiss.IDSelectorBitmap(np.packbits(kept_by_filter(len(vectors)), bitorder="little"))
        self._parameters = (
            faiss.SearchParameters(sel=self._selector)
            if flat
            else faiss.SearchParametersHNSW(sel=self._selector, efSearch=LOOK)
        )

    def __call__(self, query: Vectors, filtered: bool) -> list[int]:
        """Rows of the nearest."""
        params = self._parameters if filtered else None
        _, rows = self._index.search(query.reshape(1, -1), LIMIT, params=params)
        found: list[int] = rows[0].tolist()
        return found


def _views(vectors: Vectors, begin: int, end: int) -> Iterator[Any]:
    """Rows as the stage has them."""
    from core.ids import Run, Seq, TrackId, ViewId  # noqa: PLC0415  # FAISS's process does without
    from core.messages import FrameTracks, View  # noqa: PLC0415

    box = (0.1, 0.1, 0.2, 0.3)
    for row in range(begin, end):
        at_ms = BEGIN_MS + row * STEP_MS
        frame = FrameTracks(stream_of(row % STREAMS), Run(1), Seq(row), row, row / 10, at_ms, 768, 432, ())
        vector = tuple(vectors[row].tolist())
        view = View(
            ViewId(UUID(int=row)), TrackId(row), "appearance", "car", 0.9, box, f"{row}.jpg", b"", "model", vector, 0.5
        )
        yield frame, view


def _append(uri: str, vectors: Vectors, begin: int) -> None:
    """The other rows, at the speed of Arrow; the product would merge them by their ids."""
    import lancedb  # noqa: PLC0415  # FAISS's process does without
    import msgspec  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    from warehouse.lance import SEPARATE  # noqa: PLC0415

    table = lancedb.connect(uri).open_table("appearance")
    for at in range(begin, len(vectors), PART):
        rows = np.arange(at, min(at + PART, len(vectors)))
        numbers = rows.tolist()
        constant = {"run": 1, "label": "car", "score": 0.9, "model": "model", "quality": 0.5}
        constant |= {"x_min": 0.1, "y_min": 0.1, "x_max": 0.2, "y_max": 0.3}
        columns: dict[str, Any] = {name: [value] * len(rows) for name, value in constant.items()}
        columns |= {
            "view_id": [str(UUID(int=row)) for row in numbers],
            "stream_id": [str(stream_of(row % STREAMS)) for row in numbers],
            "track_id": numbers,
            "seq": numbers,
            "ts_ms": (BEGIN_MS + rows * STEP_MS).tolist(),
            "media_s": (rows / 10).tolist(),
            "media_key": [f"{row}.jpg" for row in numbers],
            "vector": pa.FixedSizeListArray.from_arrays(
                pa.array(np.ascontiguousarray(vectors[rows[0] : rows[-1] + 1]).ravel()), vectors.shape[1]
            ),
        }
        views = zip(*(columns[name] for name in SEPARATE), strict=True)
        columns["view"] = [msgspec.json.encode(view).decode() for view in views]
        schema = table.schema
        table.add(pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema))


def make(setup: dict[str, Any]) -> tuple[child.Answer, Mapping[str, Any]]:
    """Build one: ``kind`` lancedb, flat or hnsw; ``vectors`` and ``queries`` are files of arrays."""
    vectors = np.load(setup["vectors"], mmap_mode="r")
    queries = np.load(setup["queries"])
    kind = setup["kind"]
    search: Search
    told: dict[str, float] = {}
    if kind == "lancedb":
        store = Lance(Path(setup["folder"]), vectors)
        search, told = store, {"write_s": store.write_s, "append_s": store.append_s, "build_s": store.build_s}
    else:
        index = Faiss(vectors, flat=kind == "flat")
        search, told = index, {"build_s": index.build_s}

    def answer(question: dict[str, Any]) -> Mapping[str, Any]:
        return _timed(search, queries, filtered=bool(question["filtered"]))

    return answer, told


def _timed(search: Search, queries: Vectors, *, filtered: bool) -> Mapping[str, Any]:
    """Each query once, one at a time: rows found and seconds taken."""
    found, took = [], []
    for query in queries:
        begun = time.perf_counter()
        found.append(search(query, filtered))
        took.append(time.perf_counter() - begun)
    return {"found": _whole(found), "took_s": took}


def _whole(found: Sequence[Sequence[int]]) -> list[list[int]]:
    return [[int(row) for row in rows] for rows in found]


if __name__ == "__main__":
    child.serve(make)
