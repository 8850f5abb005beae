"""Whether the parts that the service needs answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from core.errors import SightlineError
from core.settings import Settings
from query_api.errors import HealthFailed
from query_api.ports import Collaborators

OK = "ok"
PROBE_S = 5.0


class Health:
    """Asks every part, all at once, each with a limit of time."""

    def __init__(self, settings: Settings, parts: Collaborators) -> None:
        self._settings = settings
        self._parts = parts

    async def ready(self) -> dict[str, str]:
        """Every part: ``ok``, or what is wrong with it."""
        return {**await self.stores(), **await self.behind()}

    async def stores(self) -> dict[str, str]:
        """The control database and ClickHouse."""
        run = self._parts.pool.run
        return await _asked({"clickhouse": run(self._parts.analytics.ready), "control": run(self._parts.control.ready)})

    async def behind(self) -> dict[str, str]:
        """The broker and the model server."""
        broker = self._parts.pool.run(self._parts.broker_ready)
        return await _asked({"broker": broker, "models": self._models()})

    async def check(self, *, behind: bool) -> float:
        """Seconds that the checks took. Raises HealthFailed."""
        began = time.perf_counter()
        parts = await (self.ready() if behind else self.stores())
        wrong = [f"{name}: {said}" for name, said in parts.items() if said != OK]
        if wrong:
            raise HealthFailed("; ".join(wrong))
        return round(time.perf_counter() - began, 6)

    async def _models(self) -> bool:
        return await self._parts.models.ready(self._settings.models.detector)


async def _asked(probes: dict[str, Awaitable[bool]]) -> dict[str, str]:
    said = await asyncio.gather(*(_said(probe) for probe in probes.values()))
    return dict(zip(probes, said, strict=True))


async def _said(probe: Awaitable[bool]) -> str:
    try:
        return OK if await asyncio.wait_for(probe, PROBE_S) else "does not answer"
    except TimeoutError:
        return f"no answer within {PROBE_S:g} s"
    except SightlineError as error:
        return str(error) or type(error).__name__
