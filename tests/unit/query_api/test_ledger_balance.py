"""The ledger of a run at any moment of it, whatever has been told and stored by then."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.messages import IngestCounts
from query_api.services.ledger import balance
from warehouse.ledger import differences, imbalance
from warehouse.rows import FrameCounts

fates = st.lists(
    st.sampled_from(["sampled_out", "gated", "backlog", "too_large", "processed", "dead_lettered"]), max_size=60
)


def told(frames: list[str], published: int | None = None) -> IngestCounts:
    """Ingest's counts after these frames."""
    read = [fate for fate in frames if fate != "sampled_out"]
    sent = sum(fate in ("processed", "dead_lettered") for fate in read)
    return IngestCounts(
        decoded=len(frames),
        sampled_out=len(frames) - len(read),
        read=len(read),
        gated=read.count("gated"),
        published=sent if published is None else published,
        dropped={reason: n for reason in ("backlog", "too_large") if (n := read.count(reason))},
    )


def stored(frames: list[str]) -> FrameCounts:
    """What ClickHouse holds after these frames."""
    return FrameCounts(processed=frames.count("processed"), dead_lettered=frames.count("dead_lettered"))


@given(frames=fates, heard=st.integers(0, 60), arrived=st.integers(0, 60))
def test_it_sums_whether_ingest_or_the_store_is_ahead(frames: list[str], heard: int, arrived: int) -> None:
    counts, rows = told(frames[:heard]), stored(frames[:arrived])
    ledger = balance(counts, rows)
    dropped = sum(ledger.dropped.values())
    assert ledger.decoded == ledger.sampled_out + ledger.read
    assert ledger.read == ledger.processed + ledger.gated + dropped + ledger.dead_lettered + ledger.in_flight
    assert min(ledger.decoded, ledger.sampled_out, ledger.read, ledger.in_flight) >= 0
    assert (ledger.processed, ledger.dead_lettered) == (rows.processed, rows.dead_lettered)
    assert ledger.dropped == counts.dropped
    assert ledger.decoded >= counts.decoded and ledger.read >= counts.read, "a frame that was told of is never untold"
    if heard >= arrived:
        assert (ledger.decoded, ledger.sampled_out, ledger.read) == (counts.decoded, counts.sampled_out, counts.read)
    assert differences(counts, rows, finished=False) == ()


@given(frames=fates)
def test_at_a_runs_end_nothing_is_in_flight(frames: list[str]) -> None:
    ledger = balance(told(frames), stored(frames))
    assert ledger.in_flight == 0
    assert ledger.sampled_out == frames.count("sampled_out")
    assert differences(told(frames), stored(frames), finished=True) == ()


@given(frames=fates, lost=st.integers(1, 5), where=st.sampled_from(["store", "broker"]))
def test_frames_that_are_lost_are_seen_at_the_end(frames: list[str], lost: int, where: str) -> None:
    whole = [*frames, *["processed"] * lost]
    if where == "store":
        assert balance(told(whole), stored(frames)).in_flight == lost
        found = differences(told(whole), stored(frames), finished=True)
    else:
        sent = sum(fate in ("processed", "dead_lettered") for fate in frames)
        found = differences(told(whole, published=sent), stored(frames), finished=True)
    assert imbalance(found) == lost
