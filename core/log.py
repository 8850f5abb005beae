"""Structured logs: one JSON object a line on standard error, or colours for people."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

from core.settings import Telemetry

_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^/\s]+|[^/@:\s]+:[^@\s]+)@")
_TOKEN = re.compile(
    r"(?P<name>(?:token|api_key|apikey|password|passwd|pass|pwd|loginpas|secret|signature)=)[^&\s\"']+", re.IGNORECASE
)
_OWN = re.compile(r"(?P<shown>\bsl[tk]_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]+")


def mask(text: str) -> str:
    """`text` with credentials in URLs, secret query parameters and our own tokens replaced.

    >>> mask("rtsp://user:pass@camera/1?token=abc")
    'rtsp://***@camera/1?token=***'
    """
    # most text has none of them, which is told faster so
    if "@" in text:
        text = _CREDENTIALS.sub(r"\g<scheme>***@", text)
    if "=" in text:
        text = _TOKEN.sub(r"\g<name>***", text)
    if "sl" in text:
        text = _OWN.sub(r"\g<shown>***", text)
    return text


def _mask_values(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {key: mask(value) if isinstance(value, str) else value for key, value in event.items()}


class _StandardError:
    """Whatever standard error is when a line is written."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


# until `configure`, and for commands, which need no more: standard output is for what was asked for
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        _mask_values,
        structlog.dev.ConsoleRenderer(),
    ],
    logger_factory=structlog.PrintLoggerFactory(_StandardError()),  # type: ignore[arg-type]
)


def configure(telemetry: Telemetry, process: str) -> None:
    """Set up logging of this process; the standard library's loggers follow the same form."""
    level = getattr(logging, telemetry.level.upper())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_values,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if telemetry.format == "json" else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.contextvars.bind_contextvars(process=process)


def set_level(level: str) -> None:
    """Log what is at least so important from now on: ``debug``, ``info``, ``warning`` or ``error``."""
    logging.getLogger().setLevel(level.upper())


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger named after its module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
