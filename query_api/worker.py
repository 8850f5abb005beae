"""Uvicorn on uvloop and httptools, as gunicorn's worker."""

from __future__ import annotations

import logging
import warnings
from typing import Any

with warnings.catch_warnings():
    # uvicorn sends users to a package that holds this same class; one dependency less is worth the notice
    warnings.simplefilter("ignore", DeprecationWarning)
    from uvicorn.workers import UvicornWorker


PING_S = 20.0
MOST_BYTES = 64 * 1024
"""Of a message to us; nothing that is said to us is listened to."""


class Worker(UvicornWorker):
    """Logs go where all logs of the process go."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012  # the base class declares it so
        "loop": "uvloop",
        "http": "query_api.protocols:HttpProtocol",
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "ws": "query_api.protocols:WebSocketProtocol",
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "ws_max_size": MOST_BYTES,
        "ws_per_message_deflate": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("uvicorn.error", "uvicorn.access"):
            logger = logging.getLogger(name)
            logger.handlers = []
            logger.propagate = True
            logger.setLevel(logging.WARNING)
