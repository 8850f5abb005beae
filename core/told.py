"""An event in the agent surface's words: the body of a callback, and what ``/2/ws`` tells of it."""

from __future__ import annotations

from typing import Any

import msgspec

from core.clock import rfc3339
from core.ids import ce_id
from core.messages import Event
from core.profile import Location, StreamProfile


def event_told(event: Event, profile: StreamProfile, account_id: str) -> dict[str, Any]:
    """The event with what is kept with its stream."""
    told: dict[str, Any] = {
        **event.data,
        "stream_id": str(event.stream_id),
        "event_id": str(event.event_id),
        "track_id": event.track_id,
        "label": event.label,
        "score": round(event.score, 5),
        "box": None if event.box is None else [round(edge, 5) for edge in event.box],
        "image": event.image,
        "analytic_name": event.type,
        "analytic_index": event.analytic_index,
        "phase": event.phase,
        "video_segment": {
            "start_time_offset": round(event.begin_s, 6),
            "end_time_offset": None if event.end_s is None else round(event.end_s, 6),
        },
        "location": _location(profile.location),
        "source": profile.source,
        "source_group": profile.event_source_group,
    }
    overview = event.data.get("overview")
    if isinstance(overview, dict):
        told["overview"] = {**overview, "image": event.image}
    return {
        "ce_id": ce_id(event.event_id, event.phase, event.number),
        "account_id": account_id,
        "event_create_time": rfc3339(event.begin_ms),
        "event_end_time": None if event.end_ms is None else rfc3339(event.end_ms),
        "event_type": event.event_type,
        "event": told,
    }


def _location(location: Location | None) -> dict[str, Any]:
    """What is not known is left out."""
    if location is None:
        return {}
    told = {name: value for name, value in msgspec.structs.asdict(location).items() if value is not None}
    position = {name: told.pop(name) for name in ("longitude", "latitude") if name in told}
    return {**told, "geo_position": position} if position else told
