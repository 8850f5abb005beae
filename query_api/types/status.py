"""Answers about the service itself."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field


class SemanticVersion(Struct, frozen=True):
    """Version of the service."""

    major: int
    minor: int
    patch: int


class Root(Struct, frozen=True):
    """Who answers here, and where to go on; `deployment_key` is empty where none was issued."""

    name: str
    version: SemanticVersion
    deployment_key: str
    links: dict[str, str]


class ApiVersion(Struct, frozen=True):
    """Version of the service, and of its agent surface."""

    api: int
    major: int
    minor: int
    patch: int


class VersionAnswer(Struct, frozen=True):
    """Answer of ``/version``."""

    version: ApiVersion = field(name="Version")


class HealthcheckParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the services behind this one are asked too."""

    include_luna_services: Literal[0, 1] = 0


class Healthcheck(Struct, frozen=True):
    """Seconds that the checks took."""

    execution_time: float


class Alive(Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Struct, frozen=True):
    """Whether requests can be served, part by part: ``ok``, or what is wrong with it."""

    ready: bool
    parts: dict[str, str]
