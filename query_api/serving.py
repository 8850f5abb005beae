"""The service under gunicorn."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client import multiprocess

from core import log
from core.errors import SightlineError
from core.process import die_with_parent
from core.settings import Settings
from query_api.app import create_app
from query_api.connect import close, connect
from query_api.disconnect import Application

logger = log.get(__name__)
KEEP_ALIVE_S = 75
GRACE_S = 25


class Service:
    """The application, made when its event loop runs, because the model client belongs to one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Application | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer; the server's start makes the application, and fails with one line if it cannot."""
        if self._app is None:
            try:
                self._parts = connect(self._settings)
                self._app = create_app(self._settings, self._parts)
                before_stopping(self._parts.tails.close)
            except SightlineError as error:
                logger.error("cannot_start", error=str(error))
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
        await self._app(scope, receive, send)
        if scope["type"] == "lifespan":
            await close(self._parts)


def before_stopping(call: Callable[[], None]) -> None:
    """Have `call` made on this event loop when the worker is told to stop.

    The server then waits until every answer has been given, which those without an end never are by themselves.
    """
    loop, told = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        if callable(told):
            told(number, frame)

    signal.signal(signal.SIGTERM, stop)


class PlainLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's own messages, through the process's logging; no access log."""

    def setup(self, cfg: Any) -> None:
        """Leave handlers alone."""
        self.error_log.setLevel(logging.WARNING)
        self.error_log.propagate = True
        self.access_log.propagate = False

    def access(self, *_: Any) -> None:
        """Requests are counted in the metrics instead."""


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn, configured from our settings and nothing else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """What differs from gunicorn's defaults."""
        query = self._settings.query
        host = f"[{query.host}]" if ":" in query.host else query.host
        for name, value in {
            "bind": f"{host}:{query.port}",
            "workers": query.workers,
            "worker_class": "query_api.worker.Worker",
            "logger_class": PlainLogger,
            "keepalive": KEEP_ALIVE_S,
            "graceful_timeout": GRACE_S,
            "timeout": 120,
            "proc_name": "sightline-query",
            "post_fork": _end_with_the_first,
            "child_exit": _forget_worker,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Service:
        """The ASGI application of a worker."""
        return Service(self._settings)


def _end_with_the_first(_server: Any, _worker: Any) -> None:
    """A worker whose first process was killed would serve on, and keep the port from the one that follows."""
    die_with_parent(signal.SIGTERM)


def _forget_worker(_: Any, worker: Any) -> None:
    """A worker's gauges end with it."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # untyped in the library
