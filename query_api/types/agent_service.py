"""Answers of the agent surface about the service itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import Struct


class SupportedAnalytic(Struct, frozen=True):
    """An analytic that streams can ask for; `parameters` is the JSON Schema of its configuration."""

    analytic_name: str
    version: int
    description: str
    targets: list[str]
    parameters: dict[str, Any]


class StreamCounts(Struct, frozen=True):
    """How many streams there are, in all and in each status."""

    total: int
    pending: int = 0
    in_progress: int = 0
    done: int = 0
    restart: int = 0
    failure: int = 0
    stop: int = 0
    handler_lost: int = 0
    unknown: int = 0
    paused: int = 0


class AgentInfo(Struct, frozen=True):
    """Who analyses here, what it can do, and what it does; there are no groups of streams."""

    agent_id: UUID
    analytics: list[SupportedAnalytic]
    streams: StreamCounts
    groups: list[str]


class Plugin(Struct, frozen=True):
    """A part that can be added."""

    name: str
    type: str
    version: int
    description: str


class Plugins(Struct, frozen=True):
    """What is added here."""

    plugins: list[Plugin]
