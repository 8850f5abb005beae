"""What the engine surface is made of."""

from __future__ import annotations

from typing import Any

from falcon.routing import BaseConverter

from core.settings import Settings
from query_api.ports import Collaborators
from query_api.resources.engine_analytics import AnalyticListResource, AnalyticResource
from query_api.resources.engine_configuration import CheckinResource, DatabaseResource, PlatformResource
from query_api.resources.engine_nodes import NodeStatusResource, ResourceStatsResource, RestartResource
from query_api.resources.engine_streams import (
    EngineStreamsResource,
    NodeStreamResource,
    NodeStreamsResource,
    PipelineResource,
)
from query_api.resources.status import MAJOR, MINOR, PATCH
from query_api.services.configuration import Configuration
from query_api.services.engine_streams import NodeStreams
from query_api.services.nodes import Nodes
from query_api.services.pipelines import Pipelines
from query_api.services.registry import Registry
from query_api.services.streams import Streams
from query_api.services.submissions import Submissions
from query_api.types.status import SemanticVersion


class Word(BaseConverter):
    """Any one part of a path: what is no id is answered as one that nobody has."""

    def convert(self, value: str) -> str:
        """As it is."""
        return value


def engine_resources(
    settings: Settings, parts: Collaborators, submissions: Submissions, streams: Streams, configuration: Configuration
) -> dict[str, Any]:
    """The surface's resources by the names that the table of routes gives them."""
    pool, nodes = parts.pool, Nodes(parts)
    registry = Registry(settings, parts, configuration, SemanticVersion(MAJOR, MINOR, PATCH))
    of_nodes = NodeStreams(parts, submissions, streams, nodes, registry)
    return {
        "engine_streams": EngineStreamsResource(pool, of_nodes),
        "node_streams": NodeStreamsResource(settings, pool, of_nodes),
        "node_stream": NodeStreamResource(settings, pool, of_nodes),
        "pipeline": PipelineResource(pool, Pipelines(parts, of_nodes, registry)),
        "node_status": NodeStatusResource(pool, nodes),
        "resource_stats": ResourceStatsResource(pool, nodes),
        "restart": RestartResource(pool, configuration),
        "analytic_list": AnalyticListResource(pool, registry),
        "analytic": AnalyticResource(registry),
        "platform": PlatformResource(pool, configuration),
        "database": DatabaseResource(pool, configuration),
        "checkin": CheckinResource(pool, configuration),
    }
