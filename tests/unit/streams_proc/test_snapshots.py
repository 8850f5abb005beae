from __future__ import annotations

import msgspec
import pytest

from core.errors import SnapshotError
from streams_proc import snapshots


def test_bytes_come_back() -> None:
    assert snapshots.decode(b"k", snapshots.encode(7, b"state" * 1000)) == snapshots.Snapshot(b"k", 7, b"state" * 1000)
    assert snapshots.decode(b"k", snapshots.encode(7, None)) == snapshots.Snapshot(b"k", 7, None)


def test_the_highest_next_offset_wins_not_the_last_record() -> None:
    newer = (snapshots.key_of(0, 2, "b"), snapshots.encode(90, b"newer"))
    zombie = (snapshots.key_of(0, 1, "a"), snapshots.encode(40, b"older"))
    found, keys = snapshots.newest([newer, zombie])
    assert found is not None
    assert found.data == b"newer"
    assert set(keys) == {newer[0], zombie[0]}


def test_a_later_record_of_a_key_replaces_the_earlier_and_null_removes_it() -> None:
    key = b"0/1/a"
    found, keys = snapshots.newest([(key, snapshots.encode(1, b"a")), (key, snapshots.encode(2, b"b"))])
    assert found is not None and found.next == 2 and keys == (key,)
    assert snapshots.newest([(key, snapshots.encode(1, b"a")), (key, None)]) == (None, ())
    assert snapshots.newest([]) == (None, ())


def test_what_lies_under_a_key_of_nobody_is_left_alone() -> None:
    strange = [(key, b"rubbish") for key in (b"", b"nokey", b"1/2", b"x/y/z", b"0/1/a/b", b"\xff/1/a")]
    ours = (snapshots.key_of(0, 1, "a"), snapshots.encode(3, b"state"))
    found, keys = snapshots.newest([*strange, ours])
    assert found is not None
    assert (found.data, keys) == (b"state", (ours[0],))


def test_a_static_member_that_comes_back_in_the_same_generation_has_another_key() -> None:
    assert snapshots.key_of(3, 5, "one") != snapshots.key_of(3, 5, "two")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not msgpack",
        msgspec.msgpack.encode(snapshots.Envelope(snapshots.VERSION + 1, 3, None)),
        msgspec.msgpack.encode(snapshots.Envelope(snapshots.VERSION, 3, b"not zlib")),
    ],
    ids=["empty", "no msgpack", "another version", "no zlib"],
)
def test_what_cannot_be_read_is_an_error(value: bytes) -> None:
    with pytest.raises(SnapshotError):
        snapshots.newest([(b"0/1/a", value)])
