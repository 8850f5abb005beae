"""The registry of analytics as the engine surface shows it, and who has its seats."""

from __future__ import annotations

from typing import Any

from core.analytics import REGISTRY, Declaration
from core.errors import NotFound
from core.ids import StreamId
from core.messages import StreamSpec
from core.settings import Settings
from query_api.ports import Collaborators
from query_api.services.configuration import Configuration
from query_api.types.engine import AnalyticItem, AnalyticList, PipelineSeat, Seat
from query_api.types.status import SemanticVersion
from warehouse.control.rows import StreamFilter, StreamRow

PAGE = 1000
UNLIMITED = "UNLIMITED"
DEFAULT = "default"


class Registry:
    """Analytics and their seats; blocking."""

    def __init__(
        self, settings: Settings, parts: Collaborators, configuration: Configuration, version: SemanticVersion
    ) -> None:
        self._seats = settings.query.seats
        self._parts = parts
        self._configuration = configuration
        self._version = version

    def all(self) -> AnalyticList:
        """Every analytic, with its seats."""
        return AnalyticList(
            code=200,
            message="success",
            analytic_num=len(REGISTRY),
            deployment_key=self._configuration.known.deployment_key,
            version=self._version,
            analytics=[self._item(declared) for declared in REGISTRY.values()],
        )

    def declared(self, analytic_id: str) -> Declaration:
        """One analytic. Raises NotFound."""
        if analytic_id not in REGISTRY:
            raise NotFound("analytic not found")
        return REGISTRY[analytic_id]

    def schema(self, analytic_id: str) -> dict[str, Any]:
        """JSON Schema of its configuration. Raises NotFound."""
        return dict(self.declared(analytic_id).parameters)

    def rules(self, analytic_id: str) -> dict[str, Any]:
        """What its configuration decides by, as it declares it; empty where it declares nothing. Raises NotFound."""
        return self.declared(analytic_id).rules

    def presets(self, analytic_id: str) -> dict[str, Any]:
        """Configurations to begin with, by name; `default` is what an empty one stands for. Raises NotFound."""
        declared = self.declared(analytic_id)
        return {DEFAULT: declared.defaults, **{name: dict(preset) for name, preset in declared.presets.items()}}

    def seats_of(self, row: StreamRow) -> list[PipelineSeat]:
        """The seats that a stream's pipelines take."""
        return [PipelineSeat(name, self._taken(name, row.stream_id)) for name in pipelines_of(row.spec)]

    def _item(self, declared: Declaration) -> AnalyticItem:
        return AnalyticItem(
            id=declared.id,
            name=declared.name,
            major_version=declared.version,
            minor_version=declared.minor,
            publisher=declared.publisher,
            description=declared.description,
            type=declared.type,
            seats=[Seat(serial, active_status=True) for serial in self._serials(declared.id)],
        )

    def _serials(self, analytic_id: str) -> list[str]:
        """One for each seat; where any number of streams may run it, one for all of them."""
        if analytic_id not in self._seats:
            return [_serial(analytic_id, UNLIMITED)]
        return [_numbered(analytic_id, number) for number in range(1, self._seats[analytic_id] + 1)]

    def _taken(self, analytic_id: str, stream: StreamId) -> str:
        """Seats are taken in the order in which streams were made."""
        if analytic_id not in self._seats:
            return _serial(analytic_id, UNLIMITED)
        before = 0
        for row in reversed(all_streams(self._parts)):
            if row.stream_id == stream:
                break
            before += analytic_id in pipelines_of(row.spec)
        return _numbered(analytic_id, before + 1)


def pipelines_of(spec: StreamSpec) -> list[str]:
    """The ids of a stream's analytics, each once."""
    return list(dict.fromkeys(analytic.name for analytic in spec.analytics))


def all_streams(parts: Collaborators, node_num: int | None = None) -> list[StreamRow]:
    """Every stream that is no task, of one node when given; the newest first."""
    chosen = StreamFilter(task=False, node_num=node_num)
    found: list[StreamRow] = []
    page = parts.control.streams(chosen, limit=PAGE)
    found.extend(page.items)
    while page.next_cursor is not None:
        page = parts.control.streams(chosen, limit=PAGE, cursor=page.next_cursor)
        found.extend(page.items)
    return found


def _serial(analytic_id: str, seat: str) -> str:
    return f"{analytic_id}-{seat}"


def _numbered(analytic_id: str, number: int) -> str:
    return _serial(analytic_id, f"{number:04d}")
