"""An event's phases: begin, updates, end, numbered, under one id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from core.ids import TrackId, event_id
from core.messages import Box, Event
from streams_proc.analytics.analytic import Subject
from streams_proc.tracking.track import Moment


@dataclass(slots=True)
class Ledger:
    """Numbers the events of one analytic in one run: from 1, or on from those of its position before."""

    subject: Subject
    type: str
    event_type: str
    begun: int = 0

    def __post_init__(self) -> None:
        self.begun = max(self.begun, self.subject.begun)

    def begin(
        self,
        now: Moment,
        begin: Moment,
        *,
        label: str = "",
        track_id: TrackId | None = None,
        score: float = 0.0,
        image: str | None = None,
        box: Box | None = None,
        data: dict[str, Any] | None = None,
    ) -> Event:
        """A new event, known at `now`, that began at `begin`."""
        self.begun += 1
        who = self.subject
        return Event(
            event_id=event_id(who.stream_id, who.run, who.analytic_index, self.begun),
            stream_id=who.stream_id,
            run=who.run,
            analytic_index=who.analytic_index,
            type=self.type,
            event_type=self.event_type,
            phase="begin",
            number=0,
            seq=now.seq,
            ts_ms=now.ts_ms,
            begin_ms=begin.ts_ms,
            begin_s=begin.media_s,
            begin_seq=begin.seq,
            label=label,
            track_id=track_id,
            score=score,
            image=image,
            box=box,
            data=data or {},
            ephemeral=who.ephemeral,
        )


def next_phase(event: Event, phase: Literal["update", "end"], now: Moment, **changes: Any) -> Event:
    """`event` one phase later, as it stands at `now`."""
    told = {"phase": phase, "number": event.number + 1, "seq": now.seq, "ts_ms": now.ts_ms, "prior_ms": event.ts_ms}
    return msgspec.structs.replace(event, **told, **changes)


def ended(event: Event, now: Moment, last: Moment, **changes: Any) -> Event:
    """The event's end, known at `now`; it lasted until `last`."""
    return next_phase(
        event, "end", now, end_ms=last.ts_ms, end_s=last.media_s, end_seq=last.seq, **changes
    )  # fmt: skip
