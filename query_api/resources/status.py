"""The service itself: who it is, whether it is well, what it offers."""

from __future__ import annotations

from importlib.metadata import version

import falcon.asgi
import yaml

from core import metrics
from query_api import answers
from query_api.context import params_of
from query_api.negotiate import choose_for_agent
from query_api.openapi import Document
from query_api.page import page_of
from query_api.pool import Pool
from query_api.routes.route import HTML, JSON, PROMETHEUS, YAML
from query_api.services.configuration import Configuration
from query_api.services.health import OK, Health
from query_api.types import status

API = 2
MAJOR, MINOR, PATCH = (int(part) for part in version("sightline").split(".")[:3])
LINKS = {
    "openapi": "/docs/spec",
    "analyse": "/1/videosdk",
    "upload": "/query/v1/videos",
    "tasks": "/query/v1/tasks",
    "events": "/query/v1/events",
    "ready": "/ready",
    "metrics": "/metrics",
}


class RootResource:
    """``/``."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Who answers here."""
        key, numbers = self._configuration.known.deployment_key, status.SemanticVersion(MAJOR, MINOR, PATCH)
        answers.json(resp, status.Root("Sightline", numbers, key, LINKS))


class VersionResource:
    """``/version``."""

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Version of the service."""
        answers.json(resp, status.VersionAnswer(status.ApiVersion(API, MAJOR, MINOR, PATCH)))


class HealthcheckResource:
    """``/healthcheck``."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Check the databases, and on wish the services behind."""
        behind = params_of(req, status.HealthcheckParams).include_luna_services == 1
        answers.json(resp, status.Healthcheck(await self._health.check(behind=behind)))


class HealthResource:
    """``/health``."""

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The process answers."""
        answers.json(resp, status.Alive("ok"))


class ReadyResource:
    """``/ready``."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Whether every part answers."""
        parts = await self._health.ready()
        ready = all(said == OK for said in parts.values())
        answers.json(resp, status.Readiness(ready, parts), 200 if ready else 503)


class MetricsResource:
    """``/metrics``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Prometheus' text."""
        resp.content_type = f"{PROMETHEUS}; version=0.0.4; charset=utf-8"
        resp.data = await self._pool.run(metrics.exposition)


class SpecResource:
    """``/docs/spec``."""

    def __init__(self, document: Document) -> None:
        self._document = document

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The OpenAPI description, in the form that is accepted."""
        media = choose_for_agent(req, (JSON, YAML, HTML))
        resp.set_header("Vary", "Accept")
        if media == JSON:
            answers.json(resp, self._document)
            return
        resp.content_type = media
        if media == YAML:
            resp.text = yaml.safe_dump(self._document, sort_keys=False, allow_unicode=True)
        else:
            resp.content_type = f"{HTML}; charset=utf-8"
            resp.text = page_of(self._document)
