"""What the query service needs of the rooms below, as protocols, and the set that is passed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.addresses import Resolver, system_resolver
from core.clock import Clock, wall_clock
from core.errors import BadImage
from core.ids import StreamId
from core.messages import Face, Lane
from query_api.following import Follower
from query_api.in_flight import Flights
from query_api.pool import Pool
from query_api.watching.tails import Tails
from warehouse.analytics import AnalyticsStore
from warehouse.control import ControlStore
from warehouse.embeddings import EmbeddingStore
from warehouse.media import MediaStore


class Models(Protocol):
    """The model server, as `inference.client.ModelClient` asks it."""

    async def embed(self, model: str, images: Sequence[bytes], *, lane: Lane) -> list[tuple[float, ...] | BadImage]:
        """L2-normalised vectors of JPEGs."""
        ...

    async def detect_faces(
        self, model: str, images: Sequence[bytes], *, lane: Lane
    ) -> list[tuple[Face, ...] | BadImage]:
        """Faces of JPEGs, by falling score."""
        ...

    async def ready(self, model: str) -> bool:
        """Whether the server has the model, asked now."""
        ...

    async def close(self) -> None:
        """End the connections."""
        ...


class Followers(Protocol):
    """Opens followers of what the pipeline publishes for one stream."""

    def open(self, stream: StreamId) -> Follower:
        """A follower that misses nothing published from now on. Raises BrokerUnavailable."""
        ...


Probe = Callable[[], Awaitable[None]]
"""Returns when a part answers; raises when it does not."""


@dataclass(frozen=True, slots=True)
class Collaborators:
    """Everything outside of the service that it talks to.

    Attributes:
        followers: of immediate analyses.
        flights: where frames wait on Kafka.
        broker_ready: whether Kafka answers; blocking.
        models_dir: where the zoo's cards are.
        staging: folder of uploads that are not whole.
        tails: reads topics as they grow, for those who watch.
        resolver: names to addresses, for checking URLs.
    """

    control: ControlStore
    analytics: AnalyticsStore
    embeddings: EmbeddingStore
    media: MediaStore
    models: Models
    followers: Followers
    flights: Flights
    broker_ready: Callable[[], bool]
    models_dir: Path
    staging: Path
    pool: Pool
    tails: Tails
    resolver: Resolver = system_resolver
    clock: Clock = wall_clock
