"""Streams as the agent surface shows them: every secret masked, whichever surface they were made on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal
from uuid import UUID

from core.clock import rfc3339
from core.log import mask
from core.messages import Autorestart, Gate, Schedule
from core.profile import (
    AnalyticProfile,
    Callback,
    Condition,
    EventPolicy,
    HttpCallback,
    KafkaCallback,
    Location,
    StreamProfile,
    profile_of,
)
from core.states import NUMBERS
from query_api.types.agent import CallbackAuthorization, CallbackParams, Flag, Pts
from query_api.types.agent_streams import (
    AgentStream,
    CallbackCondition,
    GeoPosition,
    MotionGate,
    NotificationPolicy,
    ShownAnalytic,
    ShownAutorestart,
    ShownData,
    StreamAnalyticParameters,
    StreamCallback,
    StreamHttpCallback,
    StreamKafkaCallback,
    StreamLocation,
    StreamTarget,
    StreamWsCallback,
    WorkingHours,
)
from warehouse.control.rows import RunRow, StreamRow

HIDDEN = "***"
NOBODY = UUID(int=0)
"""Shown as the owner of a stream that has none."""


def stream_shown(row: StreamRow, targets: Collection[StreamTarget]) -> AgentStream:
    """The fields of the stream that are among `targets`; all of them when it is empty."""
    spec, profile = row.spec, profile_of(row.extra)
    fields: dict[StreamTarget, Any] = {
        "stream_id": row.stream_id,
        "account_id": spec.account_id or str(NOBODY),
        "name": spec.name,
        "description": profile.description,
        "data": _data(row, profile),
        "location": _location(profile.location),
        "event_source_group": profile.event_source_group,
        "source": profile.source,
        "version": row.version,
        "create_time": rfc3339(row.created_ms),
        "last_error": None if row.current.error is None else mask(row.current.error),
        "groups": [],
        "status": NUMBERS[row.shown],
        "splittable": 0,
        "analytics": _analytics(row, profile),
        "notification_policy": NotificationPolicy(_callbacks(profile.notifications)),
    }
    return AgentStream(**{name: value for name, value in fields.items() if not targets or name in targets})


def _data(row: StreamRow, profile: StreamProfile) -> ShownData:
    spec, source = row.spec, row.spec.source
    kind: Literal["stream", "videofile"] = "videofile" if spec.lane == "batch" else "stream"
    shown: dict[str, Any] = {
        "type": profile.kind or kind,
        "reference": mask(profile.reference or source.url),
        "orientation_strategy": "video_info" if source.rotation is None else "static",
        "downloadable": profile.downloadable,
        "timestamp_source": source.timestamps,
        "pts": Pts(source.start_s or None),
        "timeout": None if source.timeout_s is None else round(source.timeout_s * 1000),
        "fps": source.fps,
        "transport": source.transport,
        "endless": source.loop,
        "motion_gate": _gate(spec.gate),
        **({} if source.rotation is None else {"rotation": source.rotation}),
    }
    return ShownData(**shown)


def _gate(gate: Gate | None) -> MotionGate:
    if gate is None:
        return MotionGate(enable=0)
    masks = [[(x, y) for x, y in polygon] for polygon in gate.masks]
    return MotionGate(1, gate.threshold, gate.min_area, gate.recheck_s, masks)


def _location(at: Location | None) -> StreamLocation:
    if at is None:
        return StreamLocation()
    known = at.longitude is not None and at.latitude is not None
    place = GeoPosition(at.longitude or 0.0, at.latitude or 0.0) if known else None
    return StreamLocation(at.city, at.area, at.district, at.street, at.house_number, place)


def _analytics(row: StreamRow, profile: StreamProfile) -> list[ShownAnalytic]:
    """One for each analytic of the definition; the profile may know of fewer."""
    restarts = _autorestart(row.spec.autorestart, row.current)
    shown = []
    for place, analytic in enumerate(row.spec.analytics):
        kept = profile.analytics[place] if place < len(profile.analytics) else AnalyticProfile()
        shown.append(
            ShownAnalytic(
                analytic_name=analytic.name,
                parameters=StreamAnalyticParameters(
                    list(analytic.targets), _callbacks(kept.callbacks), analytic.parameters | _policy(kept.event_policy)
                ),
                schedules=[_hours(schedule) for schedule in analytic.schedules],
                label=kept.label,
                status=NUMBERS[row.items[place]],  # type: ignore[arg-type]  # a literal by its place in the tuple
                autorestart=restarts,
            )
        )
    return shown


def _hours(schedule: Schedule) -> WorkingHours:
    return WorkingHours(list(schedule.days), schedule.begin, schedule.end, schedule.time_zone)


def _policy(policy: EventPolicy | None) -> dict[str, Any]:
    if policy is None:
        return {}
    shown = {"trigger": policy.trigger, "interval": policy.interval_s, "min_duration": policy.min_duration_s}
    return {"event_policy": shown}


def _autorestart(asked: Autorestart | None, run: RunRow) -> ShownAutorestart:
    rule = asked or Autorestart(restart=False, attempts=0, delay_s=0.0)
    status: Literal["disabled", "enabled", "in_progress", "failed", "denied"] = "enabled"
    if not rule.restart:
        status = "disabled"
    elif run.state == "restart":
        status = "in_progress"
    elif run.state == "failure":
        status = "failed" if run.attempt >= rule.attempts else "denied"
    return ShownAutorestart(
        restart=_flag(rule.restart),
        attempt_count=rule.attempts,
        delay=round(rule.delay_s),
        current_attempt=run.attempt,
        last_attempt_time=None if run.attempt_ms is None else rfc3339(run.attempt_ms),
        status=status,
    )


def _callbacks(kept: Sequence[Callback]) -> list[StreamCallback]:
    return [_callback(one) for one in kept]


def _callback(kept: Callback) -> StreamCallback:
    """As it was given, without its secrets."""
    enable, conditions = _flag(kept.enable), [_condition(one) for one in kept.conditions]
    if isinstance(kept, KafkaCallback):
        password = HIDDEN if kept.password else ""
        return StreamKafkaCallback(kept.servers, kept.topic, enable, conditions, kept.protocol, kept.username, password)
    if not isinstance(kept, HttpCallback):
        return StreamWsCallback(enable, conditions)
    said = kept.authorization
    return StreamHttpCallback(
        url=_without_values(kept.url),
        enable=enable,
        conditions=conditions,
        authorization=None if said is None else CallbackAuthorization(said.login, HIDDEN),
        params=CallbackParams(
            max(1, round(kept.timeout_s)),
            kept.content_type,
            dict.fromkeys(kept.headers, HIDDEN),
        ),
        secret=HIDDEN if kept.secret else "",
    )


def _without_values(url: str) -> str:
    """A receiver's address: any value of its query may be a secret, whatever its name."""
    address, mark, query = mask(url.partition("#")[0]).partition("?")
    parts = (part.partition("=") for part in query.split("&") if part)
    return address + mark + "&".join(f"{name}={HIDDEN}" if equals else HIDDEN for name, equals, _ in parts)


def _condition(kept: Condition) -> CallbackCondition:
    return CallbackCondition(kept.field, kept.value, kept.is_)


def _flag(on: bool) -> Flag:
    return 1 if on else 0
