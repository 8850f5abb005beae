"""Snapshots of analyse's state: of another version, and the tracker's bytes."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import pytest

from core.errors import SnapshotError
from streams_proc.memory import FORMAT
from tests.unit.analyse.scenes import Bench, Message, begin, end, frame, outputs, records, walk


def written() -> bytes:
    """A snapshot in the middle of a run."""
    bench = Bench()
    bench.give([begin(), *(frame(i, row) for i, row in enumerate(walk("car", 0.8, 0.1, 0.02, 5)))])
    snapshot = bench.handler.snapshot()
    assert snapshot is not None
    return snapshot


@pytest.mark.parametrize(
    "other",
    [b"sightline-analyse/1 trackers/", b"sightline-analyse/3 trackers/0.9+"],
    ids=["another format", "another tracker"],
)
def test_a_whole_snapshot_of_another_version_or_tracker_stops_the_line(other: bytes) -> None:
    data = written()
    Bench().handler.restore(data)
    head, _, body = data.partition(b"\n")
    assert version("trackers").encode() in head
    with pytest.raises(SnapshotError, match="this version reads") as caught:
        Bench().handler.restore(other + version("trackers").encode() + b"\n" + body)
    assert FORMAT.decode() in str(caught.value)


def test_a_state_that_was_restored_goes_on_alike_whatever_its_bytes() -> None:
    rows = walk("car", 0.8, 0.1, 0.02, 12)
    messages: list[Message] = [begin(), *(frame(i, row) for i, row in enumerate(rows)), end()]
    given = records(messages)
    whole = outputs(Bench().handle(given))
    bench = Bench()
    got = outputs(bench.handle(given[:5]))
    for place in range(5, len(given)):  # there and back before every record
        snapshot = bench.handler.snapshot()
        assert snapshot is not None
        bench.handler = bench.new_handler()
        bench.handler.restore(snapshot)
        got += outputs(asyncio.run(bench.handler.handle(given[place : place + 1])))
    assert got == whole
