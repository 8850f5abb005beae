"""The agent surface about the service itself: who it is, its configuration, its plugins, its manual."""

from __future__ import annotations

import falcon.asgi

from core.settings import Settings
from query_api import answers
from query_api.negotiate import choose_for_agent
from query_api.pool import Pool
from query_api.routes.route import HTML, JSON, TEXT
from query_api.services.agent import Agent
from query_api.services.manual import INDEX, Manual


class AgentResource:
    """``/1/agent``."""

    def __init__(self, pool: Pool, agent: Agent) -> None:
        self._pool = pool
        self._agent = agent

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Who this is, and what it does."""
        answers.json(resp, await self._pool.run(self._agent.info))


class ConfigResource:
    """``/1/config``."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Every setting, as JSON or as text."""
        media = choose_for_agent(req, (JSON, TEXT))
        resp.set_header("Vary", "Accept")
        if media == JSON:
            answers.json(resp, self._agent.configuration())
            return
        resp.content_type = f"{TEXT}; charset=utf-8"
        resp.text = self._agent.configuration_text()


class PluginsResource:
    """``/1/plugins``."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def on_get(self, _: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """What is added here."""
        answers.json(resp, self._agent.plugins())


class ManualResource:
    """``/docs/dev`` and its pages."""

    def __init__(self, settings: Settings, pool: Pool, manual: Manual) -> None:
        self._settings = settings
        self._pool = pool
        self._manual = manual

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Where it begins."""
        resp.status = 302
        resp.set_header("Location", f"{answers.base_of(req, self._settings)}/docs/dev/{INDEX}")

    async def on_get_page(self, _: falcon.asgi.Request, resp: falcon.asgi.Response, page: str) -> None:
        """A page of it."""
        resp.text = await self._pool.run(self._manual.page, page)
        resp.content_type = f"{HTML}; charset=utf-8"
