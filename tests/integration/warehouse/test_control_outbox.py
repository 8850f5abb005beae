"""The outbox under several writers and publishers, and uploads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from uuid import UUID

import msgspec
import pytest

from core.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from core.messages import StreamSpec
from core.settings import Control, Settings
from tests.integration.warehouse.samples import spec, stream_id
from warehouse.control import ControlStore

UPLOAD = UUID(int=77)


def write_from_a_process(settings: Settings, first: int, count: int) -> None:
    """Create, stop, run and stop again, as a web worker does."""
    store = ControlStore.connect(settings)
    for n in range(first, first + count):
        store.create_stream(spec(stream_id(n)))
        store.set_desired(stream_id(n), "stop")
        store.set_desired(stream_id(n), "run")
        store.set_extra(stream_id(n), {"n": n})
    store.close()


def test_processes_write_at_once_and_nothing_is_lost(control_settings: Settings, control: ControlStore) -> None:
    spawn = get_context("spawn")
    workers = [spawn.Process(target=write_from_a_process, args=(control_settings, n * 10, 10)) for n in range(3)]
    for worker in workers:
        worker.start()
    with ThreadPoolExecutor(4) as threads:
        for n in range(30, 50):
            threads.submit(write_from_a_process, control_settings, n, 1)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    told: dict[str, list[tuple[int, str]]] = defaultdict(list)
    while rows := control.take_outbox(7):
        for row in rows:
            value = msgspec.json.decode(row.value, type=StreamSpec)
            told[row.key].append((value.run, value.desired))
        control.delete_outbox([row.id for row in rows])
    assert told == {str(stream_id(n)): [(1, "run"), (1, "stop"), (2, "run")] for n in range(50)}
    assert control.count_streams() == 50


def test_threads_that_change_one_stream_are_told_in_order(open_control: Callable[[], ControlStore]) -> None:
    stores = [open_control() for _ in range(4)]
    stores[0].create_stream(spec(stream_id(1)))

    def change(store: ControlStore) -> None:
        for _ in range(10):
            store.update_stream(spec(stream_id(1)))

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(change, store) for store in stores]:
            done.result()
    runs = [msgspec.json.decode(row.value, type=StreamSpec).run for row in stores[0].take_outbox(1000)]
    assert runs == list(range(1, 42))
    assert stores[0].stream(stream_id(1)).version == 41


def test_one_publisher_at_a_time(open_control: Callable[[], ControlStore], clock) -> None:
    one, two = open_control(), open_control()
    assert one.take_outbox(10) == []
    for n in range(3):
        one.create_stream(spec(stream_id(n)))
    taken = one.take_outbox(2)
    assert [row.key for row in taken] == [str(stream_id(0)), str(stream_id(1))]
    assert two.take_outbox(10) == []
    assert one.take_outbox(2) == taken  # not deleted: they come again
    one.delete_outbox([taken[0].id])
    clock.now += 6
    assert [row.key for row in two.take_outbox(10)] == [str(stream_id(1)), str(stream_id(2))]
    assert one.take_outbox(10) == []
    two.delete_outbox([row.id for row in two.take_outbox(10)])
    two.delete_outbox([])
    assert two.take_outbox(10) == []


def test_an_upload_from_begin_to_end(control: ControlStore) -> None:
    created = control.create_upload(UPLOAD, "clip.mp4", size=10, account_id="a")
    assert (created.state, created.received, created.size, created.media_key) == ("open", 0, 10, None)
    assert control.advance_upload(UPLOAD, at=0, received=4).received == 4
    with pytest.raises(Conflict, match="byte 4"):
        control.advance_upload(UPLOAD, at=0, received=4)
    for received in (3, 11):
        with pytest.raises(InvalidInput):
            control.advance_upload(UPLOAD, at=4, received=received)
    with pytest.raises(Conflict, match="4 of 10"):
        control.finish_upload(UPLOAD, "uploads/x.mp4")
    control.advance_upload(UPLOAD, at=4, received=10)
    done = control.finish_upload(UPLOAD, "uploads/x.mp4")
    assert (done.state, done.media_key, done.size) == ("complete", "uploads/x.mp4", 10)
    assert control.finish_upload(UPLOAD, "uploads/x.mp4") == done == control.upload(UPLOAD)
    with pytest.raises(Conflict):
        control.finish_upload(UPLOAD, "uploads/y.mp4")
    with pytest.raises(Conflict, match="complete"):
        control.advance_upload(UPLOAD, at=10, received=10)


def test_an_upload_of_unknown_size_ends_where_it_is(control: ControlStore) -> None:
    control.create_upload(UPLOAD, "clip.mp4")
    control.advance_upload(UPLOAD, at=0, received=123)
    assert control.finish_upload(UPLOAD, "k").size == 123


def test_uploads_that_are_not_there(control: ControlStore) -> None:
    for ask in (
        lambda: control.upload(UPLOAD),
        lambda: control.advance_upload(UPLOAD, at=0, received=1),
        lambda: control.finish_upload(UPLOAD, "k"),
    ):
        with pytest.raises(NotFound):
            ask()
    assert control.delete_upload(UPLOAD) is False
    control.create_upload(UPLOAD, "x")
    with pytest.raises(Conflict):
        control.create_upload(UPLOAD, "x")


def test_uploads_expire_unless_a_stream_reads_them(control: ControlStore) -> None:
    for n in range(3):
        control.create_upload(UUID(int=n), f"{n}.mp4")
    control.finish_upload(UUID(int=0), "uploads/0.mp4")
    control.finish_upload(UUID(int=1), "uploads/1.mp4")
    control.create_stream(spec(stream_id(1), url="media:uploads/1.mp4"))
    assert [u.upload_id.int for u in control.expired_uploads(10**15)] == [2, 0]
    assert control.expired_uploads(0) == []
    with pytest.raises(Conflict, match="source"):
        control.delete_upload(UUID(int=1))
    control.delete_stream(stream_id(1))
    assert len(control.expired_uploads(10**15)) == 3
    assert control.delete_upload(UUID(int=1)) is True


def test_uploads_are_listed_by_page(control: ControlStore) -> None:
    for n in range(7):
        control.create_upload(UUID(int=n), f"{n}.mp4", account_id="ab"[n % 2])
    first = control.uploads(limit=3)
    second = control.uploads(limit=30, cursor=first.next_cursor)
    assert [u.upload_id.int for u in (*first.items, *second.items)] == [6, 5, 4, 3, 2, 1, 0]
    assert [u.upload_id.int for u in control.uploads(account_id="a").items] == [6, 4, 2, 0]


def test_no_database_is_worth_another_try(unused_port: int) -> None:
    store = ControlStore.connect(Settings(control=Control(url=f"postgresql://x@127.0.0.1:{unused_port}/x")))
    assert store.ready() is False
    with pytest.raises(StoreUnavailable):
        store.streams()
    store.close()
