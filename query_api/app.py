"""The query service, put together: what runs, and in what order."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi

from core import log
from core.errors import ClientError, InvalidInput, NotFound
from core.settings import Settings
from core.topics import Topics
from query_api.answers import base_of
from query_api.complaints import Complaints
from query_api.context import request_id_of
from query_api.cors import Cors
from query_api.disconnect import Application
from query_api.engine import Word, engine_resources
from query_api.entrance import Entrance
from query_api.errors import render
from query_api.guard import Guard
from query_api.middleware import Counting, LocalOnly, Reading, RequestIds
from query_api.openapi import document
from query_api.ports import Collaborators
from query_api.refusals import MethodNotAllowed, TooLarge, WrongContentType
from query_api.resources.agent import AgentResource, ConfigResource, ManualResource, PluginsResource
from query_api.resources.agent_streams import AgentStreamResource, AgentStreamsResource, StreamLogsResource
from query_api.resources.analysis import SmartSearchResource, VideosdkResource, VideoTaskResource
from query_api.resources.ledgers import LedgerResource, LedgersResource
from query_api.resources.pictures import MjpegResource, StreamJpegResource, VisualResource, WatchTokenResource
from query_api.resources.rows import MediaResource, RowsResource
from query_api.resources.sockets import AgentSocketResource, EventChannelResource, NotificationsResource
from query_api.resources.status import (
    HealthcheckResource,
    HealthResource,
    MetricsResource,
    ReadyResource,
    RootResource,
    SpecResource,
    VersionResource,
)
from query_api.resources.streams import StreamResource, StreamsResource
from query_api.resources.tasks import TaskResource, TasksResource
from query_api.resources.videos import VideoResource, VideosResource
from query_api.routes import ROUTES, surface_of
from query_api.services.access import Access
from query_api.services.agent import Agent
from query_api.services.agent_streams import AgentStreams
from query_api.services.configuration import Configuration
from query_api.services.health import Health
from query_api.services.immediate import Immediate
from query_api.services.ledgers import Ledgers
from query_api.services.manual import Manual
from query_api.services.search import SmartSearch
from query_api.services.signing import Signing
from query_api.services.stream_requests import StreamRequests
from query_api.services.streams import Streams
from query_api.services.submissions import Submissions
from query_api.services.tasks import Tasks
from query_api.services.uploads import Uploads
from query_api.services.watchable import Watchable
from query_api.watching.channel import Channel, Feed
from query_api.watching.listening import Listening
from query_api.watching.sockets import Seats, refuse
from query_api.watching.telling import AgentTelling, EngineTelling, NotificationTelling
from query_api.watching.watches import Watches

logger = log.get(__name__)


def create_app(settings: Settings, parts: Collaborators) -> Application:
    """The application over these collaborators, which whoever passed them in closes."""
    configuration = Configuration(settings, parts)
    complaints = Complaints()
    guard = Guard(settings.query, Access(parts.pool, parts.control, parts.clock), complaints)
    app = Application(
        middleware=[
            Cors(configuration),
            Counting(),
            RequestIds(parts.clock),
            LocalOnly(settings.query, complaints),
            Reading(settings.query, ROUTES, guard),
        ]
    )
    app.router_options.converters["path"] = falcon.routing.PathConverter
    app.router_options.converters["word"] = Word
    made = resources(settings, parts, configuration)
    registered = set()
    for route in ROUTES:
        if (route.path, route.suffix) not in registered:
            registered.add((route.path, route.suffix))
            app.add_route(route.path, made[route.resource], suffix=route.suffix)
    errors = Errors(settings)
    app.add_error_handler(Exception, errors.unexpected)
    app.add_error_handler(falcon.HTTPError, errors.of_falcon)
    return app


def resources(settings: Settings, parts: Collaborators, configuration: Configuration) -> dict[str, Any]:
    """Every resource by the name that the table of routes gives it."""
    pool = parts.pool
    uploads = Uploads(settings, parts)
    submissions = Submissions(settings, parts)
    tasks = Tasks(settings, parts, uploads)
    streams = Streams(parts, uploads)
    watched = AgentStreams(parts, uploads)
    agent = Agent(settings, parts)
    ledgers = Ledgers(parts)
    health = Health(settings, parts)
    immediate = Immediate(settings, parts)
    return {
        "root": RootResource(configuration),
        "version": VersionResource(),
        "healthcheck": HealthcheckResource(health),
        "health": HealthResource(),
        "ready": ReadyResource(health),
        "metrics": MetricsResource(pool),
        "spec": SpecResource(document(ROUTES, auth=settings.query.auth)),
        "videosdk": VideosdkResource(settings, pool, submissions, tasks, immediate),
        "video_task": VideoTaskResource(settings, pool, tasks),
        "smart_search": SmartSearchResource(SmartSearch(settings, parts)),
        "videos": VideosResource(settings, uploads),
        "video": VideoResource(settings, pool, uploads, parts.media),
        "tasks": TasksResource(settings, pool, tasks),
        "task": TaskResource(settings, pool, tasks),
        "rows": RowsResource(settings, parts),
        "media": MediaResource(parts),
        "ledgers": LedgersResource(settings, pool, ledgers),
        "ledger": LedgerResource(settings, pool, ledgers),
        "streams": StreamsResource(settings, pool, submissions, streams),
        "stream": StreamResource(pool, streams),
        "agent_streams": AgentStreamsResource(settings, pool, StreamRequests(settings, parts), watched),
        "agent_stream": AgentStreamResource(pool, watched),
        "stream_logs": StreamLogsResource(pool, watched),
        "agent": AgentResource(pool, agent),
        "config": ConfigResource(agent),
        "plugins": PluginsResource(agent),
        "manual": ManualResource(settings, pool, Manual()),
        **engine_resources(settings, parts, submissions, streams, configuration),
        **watching(settings, parts),
    }


def watching(settings: Settings, parts: Collaborators) -> dict[str, Any]:
    """The resources of watching: one reader for each partition of frames and for each feed, however many watch."""
    pool, seats = parts.pool, Seats(settings.query.sockets)
    watchable = Watchable(parts)
    signing = Signing(parts.control, settings.query.watch_token_s, parts.clock)
    entrance = Entrance(settings, pool, watchable, signing)
    watches = Watches(settings, parts.tails)
    topics = Topics.of(settings.kafka)

    def listening(feed: Feed) -> Listening:
        return Listening(settings.kafka, Channel(settings.kafka, parts.tails, feed), parts.tails, pool)

    events, notifications = listening(Feed.events(topics)), listening(Feed.notifications(topics))
    return {
        "mjpeg": MjpegResource(settings, entrance, watchable, watches),
        "stream_jpeg": StreamJpegResource(settings, entrance, watches),
        "visual": VisualResource(settings, entrance),
        "watch_token": WatchTokenResource(settings, pool, watchable, signing),
        "event_channel": EventChannelResource(
            settings, entrance, seats, EngineTelling(events, watchable, pool, parts.media)
        ),
        "notifications": NotificationsResource(
            settings, entrance, seats, NotificationTelling(notifications, watchable)
        ),
        "ws": AgentSocketResource(settings, entrance, seats, AgentTelling(events, watchable)),
    }


class Errors:
    """Turns exceptions into the answer of the surface that was asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def unexpected(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        error: Exception,
        _: dict[str, Any],
        ws: falcon.asgi.WebSocket | None = None,
    ) -> None:
        """Any exception; what is not foreseen is logged with its traceback, and answered without."""
        if ws is not None:
            await refuse(ws, error, req.path)
            return
        base = base_of(req, self._settings)
        sent = render(error, surface_of(req.path), request_id=request_id_of(req), base=base)
        if sent.status == 500:
            logger.error("request_failed", method=req.method, path=req.path, exc_info=error)
        resp.status = sent.status
        resp.content_type = sent.media
        resp.data = sent.body
        resp.stream = None
        for name, value in sent.headers:
            resp.set_header(name, value)

    async def of_falcon(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        error: falcon.HTTPError,
        params: dict[str, Any],
        ws: falcon.asgi.WebSocket | None = None,
    ) -> None:
        """Falcon's own errors: no route, no such method, a body that it cannot read."""
        if ws is not None:
            await refuse(ws, _ours(error, req), req.path)
            return
        for name, value in dict(error.headers or {}).items():
            resp.set_header(name, value)
        await self.unexpected(req, resp, _ours(error, req), params)


def _ours(error: falcon.HTTPError, req: falcon.asgi.Request) -> ClientError | falcon.HTTPError:
    says = error.description or error.title or ""
    known: dict[int, ClientError] = {
        404: NotFound(f"nothing is at {req.path}"),
        405: MethodNotAllowed(f"{req.method} is not possible here"),
        413: TooLarge(says),
        415: WrongContentType(says),
    }
    if error.status_code in known:
        return known[error.status_code]
    return InvalidInput(says or "the request cannot be read") if error.status_code < 500 else error
