"""Events in the words of the surfaces whose sockets tell them."""

from __future__ import annotations

from typing import Any

import msgspec

from core.ids import engine_stream_id
from core.log import mask
from core.messages import Event, Notification
from core.profile import StreamProfile, profile_of
from core.told import event_told
from query_api.services.results import short
from query_api.types.watching import AgentMessage, EngineEvent, Logic, NotificationMessage
from warehouse.control.rows import StreamRow

LOGICS: dict[str, Logic] = {"line_crossing": "counting", "people_count": "density", "zone_dwell": "dwelling"}
_PLACES = ("area_name", "zone", "line", "area", "name")
"""Under which analytics say where something happened."""


def logic_of(event: Event) -> str:
    """What kind of thing the event says, as far as that has a name; else empty."""
    said = event.data.get("logic")
    return said if isinstance(said, str) else LOGICS.get(event.type, "")


def engine_event(event: Event, row: StreamRow, offset: str, image_jpeg: str | None) -> EngineEvent:
    """A message of ``/event_channel``."""
    primary, secondary = texts_of(event)
    return EngineEvent(
        analytic_id=event.type,
        node_num=row.node_num,
        stream_id=engine_stream_id(row.stream_id),
        stream_address=mask(row.spec.source.url),
        stream_name=row.spec.name,
        timestamp=event.ts_ms // 1000,
        primary_text=primary,
        secondary_text=secondary,
        pipeline_data=_pipeline_data(event),
        offset=offset,
        image_jpeg=msgspec.UNSET if image_jpeg is None else image_jpeg,
    )


def texts_of(event: Event) -> tuple[str, str]:
    """What a list of events shows first and second."""
    what = event.label or event.event_type
    where = next((str(event.data[name]) for name in _PLACES if isinstance(event.data.get(name), str)), "")
    if "direction" in event.data:
        return what, str(event.data["direction"])
    if "people_count" in event.data:
        return str(event.data["people_count"]), where
    if logic_of(event) == "dwelling" and event.end_ms is not None:
        return where or what, f"{(event.end_ms - event.begin_ms) / 1000:.3f} s"
    return what, where


def _pipeline_data(event: Event) -> dict[str, Any]:
    """The event itself; what its analytic says stands beside it, and before it where both have a name."""
    data: dict[str, Any] = {
        "event_id": str(event.event_id),
        "event_type": event.event_type,
        "phase": event.phase,
        "number": event.number,
        "label": event.label,
        "confidence": short(event.score),
        "tracker_id": event.track_id,
        "timestamp_ms": event.ts_ms,
        "time_in": event.begin_ms,
        "time_out": event.end_ms,
        "duration": None if event.end_ms is None else (event.end_ms - event.begin_ms) / 1000,
        "bounding_box": None,
    }
    if event.box is not None:
        left, top, right, bottom = event.box
        data["bounding_box"] = {
            "left": short(left),
            "top": short(top),
            "width": short(right - left),
            "height": short(bottom - top),
        }
    logic = logic_of(event)
    return {**data, **({"logic": logic} if logic else {}), **event.data}


def agent_state(row: StreamRow, index: int, offset: str = "") -> AgentMessage:
    """A message of ``/2/ws`` that only tells how the stream stands for one of its analytics."""
    return AgentMessage(row.items[index], mask(row.current.error or ""), {}, offset)


def agent_message(event: Event, row: StreamRow, standing: AgentMessage, offset: str) -> AgentMessage:
    """A message of ``/2/ws`` with an event, as a callback tells it.

    Args:
        standing: how the stream stands.
    """
    told = event_told(event, _profile(row), row.spec.account_id)
    return AgentMessage(standing.stream_status, standing.error, told, offset)


def notification_message(told: Notification, offset: str) -> NotificationMessage:
    """A message of ``/query/v1/notifications``."""
    return NotificationMessage(told.kind, str(told.stream_id), told.analytic_index, told.body, offset)


def _profile(row: StreamRow) -> StreamProfile:
    """What is kept with the stream; none where something else was kept."""
    try:
        return profile_of(row.extra)
    except msgspec.ValidationError:
        return StreamProfile()
