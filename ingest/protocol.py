"""What a host and its readers say to each other: the start and orders through a pipe, reports on standard output."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from core.messages import StreamSpec
from core.settings import Settings
from ingest.progress import Checkpoint

EXIT_ENDED = 0
EXIT_SUSPENDED = 3
EXIT_RETRY = 75


class Start(msgspec.Struct, frozen=True):
    """First line a reader reads.

    Attributes:
        partition: of the stream on every topic.
        checkpoint: where an interrupted run stands; None for a new one.
        settings: the tree's parts that a reader needs.
        careful: a reader of this run has crashed here.
        attempt: how many readers have crashed in a row, as restarts count.
    """

    spec: StreamSpec
    partition: int
    host: str
    settings: dict[str, Any]
    checkpoint: Checkpoint | None = None
    careful: bool = False
    attempt: int = 0


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line a reader writes.

    Attributes:
        beat: changes whenever the reader gets on, if only with waiting.
        ended: the run has ended and everything about it is acknowledged.
    """

    beat: int
    decoded: int = 0
    ended: Literal["done", "failure", "stop"] | None = None


def settings_for_reader(settings: Settings) -> dict[str, Any]:
    """What a reader needs of the settings, as JSON values."""
    parts = {"data_dir", "kafka", "media", "ingest", "telemetry"}
    dumped: dict[str, Any] = settings.model_dump(mode="json", include=parts)
    return dumped


_start_decoder = msgspec.json.Decoder(Start)
_report_decoder = msgspec.json.Decoder(Report)


def encode(message: Start | Report) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


def decode_start(line: bytes) -> Start:
    """Read the start."""
    return _start_decoder.decode(line)


def decode_report(line: bytes) -> Report | None:
    """Read a report; None for any other line."""
    try:
        return _report_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
