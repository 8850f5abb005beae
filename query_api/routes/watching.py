"""The routes of watching: pictures and pages of the engine surface, sockets of two surfaces, and tokens."""

from __future__ import annotations

from query_api.routes.route import HTML, JPEG, MJPEG, Answer, Route, Surface, nothing
from query_api.types import watching

A, E, Q = Surface.AGENT, Surface.ENGINE, Surface.QUERY
_STREAM = "{node_num:int}/{stream_id:word}"
_ANALYTIC = f"{_STREAM}/{{analytic_id:word}}"
_NOT_RUNNING = (409, 410)
_SOCKET = {101: nothing("The socket is open. It is closed with 4000 and a status of HTTP when it cannot be.")}


def _mjpeg(place: str, says: str, suffix: str | None = None) -> Route:
    return Route(
        "GET", f"/mjpeg/{place}", E, "mjpeg", says, "watch",
        {200: Answer("Pictures, one after the other, as long as the stream runs.", None, (MJPEG,))},
        params=watching.MjpegParams, refuses=_NOT_RUNNING, suffix=suffix, endless=True, signed=True,
    )  # fmt: skip


def _visual(place: str, says: str, suffix: str | None = None) -> Route:
    return Route(
        "GET", f"/visual/{place}", E, "visual", says, "watch",
        {200: Answer("The page.", None, (HTML,), {"Content-Security-Policy": "who may frame it, and what it loads"})},
        params=watching.VisualParams, refuses=_NOT_RUNNING, suffix=suffix, signed=True,
    )  # fmt: skip


def _channel(path: str, says: str, suffix: str | None = None) -> Route:
    return Route(
        "GET", path, E, "event_channel", says, "watch", _SOCKET,
        params=watching.EngineSocketParams, refuses=(426,), suffix=suffix, endless=True, signed=True,
    )  # fmt: skip


ROUTES = (
    _mjpeg(_STREAM, "A stream's pictures, for `<img>`."),
    _mjpeg(_ANALYTIC, "A stream's pictures, with what an analytic follows drawn into them.", "analytic"),
    Route("GET", f"/stream_jpeg/{_STREAM}", E, "stream_jpeg", "A stream's newest picture.", "watch",
          {200: Answer("The picture.", None, (JPEG,))}, params=watching.JpegParams, refuses=_NOT_RUNNING,
          signed=True),
    _visual(_STREAM, "A page that shows a stream, for `<iframe>`."),
    _visual(_ANALYTIC, "A page that shows a stream with what an analytic follows.", "analytic"),
    _channel("/event_channel", "WebSocket: the events of all streams."),
    _channel(f"/event_channel/{_STREAM}", "WebSocket: the events of a stream.", "stream"),
    _channel(f"/event_channel/{_ANALYTIC}", "WebSocket: the events of an analytic of a stream.", "analytic"),
    Route("GET", "/2/ws", A, "ws", "WebSocket: how a stream stands, and what one of its analytics finds.", "watch",
          _SOCKET, params=watching.AgentSocketParams, refuses=(426,), endless=True, signed=True),
    Route("GET", "/query/v1/notifications", Q, "notifications",
          "WebSocket: what callbacks of the type `luna-ws-notification` tell.", "watch", _SOCKET,
          params=watching.NotificationParams, refuses=(426,), endless=True, signed=True),
    Route("POST", "/query/v1/streams/{stream_id:uuid}/watch-token", Q, "watch_token",
          "A token with which a browser can watch one stream for a while, without a header.", "watch",
          {200: Answer("The token, and where it can be used.", watching.WatchToken)}),
)  # fmt: skip
