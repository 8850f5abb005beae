"""Streams as the engine surface makes and shows them: by node and by the last 16 digits of their id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from core.clock import now_ms
from core.errors import Conflict, Forbidden, InvalidInput, NotFound
from core.ids import Run
from core.log import mask
from core.messages import Source, StreamSpec
from core.profile import Location, StreamProfile, extra_of, profile_of
from core.states import ENGINE
from query_api.ports import Collaborators
from query_api.services.nodes import Nodes
from query_api.services.registry import Registry, all_streams, pipelines_of
from query_api.services.streams import Streams
from query_api.services.submissions import Asker, Submissions, name_of
from query_api.types.engine import (
    EngineStream,
    EngineStreamChange,
    EngineStreamDetail,
    EngineStreamRequest,
    EngineStreams,
    StreamChanged,
    StreamCreated,
    StreamDeleted,
    StreamStats,
)
from query_api.types.query import StreamRequest
from warehouse.control.rows import StreamRow

MOST_CUSTOM_BYTES = 64 * 1024
DEVICES = "/dev/"
SAYS: Mapping[str, str] = {
    "PENDING": "Stream is waiting to begin",
    "RUNNING": "Stream is running..",
    "ENDED": "Stream has ended",
    "RESTARTING": "Stream is being restarted",
    "FAILED": "Stream has failed",
    "STOPPED": "Stream is stopped",
    "LOST": "The node that ran the stream is lost",
    "UNKNOWN": "Nothing is known of the stream",
    "PAUSED": "Stream is paused",
}
WELL = frozenset({"PENDING", "RUNNING", "ENDED", "STOPPED", "PAUSED"})
"""States in which what went wrong before is over."""

_ID = re.compile(r"[0-9a-f]{16}")


class NodeStreams:
    """Streams of nodes; blocking. Where a node or a stream is named that is not there, NotFound is raised."""

    def __init__(
        self, parts: Collaborators, submissions: Submissions, streams: Streams, nodes: Nodes, registry: Registry
    ) -> None:
        self._parts = parts
        self._submissions = submissions
        self._streams = streams
        self._nodes = nodes
        self._registry = registry

    def all(self, node_num: int | None = None) -> EngineStreams:
        """Every stream, of one node when given."""
        if node_num is not None:
            self._nodes.check(node_num)
        shown = [_shown(row) for row in all_streams(self._parts, node_num)]
        return EngineStreams(len(shown), shown)

    def create(self, node_num: int, request: EngineStreamRequest, asker: Asker) -> StreamCreated:
        """A new stream without pipelines.

        Raises:
            InvalidInput: its address cannot be opened, or the node has no room for it.
        """
        self._nodes.check(node_num)
        spec = self._definition(request.stream_address, request.stream_name, asker)
        profile = _changed_profile(StreamProfile(), request)
        try:
            row = self._parts.control.create_stream(spec, extra_of(profile), node_num=node_num)
        except Conflict as error:
            raise InvalidInput(str(error)) from error
        shown = _shown(row)
        return StreamCreated(
            code=200,
            ok=True,
            message="stream successfully created",
            node_num=row.node_num,
            stream_id=shown.stream_id,
            stream_address=shown.stream_address,
            stream_name=shown.stream_name,
        )

    def get(self, node_num: int, engine_id: str) -> EngineStreamDetail:
        """A stream with its pipelines, and how it runs."""
        row = self.row(node_num, engine_id)
        return EngineStreamDetail(
            **msgspec.structs.asdict(_shown(row)),
            pipelines=pipelines_of(row.spec),
            seats=self._registry.seats_of(row),
            stream_stats=_stats(row, self._nodes.numbers()),
        )

    def change(self, node_num: int, engine_id: str, change: EngineStreamChange, asker: Asker) -> StreamChanged:
        """Change what is given; a new run begins when the address is another. Raises as `create`."""
        row = self.row(node_num, engine_id)
        source = self._other_source(row, change.stream_address, asker)
        if source is not None and row.spec.lane == "batch":
            raise InvalidInput("Invalid stream_address: a video file is read to its end, and no other after it")

        def changed(old: StreamRow) -> tuple[StreamSpec, dict[str, Any]]:
            spec = old.spec if change.stream_name is None else replace(old.spec, name=change.stream_name)
            profile = _changed_profile(profile_of(old.extra), change)
            if source is not None and source.url != spec.source.url:
                moved = replace(spec.source, url=source.url, realtime=source.realtime, loop=source.loop)
                spec = replace(spec, source=moved, run=Run(spec.run + 1), started_ms=now_ms(self._parts.clock))
                profile = replace(profile, reference=None, kind=None)  # of the address before
            return spec, kept(old.extra, profile)

        shown = _shown(self._parts.control.change_stream(row.stream_id, changed))
        return StreamChanged(
            code=200,
            message="stream successfully updated",
            node_num=node_num,
            stream_id=shown.stream_id,
            stream_address=shown.stream_address,
            stream_name=shown.stream_name,
        )

    def delete(self, node_num: int, engine_id: str) -> StreamDeleted:
        """Remove a stream, its pipelines and all that it left."""
        row = self.row(node_num, engine_id)
        self._streams.delete(row.stream_id)
        return StreamDeleted(200, "stream successfully deleted", node_num, row.engine_id)

    def row(self, node_num: int, engine_id: str) -> StreamRow:
        """A stream by its node and id; a task is none."""
        self._nodes.check(node_num)
        missing = NotFound("stream not found")
        if not _ID.fullmatch(engine_id.lower()):
            raise missing
        try:
            row = self._parts.control.stream_by_engine_id(engine_id.lower())
        except NotFound as error:
            raise missing from error
        if row.node_num != node_num or row.spec.task or row.spec.ephemeral:
            raise missing
        return row

    def _other_source(self, row: StreamRow, address: str | None, asker: Asker) -> Source | None:
        """The source at `address`; None when it is the stream's own, also as answers show it."""
        url = row.spec.source.url
        if address is None or address in {url, mask(url)}:
            return None
        return self._definition(address, row.spec.name, asker).source

    def _definition(self, address: str, name: str | None, asker: Asker) -> StreamSpec:
        """What watches an address. Raises InvalidInput."""
        url = address
        if address.startswith("/"):
            url = f"v4l2:{address}" if address.startswith(DEVICES) else f"file:{quote(address)}"
        try:
            spec = self._submissions.stream(StreamRequest(url=url, name=name or "", analytics=()), asker)
        except (InvalidInput, Forbidden, NotFound, Conflict) as error:
            raise InvalidInput(f"Invalid stream_address: {error}") from error
        return spec if name else replace(spec, name=name_of(spec.source.url))


def kept(extra: dict[str, Any], profile: StreamProfile) -> dict[str, Any]:
    """What is kept with a stream when its profile is this one; what is no part of profiles stays."""
    others = {name: value for name, value in extra.items() if name not in StreamProfile.__struct_fields__}
    return {**others, **extra_of(profile)}


def check_json(value: dict[str, Any], field: str, most: int = MOST_CUSTOM_BYTES) -> None:
    """That a JSON object can be kept. Raises InvalidInput."""
    try:
        size = len(msgspec.json.encode(value))
    except (OverflowError, ValueError, RecursionError) as error:
        raise InvalidInput(f"it cannot be kept: {error}", field) from error
    if size > most:
        raise InvalidInput(f"it has {size} bytes; {most} are the most", field)


def _changed_profile(profile: StreamProfile, change: EngineStreamRequest | EngineStreamChange) -> StreamProfile:
    """The profile with what is given."""
    place = {"latitude": change.stream_latitude, "longitude": change.stream_longitude}
    given = {name: value for name, value in place.items() if value is not None}
    if given:
        profile = replace(profile, location=replace(profile.location or Location(), **given))
    if change.stream_custom_data is not None:
        check_json(change.stream_custom_data, "stream_custom_data")
        profile = replace(profile, custom_data=change.stream_custom_data)
    return profile


def _shown(row: StreamRow) -> EngineStream:
    profile = profile_of(row.extra)
    place = profile.location or Location()
    return EngineStream(
        stream_id=row.engine_id,
        stream_name=row.spec.name,
        stream_address=mask(row.spec.source.url),
        stream_node_num=row.node_num,
        stream_latitude=place.latitude or 0.0,
        stream_longitude=place.longitude or 0.0,
        stream_custom_data=profile.custom_data,
    )


def _stats(row: StreamRow, numbers: Mapping[str, int]) -> StreamStats:
    run, video = row.current, row.current.video
    state = ENGINE[run.state]
    says = SAYS[state] if state in WELL or not run.error else mask(run.error)
    return StreamStats(
        fps=0.0 if video is None else round(video.fps, 3),
        frame_width=0 if video is None else video.width,
        frame_height=0 if video is None else video.height,
        state=state,
        last_error_msg=says,
        host_node_num=numbers.get(run.host),
    )
