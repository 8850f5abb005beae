"""Which phases of an event are told, decided by the phase alone.

Nothing is remembered: how long the event has lasted, and how long it had at the phase before (`Event.prior_ms`), is
in the record, so a replay decides the same.
"""

from __future__ import annotations

from core.messages import Event
from core.profile import EventPolicy

BEFORE_IT_BEGAN = -1


def due(event: Event, policy: EventPolicy) -> bool:
    """Whether this phase is told.

    * ``end``: the end is.
    * ``start``: the first phase at which the event is known to have lasted `min_duration_s`.
    * ``period``: that one, and then each that lies in a later interval since the event's begin than the phase
      before it, so at most one in each interval.

    An event that ended before `min_duration_s` is told by none.
    """
    least = round(policy.min_duration_s * 1000)
    now, before = _lasted_ms(event), _lasted_before_ms(event)
    if now < least:
        return False
    if policy.trigger == "end":
        return event.phase == "end"
    if before < least:
        return True
    interval = max(1, round(policy.interval_s * 1000))
    return policy.trigger == "period" and now // interval > before // interval


def _lasted_ms(event: Event) -> int:
    until = event.ts_ms if event.end_ms is None else event.end_ms
    return max(0, until - event.begin_ms)


def _lasted_before_ms(event: Event) -> int:
    """How long it had lasted at the phase before; negative at the first."""
    if event.number == 0:
        return BEFORE_IT_BEGAN
    if event.prior_ms is None:  # from before this was told: take it for told
        return _lasted_ms(event)
    return max(0, event.prior_ms - event.begin_ms)
