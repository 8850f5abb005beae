"""Which runs' ledgers are due to be checked, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from core.ids import Run
from core.messages import IngestCounts, StreamStatus
from tests.integration.warehouse.samples import spec, stream_id
from warehouse.control import ControlStore
from warehouse.control.receipts import EXPECTED

COUNTS = IngestCounts(decoded=9, read=9, published=9)


def finish(control: ControlStore, number: int, *, receipts: int = len(EXPECTED), state: str = "done") -> None:
    stream = stream_id(number)
    control.create_stream(spec(stream))
    ended = {"done": "done", "failure": "failure", "stop": "stop"}.get(state)
    if ended is not None:
        control.record_status(StreamStatus(stream, Run(1), ended, 30, "host", COUNTS))  # type: ignore[arg-type]
    for sink, topic in sorted(EXPECTED)[:receipts]:
        control.record_receipt(stream, Run(1), sink, topic)


def due(control: ControlStore, **options: bool) -> list[int]:
    return sorted(row.stream_id.int & 0xFF for row in control.unaudited(**options))


def test_a_run_is_due_when_it_has_ended_and_every_receipt_is_there(control: ControlStore) -> None:
    finish(control, 1)
    finish(control, 2, receipts=len(EXPECTED) - 1)
    finish(control, 3, state="pending")
    finish(control, 4, state="failure")
    finish(control, 5, state="stop")
    assert due(control) == [1, 4, 5]
    assert control.unaudited(limit=1)[0].counts == COUNTS


def test_a_run_is_checked_once_and_again_on_wish_when_it_did_not_sum(control: ControlStore) -> None:
    for number in (1, 2, 3):
        finish(control, number)
    for number, frames in ((1, 0), (2, 5), (3, 2)):
        control.record_audit(stream_id(number), Run(1), frames)
    assert (due(control), due(control, again=True)) == ([], [2, 3])
    assert control.total_imbalance() == 7
    assert control.run(stream_id(2), Run(1)).imbalance == 5
    control.record_audit(stream_id(2), Run(1), 0)
    assert control.total_imbalance() == 2


def test_a_removed_run_takes_its_alarm_with_it(control: ControlStore) -> None:
    finish(control, 1)
    control.record_audit(stream_id(1), Run(1), 4)
    control.delete_stream(stream_id(1))
    assert control.total_imbalance() == 0
    control.record_audit(stream_id(1), Run(1), 4)  # it went while it was being checked
    assert control.total_imbalance() == 0
