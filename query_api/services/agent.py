"""What the agent surface tells of the service itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from core.analytics import REGISTRY
from core.log import mask
from core.settings import Settings, masked
from query_api.ports import Collaborators
from query_api.types.agent_service import AgentInfo, Plugin, Plugins, StreamCounts, SupportedAnalytic
from warehouse.control.rows import StreamFilter


class Agent:
    """Who this is, and how it is configured."""

    def __init__(self, settings: Settings, parts: Collaborators) -> None:
        self._settings = settings
        self._control = parts.control

    def info(self) -> AgentInfo:
        """Id, analytics, and how many streams there are; blocking."""
        counts = {str(state): number for state, number in self._control.count_states(StreamFilter(task=False)).items()}
        analytics = [
            SupportedAnalytic(one.id, one.version, one.description, list(one.targets), dict(one.parameters))
            for one in REGISTRY.values()
        ]
        return AgentInfo(
            agent_id=self._control.agent_id(),
            analytics=analytics,
            streams=StreamCounts(total=sum(counts.values()), **counts),
            groups=[],
        )

    def plugins(self) -> Plugins:
        """Every analytic is one."""
        return Plugins([Plugin(one.id, "analytic", one.version, one.description) for one in REGISTRY.values()])

    def configuration(self) -> dict[str, Any]:
        """Every setting by its section, secrets hidden, those inside of addresses too."""
        shown: dict[str, Any] = _hidden(masked(self._settings))
        return shown

    def configuration_text(self) -> str:
        """The same, a setting a line, as ``section.name = value``; values are JSON."""
        return "".join(f"{name} = {value}\n" for name, value in _lines(self.configuration(), ""))


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    return mask(value) if isinstance(value, str) else value


def _lines(values: dict[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _lines(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", msgspec.json.encode(value).decode()
