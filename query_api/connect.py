"""The real collaborators of the service."""

from __future__ import annotations

from core import kafka
from core.settings import Settings
from inference.client import ModelClient
from query_api.following import KafkaFollowers
from query_api.in_flight import KafkaFlights
from query_api.pool import Pool
from query_api.ports import Collaborators
from query_api.watching.tails import KafkaTails
from warehouse.analytics import AnalyticsStore
from warehouse.control import ControlStore
from warehouse.embeddings import EmbeddingStore
from warehouse.media import MediaStore

THREADS = 16
WAITING = 256


def connect(settings: Settings) -> Collaborators:
    """Connections to every store and server; made inside of a running event loop."""
    return Collaborators(
        control=ControlStore.connect(settings),
        analytics=AnalyticsStore.connect(settings),
        embeddings=EmbeddingStore.connect(settings),
        media=MediaStore.connect(settings),
        models=ModelClient(settings.models, settings.breaker, settings.models_dir),
        followers=KafkaFollowers(settings.kafka),
        flights=KafkaFlights(settings.kafka),
        broker_ready=lambda: kafka.ready(settings.kafka, 3.0),
        models_dir=settings.models_dir,
        staging=settings.data_dir / "uploads",
        pool=Pool(THREADS, WAITING, settings.query.timeout_s),
        tails=KafkaTails(settings.kafka),
    )


async def close(parts: Collaborators) -> None:
    """End every connection."""
    parts.tails.close()
    await parts.models.close()
    parts.pool.close()
    parts.analytics.close()
    parts.control.close()
