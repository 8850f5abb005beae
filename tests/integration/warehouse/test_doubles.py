"""Several who write the same views at the same moment: one row of each is shown, and one is left."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import lancedb
import pytest

from core.errors import StoreUnavailable
from core.settings import LanceDb, Settings
from tests.integration.warehouse.samples import stream_id
from tests.integration.warehouse.test_embeddings import Rows, rows
from warehouse import doubles, lance
from warehouse.embeddings import EmbeddingStore
from warehouse.lance import LanceTables

A, B = stream_id(1), stream_id(2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, lancedb=LanceDb(index_after_rows=1000, keep_versions_s=3600))


@pytest.fixture
def store(settings: Settings) -> EmbeddingStore:
    return EmbeddingStore.connect(settings)


class Between:
    """A database whose tables stay as they were when opened, while `then` happens once after that."""

    def __init__(self, settings: Settings, then: Callable[[], None]) -> None:
        self._database = lancedb.connect(settings.lancedb_uri)
        self._then: Callable[[], None] | None = then

    def open_table(self, name: str) -> Any:
        table = self._database.open_table(name)
        then, self._then = self._then, None
        if then is not None:
            then()
        return table


def late(settings: Settings, then: Callable[[], None]) -> LanceTables:
    """A writer that has read the table before `then`, and goes on after it."""
    return LanceTables(Between(settings, then), index_after_rows=1000, keep_versions_s=3600)


def kept_twice(settings: Settings, kept: Rows) -> None:
    """Rows in a second copy, as two writers of an older version have left them."""
    table = lancedb.connect(settings.lancedb_uri).open_table("appearance")
    table.add(lance._arrow(kept, 32))


def stored(settings: Settings) -> int:
    """Rows that lie in the table, whatever a reader makes of them."""
    return int(lancedb.connect(settings.lancedb_uri).open_table("appearance").count_rows())


@pytest.mark.parametrize("there", [0, 60, 1500])
@pytest.mark.parametrize("indexed", [False, True])
def test_two_who_both_found_a_view_absent_leave_one_row(
    store: EmbeddingStore, settings: Settings, there: int, indexed: bool
) -> None:
    store.write(rows(A, max(there, 1)))
    if indexed:
        store.maintain()
    views = rows(B, 20)
    late(settings, lambda: store.write(views)).write([*views, *rows(stream_id(3), 5)])
    assert stored(settings) == max(there, 1) + 25
    assert store.count("appearance", B) == 20


def test_it_holds_when_the_versions_in_between_are_cleaned_away(store: EmbeddingStore, settings: Settings) -> None:
    views = rows(B, 20)
    store.write(rows(A, 2))
    store.delete_stream(A)

    def meanwhile() -> None:
        store.write(views)
        store.write(rows(A, 5))
        store.delete_stream(A)

    late(settings, meanwhile).write(views)
    assert stored(settings) == store.count("appearance") == 20


def test_each_view_is_found_once_at_every_moment(store: EmbeddingStore, settings: Settings) -> None:
    store.write(rows(A, 40))
    store.maintain()
    writers, turns = 2, 15
    views, together, over = rows(B, 20 * turns), Barrier(writers), Event()

    def write() -> None:
        other = EmbeddingStore.connect(settings)
        for turn in range(turns):
            together.wait(60)
            other.write(views[20 * turn : 20 * turn + 20])

    def read() -> int:
        reader, times = EmbeddingStore.connect(settings), 0
        while not over.is_set():
            found = reader.search("appearance", views[0][1].embedding, limit=1000)
            assert len(found) == len({neighbour.view_id for neighbour in found})
            times += 1
        return times

    with ThreadPoolExecutor(writers + 1) as threads:
        reading = threads.submit(read)
        try:
            for writing in [threads.submit(write) for _ in range(writers)]:
                writing.result(120)
        finally:
            over.set()
        assert reading.result(60) > 0
    assert stored(settings) == store.count("appearance") == 40 + len(views)


@pytest.mark.parametrize("indexed", [False, True])
def test_what_lies_double_is_shown_once_and_others_take_its_place(
    store: EmbeddingStore, settings: Settings, indexed: bool
) -> None:
    views = rows(A, 1200)
    store.write(views)
    if indexed:
        store.maintain()
    expected = store.search("appearance", views[0][1].embedding, limit=10)
    nearest = {neighbour.view_id for neighbour in expected}
    for _ in range(2):
        kept_twice(settings, [row for row in views if row[1].view_id in nearest])
    assert stored(settings) == 1220
    assert store.count("appearance") == store.count("appearance", A) == 1200
    assert store.search("appearance", views[0][1].embedding, limit=10) == expected
    assert len(store.search("appearance", views[0][1].embedding, limit=10, threshold=expected[4].similarity)) == 5


def test_what_an_older_version_left_double_goes_with_the_first_maintenance(
    store: EmbeddingStore, settings: Settings
) -> None:
    views = rows(A, 1200)
    store.write(views)
    kept_twice(settings, views[:700])
    kept_twice(settings, views[:3])
    store.maintain()
    assert stored(settings) == 1200
    found = store.search("appearance", views[0][1].embedding, limit=2000)
    assert {neighbour.view_id for neighbour in found} == {view.view_id for _, view in views}
    kept_twice(settings, views[:2])
    EmbeddingStore.connect(settings).maintain()
    assert stored(settings) == 1200


def test_what_a_killed_writer_left_double_goes_when_it_is_written_again(
    store: EmbeddingStore, settings: Settings
) -> None:
    views = rows(A, 30)
    store.write(views)
    kept_twice(settings, views[10:20])
    store.write(views[5:25])
    assert stored(settings) == store.count("appearance") == 30


def test_a_view_of_which_two_removed_each_one_row_is_written_again(
    store: EmbeddingStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = rows(A, 30)
    store.write(views)
    kept_twice(settings, views[:1])
    remove = doubles.remove

    def both(table: Any, ids: list[str]) -> int:
        removed = remove(table, ids)
        if removed:
            table.delete(f"view_id = '{views[0][1].view_id}'")
        return removed

    monkeypatch.setattr(doubles, "remove", both)
    store.write(views[:1])
    assert stored(settings) == store.count("appearance") == 30


def test_a_writer_that_never_finds_its_rows_single_gives_up(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "remove", lambda table, ids: 1)
    with pytest.raises(StoreUnavailable, match="the same 2 views"):
        store.write(rows(A, 2))
