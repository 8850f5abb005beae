"""Bringing every store to the schema of this version."""

from __future__ import annotations

from core.settings import Settings
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.migration import apply
from warehouse.clickhouse.topology import Topology
from warehouse.control import ControlStore
from warehouse.embeddings import EmbeddingStore
from warehouse.media import MediaStore


def migrate(settings: Settings) -> None:
    """Create or upgrade ClickHouse, the control database, LanceDB and the media folder.

    Running it again changes nothing.

    Raises:
        ConfigError: a store is of another, newer version.
        StoreUnavailable: a store does not answer.
    """
    client = Client(settings)
    try:
        apply(client, Topology.of(settings.clickhouse))
    finally:
        client.close()
    control = ControlStore.connect(settings)
    try:
        control.migrate()
    finally:
        control.close()
    EmbeddingStore.connect(settings)
    MediaStore.connect(settings)
