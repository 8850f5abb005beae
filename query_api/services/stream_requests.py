"""From what the agent surface is asked to watch to the stream that does it, and what is kept with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.addresses import is_web
from core.callbacks import parse_callbacks, parse_event_policy
from core.clock import now_ms
from core.errors import InvalidInput
from core.ids import Run, new_stream_id
from core.local_files import is_local
from core.messages import Analytic, Autorestart, Gate, Schedule, Source, StreamSpec
from core.profile import (
    AnalyticProfile,
    Callback,
    EventPolicy,
    Location,
    StreamProfile,
    extra_of,
)
from query_api.services.submissions import Asker, Located, Submissions, agent_analytic
from query_api.types.agent import AnalyticParameters, RequestedAnalytic
from query_api.types.agent_streams import (
    CreateStream,
    MotionGate,
    StreamAnalyticRequest,
    StreamAutorestart,
    StreamCallback,
    StreamData,
    StreamLocation,
    WorkingHours,
)

MOST_PROFILE_BYTES = 1024**2
SILENCE_MS = 3000
"""Longest silence of a camera unless its stream says otherwise. HTTP streams come in pieces, and have the setting's."""


class StreamRequests(Submissions):
    """Checks what is to be watched; blocking."""

    def watched(self, request: CreateStream, asker: Asker) -> tuple[StreamSpec, StreamProfile]:
        """The stream's definition, and what is kept with it.

        Raises:
            InvalidInput, Unprocessable: a field is wrong, or asks for what nothing here can do.
            Forbidden, NotFound, Conflict: the source, or a callback's address, may not be opened or is not there.
        """
        data = request.data
        model = self._model(None)
        known = self._labels(model)
        analytics = tuple(_analytic(i, item, known) for i, item in enumerate(request.analytics))
        located = self._source_of(data, asker)
        profile = self._profile(request, located)
        spec = StreamSpec(
            stream_id=new_stream_id(),
            run=Run(1),
            name=request.name,
            lane="batch" if data.type == "videofile" and not data.endless else "live",
            source=self._source(data, located.url),
            analytics=analytics,
            model=model,
            started_ms=now_ms(self._parts.clock),
            account_id=asker.account_id,
            request_id=asker.request_id,
            gate=_gate(data.motion_gate),
            autorestart=_autorestart(request.autorestart),
        )
        return spec, profile

    def _source_of(self, data: StreamData, asker: Asker) -> Located:
        """Where it is read. Raises as `watched`."""
        try:
            located = self._locate(data.reference, asker, "video" if data.type == "videofile" else "stream")
        except InvalidInput as error:
            raise InvalidInput(str(error), "data.reference") from error
        local = is_local(located.url)
        wrong = (
            (data.endless and not local, "endless", "only an upload, or a file on this machine, can begin again"),
            (data.downloadable and data.type == "stream", "downloadable", "only a videofile can be fetched whole"),
            (
                data.orientation_strategy == "video_info" and data.rotation is not None,
                "rotation",
                "it is for the static strategy; video_info turns as the video says",
            ),
        )
        for is_wrong, field, says in wrong:
            if is_wrong:
                raise InvalidInput(says, f"data.{field}")
        return located

    def _source(self, data: StreamData, url: str) -> Source:
        web = is_web(url)
        silence_ms = data.timeout
        if silence_ms is None and not is_local(url) and not web:
            silence_ms = SILENCE_MS
        return Source(
            url=url,
            fps=self._settings.ingest.fps if data.fps is None else data.fps,
            start_s=data.pts.start_time or 0.0,
            rotation=None if data.orientation_strategy == "video_info" else data.rotation or 0,
            realtime=data.endless or (data.type == "stream" and (web or is_local(url))),
            loop=data.endless,
            transport=data.transport,
            timeout_s=None if silence_ms is None else silence_ms / 1000,
            timestamps=data.timestamp_source,
        )

    def _profile(self, request: CreateStream, located: Located) -> StreamProfile:
        analytics = tuple(
            AnalyticProfile(
                label=item.label,
                callbacks=self._callbacks(item.parameters.callbacks, f"analytics.{i}.parameters.callbacks"),
                event_policy=_event_policy(i, item),
            )
            for i, item in enumerate(request.analytics)
        )
        profile = StreamProfile(
            description=request.description,
            location=_location(request.location),
            source=request.source,
            event_source_group=request.event_source_group,
            analytics=analytics,
            notifications=self._callbacks(request.notification_policy.callbacks, "notification_policy.callbacks"),
            reference=None if located.url == request.data.reference else request.data.reference,
            kind=request.data.type,
            downloadable=request.data.downloadable,
        )
        size = len(msgspec.json.encode(extra_of(profile)))
        if size > MOST_PROFILE_BYTES:
            raise InvalidInput(f"what is kept with the stream has {size} bytes; {MOST_PROFILE_BYTES} are the most")
        return profile

    def _callbacks(self, given: Sequence[StreamCallback], field: str) -> tuple[Callback, ...]:
        """The callbacks as they are kept. Raises InvalidInput, Forbidden."""
        return parse_callbacks(msgspec.to_builtins(given), field, self._settings, self._parts.resolver)


def _analytic(i: int, item: StreamAnalyticRequest, known: Sequence[str]) -> Analytic:
    """The analytic as the pipeline takes it; whom its events are told is no part of it."""
    parameters = {name: value for name, value in item.parameters.parameters.items() if name != "event_policy"}
    asked = RequestedAnalytic(item.analytic_name, AnalyticParameters(item.parameters.targets, [], parameters))
    valid = agent_analytic(i, asked, known)
    return msgspec.structs.replace(valid, schedules=tuple(_schedule(hours) for hours in item.schedules))


def _schedule(hours: WorkingHours) -> Schedule:
    return Schedule(tuple(hours.days), hours.begin, hours.end, hours.time_zone)


def _event_policy(i: int, item: StreamAnalyticRequest) -> EventPolicy | None:
    given: Any = item.parameters.parameters.get("event_policy")
    return parse_event_policy(given, f"analytics.{i}.parameters.parameters.event_policy")


def _gate(given: MotionGate) -> Gate | None:
    if not given.enable:
        return None
    masks = tuple(tuple(polygon) for polygon in given.masks)
    return Gate(given.threshold, given.min_area, given.recheck_interval, masks)


def _autorestart(given: StreamAutorestart) -> Autorestart:
    return Autorestart(bool(given.restart), given.attempt_count, float(given.delay))


def _location(given: StreamLocation) -> Location | None:
    if given == StreamLocation():
        return None
    at = given.geo_position
    return Location(
        city=given.city,
        area=given.area,
        district=given.district,
        street=given.street,
        house_number=given.house_number,
        latitude=None if at is None else at.latitude,
        longitude=None if at is None else at.longitude,
    )
