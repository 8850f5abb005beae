"""From what a user asks to the stream that does it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Literal, cast
from urllib.parse import unquote, urlsplit
from uuid import UUID

import msgspec
from msgspec.structs import replace

from core.addresses import check_stream_url, check_video_url, is_web
from core.analytics import ANY, REGISTRY, validate
from core.callbacks import UnknownCallback, parse_callbacks, parse_event_policy, parse_task_callbacks
from core.clock import now_ms
from core.errors import Conflict, InvalidInput, ModelError, NotFound
from core.ids import Run, new_stream_id
from core.local_files import is_local
from core.messages import FAITHFUL, Analytic, Gate, Source, StreamSpec
from core.profile import AnalyticProfile, StreamProfile, TaskProfile
from core.settings import LOOPBACK, Settings
from inference.cards import load_card
from query_api.ports import Collaborators
from query_api.refusals import TooMany, Unprocessable
from query_api.types.agent import DeferredTask, Orientation, RequestedAnalytic, VideoSdkRequest
from query_api.types.common import moment_ms
from query_api.types.query import MotionGate, StreamAnalytic, StreamRequest
from warehouse.control.rows import RunState, StreamFilter

_UPLOAD = re.compile(r"/query/v1/videos/(?P<id>[0-9a-fA-F-]{36})")
_TASK_CALLBACKS = "deferred_task.notification_callbacks.task_callbacks"
Rotation = Literal[0, 90, 180, 270]
ACTIVE: tuple[RunState, ...] = ("pending", "in_progress", "restart")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and under which address.

    Attributes:
        base: scheme and authority of the service as the asker names it.
    """

    base: str
    request_id: str = ""
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """Where the video is: `url` for the reader, `name` for people."""

    url: str
    name: str


class Submissions:
    """Checks requests and makes stream definitions of them; blocking."""

    def __init__(self, settings: Settings, parts: Collaborators) -> None:
        self._settings = settings
        self._parts = parts

    def task(self, request: VideoSdkRequest, asker: Asker) -> StreamSpec:
        """The stream that analyses the video.

        Raises:
            InvalidInput, Unprocessable: a field is wrong, or asks for what nothing here can do.
            Forbidden, NotFound, Conflict: the video may not be read, is not there, or not whole.
            TooMany: as many tasks are active as the settings allow.
        """
        refuse_what_comes_later(request)
        model = self._model(request.model)
        known = self._labels(model)
        analytics = tuple(agent_analytic(i, item, known) for i, item in enumerate(request.analytics))
        video = request.video
        located = self._locate(video.url, asker, "video")
        self._check_room()
        start = now_ms(self._parts.clock) if video.recorded_at is None else moment_ms(video.recorded_at)
        source = Source(
            url=located.url,
            fps=self._settings.ingest.fps if video.fps is None else video.fps,
            start_s=video.pts.start_time or 0.0,
            rotation=_rotation(video.orientation),
            on_error=video.error_handling.action,
            timestamps=video.timestamp_source,
        )
        deferred = bool(request.deferred_task.enable)
        return StreamSpec(
            stream_id=new_stream_id(),
            run=Run(1),
            name=located.name,
            lane="batch",
            source=source,
            analytics=analytics,
            model=model,
            started_ms=start,
            task=True,
            ephemeral=not deferred,
            account_id=asker.account_id,
            request_id=asker.request_id,
        )

    def told(self, request: VideoSdkRequest, asker: Asker) -> StreamProfile:
        """Who is told of a deferred task: of its events, and of its end.

        Raises:
            InvalidInput, Unprocessable, Forbidden: a callback is wrong, of no known type, or may not be made.
        """
        notified = request.deferred_task.notification_callbacks
        asked = [msgspec.to_builtins(each) for each in notified.task_callbacks] if notified.enable else []
        try:
            ends = parse_task_callbacks(asked, _TASK_CALLBACKS, self._settings, self._parts.resolver)
            analytics = tuple(self._told_of(i, item) for i, item in enumerate(request.analytics))
        except UnknownCallback as error:
            raise Unprocessable(str(error), error.field) from error
        return StreamProfile(
            analytics=analytics if any(each.callbacks for each in analytics) else (),
            task=TaskProfile(ends, asker.base) if ends else None,
        )

    def _told_of(self, i: int, item: RequestedAnalytic) -> AnalyticProfile:
        field = f"analytics.{i}.parameters"
        given = item.parameters
        callbacks = parse_callbacks(given.callbacks, f"{field}.callbacks", self._settings, self._parts.resolver)
        policy = parse_event_policy(given.parameters.get("event_policy"), f"{field}.parameters.event_policy")
        return AnalyticProfile(callbacks=callbacks, event_policy=policy)

    def stream(self, request: StreamRequest, asker: Asker) -> StreamSpec:
        """The stream that watches a camera, a URL or a file. Raises as `task`, but for TooMany."""
        model = self._model(request.model)
        known = self._labels(model)
        analytics = tuple(_query_analytic(i, item, known) for i, item in enumerate(request.analytics))
        located = self._locate(request.url, asker, "stream")
        played = is_local(located.url) or is_web(located.url)
        fps = self._settings.ingest.fps if request.fps is None else request.fps
        return StreamSpec(
            stream_id=new_stream_id(),
            run=Run(1),
            name=request.name,
            lane="live",
            source=Source(located.url, fps=fps, realtime=played and request.realtime, loop=played and request.loop),
            analytics=analytics,
            model=model,
            started_ms=now_ms(self._parts.clock),
            account_id=asker.account_id,
            request_id=asker.request_id,
            gate=_gate(request.gate),
            autorestart=FAITHFUL if request.reconnect else None,
        )

    def _check_room(self) -> None:
        most = self._settings.query.max_active_tasks
        if self._parts.control.count_streams(StreamFilter(task=True, states=ACTIVE, ephemeral=None)) >= most:
            raise TooMany(f"{most} tasks are waiting or running, which are the most")

    def _model(self, name: str | None) -> str:
        if name is None:
            return self._settings.models.detector
        try:
            card = load_card(self._parts.models_dir, name)
        except ModelError as error:
            raise Unprocessable(f"there is no detector {name!r}", "model") from error
        if card.kind != "detector":
            raise Unprocessable(f"{name!r} is no detector but a {card.kind}", "model")
        return name

    def _labels(self, model: str) -> Sequence[str]:
        """What the model can name; nothing when its card cannot be read here."""
        try:
            return load_card(self._parts.models_dir, model).labels
        except ModelError:
            return ()

    def _locate(self, url: str, asker: Asker, purpose: Literal["video", "stream"]) -> Located:
        field = "video.url" if purpose == "video" else "url"
        upload = self._upload_id(url, asker)
        if upload is not None:
            return self._uploaded(upload)
        if url[:6].lower() == "media:":
            raise InvalidInput("a video is named by its http(s) address", field)
        check = check_video_url if purpose == "video" else check_stream_url
        try:
            check(url, self._settings, self._parts.resolver)
        except InvalidInput as error:
            raise InvalidInput(str(error), field) from error
        return Located(url, name_of(url))

    def _upload_id(self, url: str, asker: Asker) -> UUID | None:
        """The upload that `url` names, when it is an address of this service."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        found = _UPLOAD.fullmatch(parts.path)
        query = self._settings.query
        ours = not parts.netloc and not parts.scheme
        ours = ours or f"{parts.scheme}://{parts.netloc}" in {asker.base, query.public_url.rstrip("/")}
        ours = ours or (parts.hostname in LOOPBACK and port == query.port)
        if found is None or not ours:
            return None
        try:
            return UUID(found["id"])
        except ValueError:
            return None

    def _uploaded(self, upload: UUID) -> Located:
        row = self._parts.control.upload(upload)
        if row.media_key is None or row.state != "complete":
            raise Conflict(f"the upload {upload} is not whole: {row.received} bytes were received")
        if not self._parts.media.exists(row.media_key):
            raise NotFound(f"the bytes of upload {upload} are gone")
        return Located(f"media:{row.media_key}", row.name)


def name_of(url: str) -> str:
    """What people call the video at `url`: the last part of its path, else its host."""
    parts = urlsplit(url)
    name = PurePosixPath(unquote(parts.path)).name or parts.hostname or "video"
    return "".join(letter for letter in name if letter.isprintable())[:128] or "video"


def refuse_what_comes_later(request: VideoSdkRequest) -> None:
    """Refuse what the contract has and this service does not do yet, rather than take it and not do it.

    Raises Unprocessable.
    """
    task: DeferredTask = request.deferred_task
    if task.storage_policy.ttl != -1:
        raise Unprocessable(
            "results are kept until they are deleted; only -1 can be given", "deferred_task.storage_policy.ttl"
        )
    if request.video.timestamp_source == "server":
        raise Unprocessable(
            "a video that is read as fast as it can be has no times of arrival", "video.timestamp_source"
        )
    if not task.enable:
        _refuse_callbacks(request)


def _refuse_callbacks(request: VideoSdkRequest) -> None:
    """An immediate analysis is gone before the last of them could be made."""
    told = request.deferred_task.notification_callbacks
    if told.enable and any(callback.enable for callback in told.task_callbacks):
        raise Unprocessable("only the end of a deferred task is told", _TASK_CALLBACKS)
    for i, analytic in enumerate(request.analytics):
        if any(callback.get("enable", 1) for callback in analytic.parameters.callbacks):
            raise Unprocessable(
                "an immediate analysis answers whoever asked; callbacks are made for deferred ones",
                f"analytics.{i}.parameters.callbacks",
            )


def agent_analytic(i: int, item: RequestedAnalytic, known: Sequence[str]) -> Analytic:
    """The `i`-th analytic asked for, with its defaults. Raises InvalidInput, Unprocessable."""
    given = Analytic(item.analytic_name, item.parameters.parameters, tuple(item.parameters.targets))
    valid = _valid(given, f"analytics.{i}.analytic_name", f"analytics.{i}.parameters")
    return labelled(valid, known, f"analytics.{i}.parameters.parameters.labels")


def _query_analytic(i: int, item: StreamAnalytic, known: Sequence[str]) -> Analytic:
    given = Analytic(item.name, item.parameters, tuple(item.targets))
    valid = _valid(given, f"analytics.{i}.name", f"analytics.{i}")
    return labelled(valid, known, f"analytics.{i}.parameters.labels")


def labelled(analytic: Analytic, known: Sequence[str], field: str) -> Analytic:
    """The analytic, its labels among the model's. Raises InvalidInput."""
    labels = analytic.parameters.get("labels", ANY)
    if labels == [ANY]:
        return replace(analytic, parameters={**analytic.parameters, "labels": ANY})
    if labels == ANY or not known:
        return analytic
    if ANY in labels:
        raise InvalidInput(f"{ANY!r} stands alone: boxes of whatever label are one kind of thing", field)
    for label in labels:
        if label not in known:
            near = get_close_matches(label, known, n=3)
            meant = f"; {' or '.join(map(repr, near))} perhaps?" if near else "."
            raise InvalidInput(f"the model has no label {label!r}{meant} It has {', '.join(known)}", field)
    return analytic


def _valid(analytic: Analytic, name_field: str, rest_field: str) -> Analytic:
    if analytic.name not in REGISTRY:
        known = ", ".join(REGISTRY)
        raise Unprocessable(f"no agent supports the analytic {analytic.name!r}; there are {known}", name_field)
    try:
        return validate(analytic)
    except InvalidInput as error:
        raise InvalidInput(str(error), f"{rest_field}.{error.field}".rstrip(".")) from error


def _rotation(orientation: Orientation | None) -> Rotation | None:
    if orientation is None or orientation.orientation_strategy == "video_info":
        return None
    return cast(Rotation, orientation.angle % 360)


def analytics_shown(analytics: Sequence[Analytic]) -> list[StreamAnalytic]:
    """The analytics as answers show them."""
    return [StreamAnalytic(a.name, a.parameters, list(a.targets)) for a in analytics]


def gate_shown(gate: Gate | None) -> MotionGate | None:
    """The motion gate as answers show it; null where every frame is looked at."""
    return None if gate is None else MotionGate(gate.threshold, gate.min_area, gate.recheck_s, gate.masks)


def _gate(asked: MotionGate | bool | None) -> Gate | None:
    """The motion gate that is asked for."""
    if isinstance(asked, MotionGate):
        return Gate(asked.threshold, asked.min_area, asked.recheck_s, asked.masks)
    return Gate() if asked else None
