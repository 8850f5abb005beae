"""Stores that refuse: full, not writable, gone, locked, killed. What was to be written waits, and comes once."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from core.errors import InvalidInput, SetupError, StoreUnavailable
from core.ids import Run, Seq, StreamId, TrackId, ViewId
from core.messages import Analytic, FrameTracks, Source, StreamSpec, View
from core.settings import Settings
from warehouse.control import ControlStore, database
from warehouse.embeddings import EmbeddingStore
from warehouse.media import MediaStore

STREAM = StreamId(UUID(int=7))
MEBI = 1024**2


class Disk:
    """A small disk of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def files(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Four MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False)
    assert mounted.returncode == 0, "these tests mount a small disk, which root may do"
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def views(count: int) -> list[tuple[FrameTracks, View]]:
    made = []
    for i in range(count):
        view = View(
            ViewId(uuid4()), TrackId(1), "appearance", "car", 0.5, (0, 0, 1, 1), f"{STREAM}/1/x.jpg", b"j", "m",
            (1.0, *[0.001 * i] * 1279),
        )  # fmt: skip
        made.append((FrameTracks(STREAM, Run(1), Seq(i), i, i / 10, 1000, 10, 10, (), (view,)), view))
    return made


def spec(name: str = "clip") -> StreamSpec:
    return StreamSpec(StreamId(uuid4()), Run(1), name, "batch", Source("file:clip"), (), "m", 1_700_000_000_000)


# pictures


def test_a_full_disk_takes_no_picture_leaves_no_part_of_one_and_takes_it_when_there_is_room(disk: Disk) -> None:
    media = MediaStore.connect(Settings(data_dir=disk.folder))
    media.put("a/1/small.jpg", b"x" * MEBI)
    before = disk.files()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="No space left"):
            media.put("a/1/large.jpg", b"y" * 4 * MEBI)
    assert disk.files() == before
    disk.remount("size=16m")
    media.put("a/1/large.jpg", b"y" * 4 * MEBI)
    assert media.size("a/1/large.jpg") == 4 * MEBI


def test_a_disk_that_cannot_be_written_is_waited_for(disk: Disk) -> None:
    media = MediaStore.connect(Settings(data_dir=disk.folder))
    media.put("a/1/x.jpg", b"x")
    disk.remount("ro")
    with pytest.raises(StoreUnavailable, match="Read-only"):
        media.put("a/1/x.jpg", b"y")
    assert media.get("a/1/x.jpg") == b"x"
    disk.remount("rw")
    media.put("a/1/x.jpg", b"y")
    assert media.get("a/1/x.jpg") == b"y"


@pytest.mark.parametrize(
    "ask",
    [
        lambda media: media.put("a/1/y.jpg", b"y"),
        lambda media: media.get("a/1/x.jpg"),
        lambda media: media.size("a/1/x.jpg"),
        lambda media: media.exists("a/1/x.jpg"),
        lambda media: list(media.keys("a")),
        lambda media: media.delete("a/1/x.jpg"),
        lambda media: media.delete_prefix("a"),
    ],
)
def test_a_media_folder_that_is_gone_is_named_and_not_made_again(
    tmp_path: Path, ask: Callable[[MediaStore], object]
) -> None:
    media = MediaStore.connect(Settings(data_dir=tmp_path))
    media.put("a/1/x.jpg", b"x")
    shutil.move(tmp_path / "media", tmp_path / "away")
    with pytest.raises(StoreUnavailable, match=r"the folder .*/media is gone; put it back"):
        ask(media)
    assert not (tmp_path / "media").exists()
    shutil.move(tmp_path / "away", tmp_path / "media")
    assert media.get("a/1/x.jpg") == b"x"


# vectors


def test_a_full_disk_takes_no_vectors_and_takes_the_same_ones_once_when_there_is_room(disk: Disk) -> None:
    store = EmbeddingStore.connect(Settings(data_dir=disk.folder))
    kept = 0
    with pytest.raises(StoreUnavailable, match="No space left"):
        while True:
            batch = views(100)
            store.write(batch)
            kept += len(batch)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="No space left"):
            store.write(batch)
    assert store.count("appearance") == kept
    disk.remount("size=32m")
    store.write(batch)
    store.write(batch)
    store.maintain()
    assert store.count("appearance", STREAM) == kept + len(batch)


def test_vectors_on_a_disk_that_cannot_be_written_are_still_found(disk: Disk) -> None:
    store = EmbeddingStore.connect(Settings(data_dir=disk.folder))
    store.write(views(10))
    disk.remount("ro")
    with pytest.raises(StoreUnavailable, match="Read-only"):
        store.write(views(10))
    assert len(store.search("appearance", [1.0] * 1280, limit=5)) == 5
    disk.remount("rw")
    store.write(views(10))
    assert store.count("appearance") == 20


def test_a_folder_of_vectors_that_went_before_they_were_asked_for_is_not_made_again(tmp_path: Path) -> None:
    store = EmbeddingStore.connect(Settings(data_dir=tmp_path))
    (tmp_path / "lancedb").rmdir()
    with pytest.raises(StoreUnavailable, match=r"LanceDB: the folder .* is gone; put it back"):
        store.count("appearance")
    assert not (tmp_path / "lancedb").exists()


@pytest.mark.parametrize("gone", ["lancedb", "lancedb/appearance.lance"])
def test_vectors_that_are_gone_are_not_taken_for_none(tmp_path: Path, gone: str) -> None:
    store = EmbeddingStore.connect(Settings(data_dir=tmp_path))
    store.write(views(10))
    shutil.move(tmp_path / gone, tmp_path / "away")
    for ask in (
        lambda: store.write(views(1)),
        lambda: store.search("appearance", [1.0] * 1280, limit=5),
        lambda: store.count("appearance"),
        lambda: store.delete_stream(STREAM),
        store.maintain,
    ):
        with pytest.raises(StoreUnavailable, match=r"LanceDB: the (folder|table) .* is gone; put it back"):
            ask()
    assert not (tmp_path / gone).exists()
    shutil.move(tmp_path / "away", tmp_path / gone)
    store.write(views(1))
    assert store.count("appearance") == 11


def test_a_process_that_starts_without_vectors_begins_with_none(tmp_path: Path) -> None:
    EmbeddingStore.connect(Settings(data_dir=tmp_path)).write(views(3))
    shutil.rmtree(tmp_path / "lancedb")
    assert EmbeddingStore.connect(Settings(data_dir=tmp_path)).count("appearance") == 0


# the control database


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is waited for a moment."""
    monkeypatch.setattr(database, "BUSY_S", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_control_database_that_somebody_holds_is_waited_for(tmp_path: Path) -> None:
    store = ControlStore.connect(Settings(data_dir=tmp_path))
    store.migrate()
    with sqlite3.connect(tmp_path / "control.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.create_stream(spec())
        assert store.streams().items == [] or store.streams().items == ()
        other.execute("ROLLBACK")
    other.close()
    store.create_stream(spec())
    assert len(store.streams().items) == 1
    store.close()


def test_a_control_database_on_a_disk_that_cannot_be_written_is_waited_for(disk: Disk) -> None:
    store = ControlStore.connect(Settings(data_dir=disk.folder))
    store.migrate()
    store.close()  # files that are open for writing keep a disk writable
    disk.remount("ro")
    with pytest.raises(StoreUnavailable, match=r"readonly|disk I/O|unable to open"):
        store.create_stream(spec())
    disk.remount("rw")
    store.create_stream(spec())
    assert len(store.streams().items) == 1
    store.close()


def test_a_control_database_on_a_full_disk_keeps_what_it_has(disk: Disk) -> None:
    store = ControlStore.connect(Settings(data_dir=disk.folder))
    store.migrate()
    kept = 0
    with pytest.raises(StoreUnavailable, match=r"full|disk I/O"):
        while True:
            store.create_stream(spec("n" * 50_000))
            kept += 1
    assert len(store.streams(limit=1000).items) == kept
    disk.remount("size=16m")
    store.create_stream(spec())
    assert len(store.streams(limit=1000).items) == kept + 1
    assert len(store.take_outbox(1000)) == kept + 1
    store.close()


def test_a_control_database_that_is_gone_stops_with_the_command_that_makes_one(tmp_path: Path) -> None:
    store = ControlStore.connect(Settings(data_dir=tmp_path))
    store.migrate()
    store.close()
    for path in tmp_path.glob("control.db*"):
        path.unlink()
    with pytest.raises(SetupError, match="sightline migrate"):
        ControlStore.connect(Settings(data_dir=tmp_path)).streams()


@pytest.mark.parametrize(
    "wrong",
    [
        {"started_ms": -1},
        {"started_ms": 2**60},
        {"model": "../x"},
        {"name": "a\x00b"},
        {"name": "n" * 100_000},
        {"analytics": (Analytic("object_detection", {"labels": ["x" * 100] * 20_000}),)},
    ],
)
def test_a_stream_that_no_host_can_take_is_refused_where_it_is_defined(tmp_path: Path, wrong: dict[str, Any]) -> None:
    store = ControlStore.connect(Settings(data_dir=tmp_path))
    store.migrate()
    good = spec()
    store.create_stream(good)
    with pytest.raises(InvalidInput):
        store.create_stream(msgspec.structs.replace(spec(), **wrong))
    with pytest.raises(InvalidInput):
        store.update_stream(msgspec.structs.replace(good, **wrong))
    assert [row.spec for row in store.streams().items] == [good]
    assert len(store.take_outbox(10)) == 1, "nothing waits that could never be published"
    store.close()
