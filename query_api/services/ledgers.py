"""Ledgers of streams' runs, with the place of each frame in flight."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core import log
from core.errors import BrokerUnavailable, NotFound
from core.ids import Run, Seq, StreamId
from query_api.in_flight import RunKey, Waiting
from query_api.ports import Collaborators
from query_api.services.ledger import balance
from query_api.services.places import MOST_MISSING, frame_place, places_of
from query_api.services.streams import ids_of
from query_api.types.query import (
    LedgerFrames,
    LedgerFramesParams,
    LedgerItem,
    LedgerPage,
    LedgerParams,
    Places,
)
from warehouse.control.receipts import EXPECTED
from warehouse.control.rows import RunRow, StreamFilter, StreamRow
from warehouse.ledger import differences, imbalance
from warehouse.rows import FrameCounts

_log = log.get(__name__)
Seen = Mapping[RunKey, Waiting] | None


@dataclass(frozen=True, slots=True)
class _Run:
    """One run as the stores know it.

    Attributes:
        stored: asked for before anything was looked for on Kafka.
    """

    stream: StreamRow
    run: RunRow
    finished: bool
    stored: FrameCounts

    @property
    def key(self) -> RunKey:
        """The run, for looking for it on Kafka."""
        return RunKey(self.stream.stream_id, self.run.run, self.stream.spec.lane)

    @property
    def under_way(self) -> bool:
        """Whether frames of it may be on Kafka."""
        ledger = balance(self.run.counts, self.stored)
        return ledger.in_flight > 0 or (ledger.read > 0 and not self.finished)


class Ledgers:
    """Asks the stores and Kafka; blocking."""

    def __init__(self, parts: Collaborators) -> None:
        self._parts = parts

    def page(self, params: LedgerParams, limit: int) -> LedgerPage:
        """Every run's ledger of a page of streams, tasks included."""
        chosen = StreamFilter(stream_ids=ids_of(params.stream_ids))
        found = self._parts.control.streams(chosen, limit=limit, cursor=params.cursor)
        runs = [
            self._run(row, run)
            for row in found.items
            for run in self._parts.control.runs(row.stream_id)
            if params.run in (None, run.run)
        ]
        if not params.places:
            return LedgerPage([self._item(run, run.stored, None) for run in runs], found.next_cursor)
        open_ = [run for run in runs if run.under_way]
        seen = self._look([run.key for run in open_])
        return LedgerPage([self._placed(run, seen) for run in runs], found.next_cursor)

    def frames(self, stream_id: UUID, params: LedgerFramesParams, limit: int) -> LedgerFrames:
        """One run's ledger with its frames in flight. Raises NotFound."""
        stream = self._parts.control.stream(StreamId(stream_id))
        if stream.spec.ephemeral:
            raise NotFound(f"no stream {stream_id}")
        number = stream.spec.run if params.run is None else Run(params.run)
        run = self._run(stream, self._parts.control.run(stream.stream_id, number))
        after = -1 if params.after is None else params.after
        wanted = frozenset(self._missing(run, after, limit) if run.under_way else ())
        seen = self._look([run.key], {run.key: wanted}) if run.under_way else {}
        item = self._placed(run, seen)
        named = self._missing(run, after, limit) if run.under_way and item.in_flight else []
        waiting = None if seen is None else seen.get(run.key)
        return LedgerFrames(
            **{name: getattr(item, name) for name in LedgerItem.__struct_fields__},
            frames=[frame_place(seq, waiting) for seq in named],
            next_after=named[-1] if len(named) == limit else None,
        )

    def _run(self, stream: StreamRow, run: RunRow) -> _Run:
        # a run that was checked has all receipts
        finished = run.imbalance is not None or (
            run.ended and self._parts.control.receipts(stream.stream_id, run.run) >= EXPECTED
        )
        return _Run(stream, run, finished, self._stored(stream, run))

    def _stored(self, stream: StreamRow, run: RunRow) -> FrameCounts:
        return self._parts.analytics.frame_counts(stream.stream_id, run.run)

    def _missing(self, run: _Run, after: int, limit: int) -> list[Seq]:
        row = run.run
        return self._parts.analytics.missing_frames(
            row.stream_id, row.run, upto=row.counts.published, after=after, limit=limit
        )

    def _look(self, runs: Collection[RunKey], wanted: Mapping[RunKey, frozenset[Seq]] | None = None) -> Seen:
        """What waits on Kafka; None when it does not answer: a ledger sums without it."""
        if not runs:
            return {}
        try:
            return self._parts.flights.look(runs, wanted)
        except BrokerUnavailable as error:
            _log.warning("frames_in_flight_cannot_be_seen", reason=str(error))
            return None

    def _placed(self, run: _Run, seen: Seen) -> LedgerItem:
        if not run.under_way:
            return self._item(run, run.stored, Places())
        # asked again after the look, so that what has gone on meanwhile is found at one of both; what is missing is
        # asked first: what is stored between the two questions would be in flight, and nowhere, the other way round
        missing = self._missing(run, -1, MOST_MISSING)
        stored = self._stored(run.stream, run.run)
        ledger = balance(run.run.counts, stored)
        waiting = None if seen is None else seen.get(run.key)
        return self._item(run, stored, places_of(ledger, run.run.counts, missing, waiting))

    def _item(self, run: _Run, stored: FrameCounts, places: Places | None) -> LedgerItem:
        ledger = balance(run.run.counts, stored)
        found = differences(run.run.counts, stored, finished=run.finished)
        said = [str(difference) for difference in found]
        lost = 0 if places is None else places.missing
        if lost:
            said.append(f"{lost} frames are neither stored nor on Kafka")
        shown: dict[str, Any] = {name: getattr(ledger, name) for name in type(ledger).__struct_fields__}
        return LedgerItem(
            **shown,
            stream_id=run.stream.stream_id,
            run=run.run.run,
            name=run.stream.spec.name,
            state=run.run.state,
            finished=run.finished,
            imbalance=max(imbalance(found), lost),
            differences=said,
            places=places,
        )
