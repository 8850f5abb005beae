"""WebSockets: ``/event_channel`` of the engine surface, ``/2/ws`` of the agent's, and notifications."""

from __future__ import annotations

import falcon.asgi

from core.errors import NotFound
from core.ids import StreamId
from core.settings import Settings
from query_api.context import params_of
from query_api.entrance import Entrance
from query_api.refusals import UpgradeRequired
from query_api.types.watching import AgentSocketParams, EngineSocketParams, NotificationParams
from query_api.watching.channel import Subscription
from query_api.watching.sockets import Messages, Seats
from query_api.watching.telling import AgentTelling, EngineTelling, NotificationTelling

ONLY_SOCKETS = "a WebSocket is spoken here: connect with ws: or wss:"
Place = tuple[int, str, str | None]
"""Node, stream, analytic."""


class EventChannelResource:
    """``/event_channel[/{node_num}/{stream_id}[/{analytic_id}]]``."""

    def __init__(self, settings: Settings, entrance: Entrance, seats: Seats, telling: EngineTelling) -> None:
        self._most = settings.query.socket_queue
        self._entrance = entrance
        self._seats = seats
        self._telling = telling

    async def on_get(self, _: falcon.asgi.Request, __: falcon.asgi.Response) -> None:
        """Raises UpgradeRequired."""
        raise UpgradeRequired(ONLY_SOCKETS)

    async def on_get_stream(
        self, _: falcon.asgi.Request, __: falcon.asgi.Response, node_num: int, stream_id: str
    ) -> None:
        """Raises UpgradeRequired."""
        raise UpgradeRequired(ONLY_SOCKETS)

    async def on_get_analytic(
        self, _: falcon.asgi.Request, __: falcon.asgi.Response, node_num: int, stream_id: str, analytic_id: str
    ) -> None:
        """Raises UpgradeRequired."""
        raise UpgradeRequired(ONLY_SOCKETS)

    async def on_websocket(self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket) -> None:
        """The events of all streams."""
        await self._tell(req, ws, None)

    async def on_websocket_stream(
        self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket, node_num: int, stream_id: str
    ) -> None:
        """The events of a stream."""
        await self._tell(req, ws, (node_num, stream_id, None))

    async def on_websocket_analytic(
        self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket, node_num: int, stream_id: str, analytic_id: str
    ) -> None:
        """The events of an analytic of a stream."""
        await self._tell(req, ws, (node_num, stream_id, analytic_id))

    async def _tell(self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket, place: Place | None) -> None:
        await ws.accept()
        with self._seats.one("engine"):
            self._entrance.check_origin(req)
            params = params_of(req, EngineSocketParams)
            stream: StreamId | None = None
            analytic: str | None = None
            if place is None:
                self._entrance.everything(req)
            else:
                node, name, analytic = place
                stream = (await self._entrance.engine(req, params.token, node, name, analytic)).stream_id
            subscription = Subscription(stream, self._most)
            texts = self._telling.texts(subscription, params, analytic)
            await Messages(texts, subscription, "engine").tell(ws)


class AgentSocketResource:
    """``/2/ws``."""

    def __init__(self, settings: Settings, entrance: Entrance, seats: Seats, telling: AgentTelling) -> None:
        self._most = settings.query.socket_queue
        self._entrance = entrance
        self._seats = seats
        self._telling = telling

    async def on_get(self, _: falcon.asgi.Request, __: falcon.asgi.Response) -> None:
        """Raises UpgradeRequired."""
        raise UpgradeRequired(ONLY_SOCKETS)

    async def on_websocket(self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket) -> None:
        """How a stream stands, and what one of its analytics finds."""
        await ws.accept()
        with self._seats.one("agent"):
            self._entrance.check_origin(req)
            params = params_of(req, AgentSocketParams)
            row = await self._entrance.agent(req, params.token, params.stream_id, params.account_id)
            if params.analytic_index >= len(row.spec.analytics):
                raise NotFound(f"stream has {len(row.spec.analytics)} analytics, counted from 0")
            subscription = Subscription(row.stream_id, self._most)
            texts = self._telling.texts(subscription, row, params.analytic_index, params.from_)
            await Messages(texts, subscription, "agent").tell(ws)


class NotificationsResource:
    """``/query/v1/notifications``."""

    def __init__(self, settings: Settings, entrance: Entrance, seats: Seats, telling: NotificationTelling) -> None:
        self._most = settings.query.socket_queue
        self._entrance = entrance
        self._seats = seats
        self._telling = telling

    async def on_get(self, _: falcon.asgi.Request, __: falcon.asgi.Response) -> None:
        """Raises UpgradeRequired."""
        raise UpgradeRequired(ONLY_SOCKETS)

    async def on_websocket(self, req: falcon.asgi.Request, ws: falcon.asgi.WebSocket) -> None:
        """What the callbacks of an account's streams, or of one stream, tell."""
        await ws.accept()
        with self._seats.one("query"):
            self._entrance.check_origin(req)
            params = params_of(req, NotificationParams)
            stream: StreamId | None = None
            if params.stream_id is None:
                self._entrance.everything(req)
            else:
                row = await self._entrance.agent(req, params.token, params.stream_id, params.account_id)
                stream = row.stream_id
            subscription = Subscription(stream, self._most)
            account = None if params.account_id is None else str(params.account_id)
            texts = self._telling.texts(subscription, account, params.from_)
            await Messages(texts, subscription, "query").tell(ws)
