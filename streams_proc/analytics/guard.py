"""An analytic of somebody else's: an error of its costs it alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, get_args
from uuid import UUID

from core import log, metrics
from core.bounds import check
from core.ids import EventId
from core.messages import Event, encode_json
from streams_proc.analytics.analytic import Analytic, Found, Need, Scene, Subject
from streams_proc.analytics.phases import ended
from streams_proc.keeping import Keeping
from streams_proc.state_bytes import UNREADABLE, pickled, unpickled
from streams_proc.tracking.rules import Rules
from streams_proc.tracking.track import Departure, Kind, Moment

_log = log.get(__name__)


class Guarded:
    """Passes frames on to a plugin's analytic, as long as that does what an analytic does.

    Once it has raised, told what is no event of its own, or cannot be kept, it is left out of the rest
    of the run, and what it had open is ended. Its state is bytes within the run's, so that a snapshot
    can be read where the plugin is not.

    Args:
        package: whose classes its state may be of.

    Raises whatever the analytic does when it is looked at.
    """

    def __init__(self, subject: Subject, name: str, package: str, analytic: Analytic) -> None:
        need: Any = analytic.need
        if type(need) is not Need or not isinstance(need.rules, Rules) or need.kind not in get_args(Kind):
            raise TypeError(f"its need is {need!r}")
        self.need: Need = need
        self._subject = subject
        self._name = name
        self._package = package
        self._analytic: Analytic | None = analytic
        self._open: dict[EventId, Event] = {}
        unpickled(pickled(analytic), package)  # what cannot be kept is better refused at once

    def see(self, scene: Scene) -> Found:
        """Take the next frame."""
        found = self._ask(lambda analytic: _found(analytic.see(scene)), Found())
        return Found(self._told(found.events, scene.now), found.overview, found.keeping)

    def close(self, departures: Sequence[Departure], last: Moment) -> Sequence[Event]:
        """End all that is open, also what the plugin has forgotten."""
        events = self._ask(lambda analytic: list(analytic.close(departures, last)), [])
        told = self._told(events, last)
        return [*told, *self._end_open(last)]

    def forget_pictures(self, media_keys: Collection[str]) -> None:
        """These pictures could not be taken."""
        self._ask(lambda analytic: analytic.forget_pictures(media_keys), None)

    def _ask(self, question: Callable[[Analytic], Any], otherwise: Any) -> Any:
        if self._analytic is None:
            return otherwise
        try:
            return question(self._analytic)
        except Exception as error:  # whatever it is, it is the plugin's
            self._break(error)
            return otherwise

    def _told(self, events: Sequence[Event], now: Moment) -> list[Event]:
        """The events, as far as they are its own; and the ends of what is open, if it is broken."""
        told: list[Event] = []
        for event in events:
            try:
                self._check(event)
            except Exception as error:
                self._break(error)
                break
            told.append(event)
            if event.phase == "end":
                self._open.pop(event.event_id, None)
            else:
                self._open[event.event_id] = event
        return told if self._analytic is not None else [*told, *self._end_open(now)]

    def _check(self, event: Any) -> None:
        if not isinstance(event, Event):
            raise TypeError(f"an event is a {type(event).__name__}")
        check(event)
        encode_json(event)
        who = self._subject
        if (event.stream_id, event.run, event.analytic_index, event.type) != (
            who.stream_id, who.run, who.analytic_index, self._name,
        ):  # fmt: skip
            raise ValueError("an event is another's")

    def _end_open(self, now: Moment) -> list[Event]:
        left, self._open = self._open, {}
        return [ended(event, now, now) for event in left.values()]

    def _break(self, error: Exception) -> None:
        self._analytic = None
        metrics.counter("sightline_analytics_left_out_total").labels(self._name, "broken").inc()
        _log.error(
            "plugin_broken",
            analytic=self._name,
            stream=str(self._subject.stream_id),
            reason=repr(error),
            exc_info=error,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self._analytic is not None:
            try:
                state["_analytic"] = pickled(self._analytic)
            except Exception as error:  # a state that is no plain data
                self._break(error)
                state["_analytic"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        kept: Any = state["_analytic"]
        if kept is None:
            return
        self._analytic = None
        try:
            self._analytic = unpickled(kept, self._package)
        except (ImportError, *UNREADABLE) as error:
            self._break(error)


def _found(answer: Any) -> Found:
    if not isinstance(answer, Found):
        raise TypeError(f"it has found a {type(answer).__name__}")
    if not isinstance(answer.overview, UUID | None):
        raise TypeError(f"an overview is a {type(answer.overview).__name__}")
    if not isinstance(answer.keeping, Keeping):
        raise TypeError(f"a way of keeping is a {type(answer.keeping).__name__}")
    return Found(list(answer.events), answer.overview, answer.keeping)
