"""The alarm of the ledger: when it fires, when it does not, and when it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import StoreUnavailable
from core.ids import Run, StreamId
from core.messages import IngestCounts
from core.metrics import exposition
from streams_proc.attempt import Backoff
from streams_proc.audit import AGAIN_EVERY, Audit
from warehouse.ledger import Difference, differences, imbalance
from warehouse.rows import FrameCounts

STREAM, FIRST = StreamId(UUID(int=7)), Run(1)
WHOLE = IngestCounts(decoded=30, sampled_out=10, read=20, gated=2, published=15, dropped={"backlog": 2, "too_large": 1})
ARRIVED = FrameCounts(processed=14, dead_lettered=1)


def test_a_run_of_which_everything_is_accounted_for_sums() -> None:
    assert differences(WHOLE, ARRIVED, finished=True) == ()
    assert imbalance(()) == 0


@pytest.mark.parametrize(
    ("stored", "frames"), [(FrameCounts(13, 1), 1), (FrameCounts(14, 3), -2), (FrameCounts(0, 0), 15)]
)
def test_a_frame_too_few_or_too_many_is_found(stored: FrameCounts, frames: int) -> None:
    equation = "read = processed + gated + dropped + dead_lettered"
    assert differences(WHOLE, stored, finished=True) == (Difference(equation, frames),)
    assert imbalance((Difference(equation, frames),)) == abs(frames)


def test_ingest_is_held_to_its_own_sums() -> None:
    lied = IngestCounts(decoded=31, sampled_out=10, read=20, published=20)
    assert differences(lied, FrameCounts(20, 0), finished=True) == (Difference("decoded = sampled_out + read", 1),)
    assert differences(lied, FrameCounts(0, 0), finished=False) == (Difference("decoded = sampled_out + read", 1),)
    unacknowledged = IngestCounts(decoded=20, read=20, published=19)
    (found,) = differences(unacknowledged, FrameCounts(20, 0), finished=True)
    assert str(found) == "read = gated + dropped + published is off by +1"


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_what_is_in_flight_is_no_imbalance_while_a_run_goes_on(read: int, out: int, processed: int, dead: int) -> None:
    counts = IngestCounts(decoded=read + out, sampled_out=out, read=read, published=read)
    assert differences(counts, FrameCounts(processed, dead), finished=False) == ()
    assert bool(differences(counts, FrameCounts(processed, dead), finished=True)) == (read != processed + dead)


@dataclass
class Row:
    stream_id: StreamId = STREAM
    run: Run = FIRST
    counts: IngestCounts = WHOLE
    imbalance: int | None = None


@dataclass
class FakeRuns:
    rows: list[Row]
    writes: list[int] = field(default_factory=list)

    def unaudited(self, limit: int = 100, *, again: bool = False) -> list[Row]:
        return [r for r in self.rows if r.imbalance is None or (again and r.imbalance > 0)]

    def record_audit(self, stream_id: StreamId, run: Run, imbalance: int) -> None:
        self.writes.append(imbalance)
        self.rows = [replace(r, imbalance=imbalance) if r.run == run else r for r in self.rows]

    def total_imbalance(self) -> int:
        return sum(r.imbalance or 0 for r in self.rows)


class Said(list[dict[str, Any]]):
    """A logger that keeps what is said."""

    def error(self, event: str, **more: Any) -> None:
        self.append({"level": "error", "event": event, **more})

    def info(self, event: str, **more: Any) -> None:
        self.append({"level": "info", "event": event, **more})


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr("streams_proc.audit._log", said)
    return said


def shown() -> str:
    return next(line for line in exposition().decode().splitlines() if line.startswith("sightline_ledger_imbalance "))


def test_a_run_that_does_not_sum_raises_the_alarm_once_and_by_name(logged: Said) -> None:
    runs = FakeRuns([Row(), Row(run=Run(2))])
    stored = {1: FrameCounts(12, 1), 2: ARRIVED}
    audit = Audit(runs, lambda _, run: stored[run])
    for _ in range(3):
        audit.audit()
    assert shown() == "sightline_ledger_imbalance 2.0"
    assert runs.writes == [2, 0]
    (said,) = logged
    assert (said["level"], said["event"]) == ("error", "the ledger does not sum")
    assert (said["stream_id"], said["run"], said["frames"]) == (str(STREAM), 1, 2)
    assert "read = processed + gated + dropped + dead_lettered" in said["reason"]


def test_an_alarm_outlives_a_restart_and_ends_when_the_ledger_sums_after_all(logged: Said) -> None:
    runs = FakeRuns([Row(imbalance=2)])
    stored = [FrameCounts(12, 1)]
    audit = Audit(runs, lambda *_: stored[0])
    audit.audit()
    assert shown() == "sightline_ledger_imbalance 2.0"
    assert logged == [], "it was told of before"
    stored[0] = ARRIVED
    for _ in range(AGAIN_EVERY):
        audit.audit()
    assert shown() == "sightline_ledger_imbalance 0.0"
    assert runs.writes == [0]
    assert [said["event"] for said in logged] == ["the ledger sums again"]


def test_a_store_that_is_away_is_waited_for_and_is_no_alarm() -> None:
    runs = FakeRuns([Row()])
    answers: list[FrameCounts | Exception] = [StoreUnavailable("no"), StoreUnavailable("no"), ARRIVED]

    def stored(*_: object) -> FrameCounts:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    class Enough(Exception):
        pass

    async def sleep(_: float) -> None:
        if not answers:
            raise Enough

    with pytest.raises(Enough):
        asyncio.run(Audit(runs, stored).run(Backoff(sleep)))
    assert runs.writes == [0]
