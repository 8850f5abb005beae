"""Where tables live: on one server, or as Distributed tables over local ones of a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import ConfigError
from core.settings import ClickHouse

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TABLES = ("frames", "detections", "track_points", "tracks", "views", "events")
SHARDING_KEY = "cityHash64(stream_id)"


@dataclass(frozen=True, slots=True)
class Topology:
    """Names and engines as one server or a cluster needs them.

    All rows of a stream lie on one shard, so removing duplicates there is enough.

    Attributes:
        cluster: name of a cluster in the servers' configuration; empty on a single server.
        replicated: engines replicate through Keeper, shard and replica from the servers' macros.
        ddl_on_cluster: statements carry ``ON CLUSTER``; else each server is migrated by itself.
    """

    database: str
    cluster: str = ""
    replicated: bool = False
    ddl_on_cluster: bool = True

    def __post_init__(self) -> None:
        """Names go into statements as they are, so they must be plain. Raises ConfigError."""
        for field, name in (("database", self.database), ("cluster", self.cluster or "none")):
            if not _NAME.fullmatch(name):
                raise ConfigError(f"clickhouse.{field} {name!r}: letters, digits and underscores only")

    @classmethod
    def of(cls, settings: ClickHouse) -> Topology:
        """As the settings say."""
        return cls(settings.database, settings.cluster, settings.replicated)

    @property
    def on_cluster(self) -> str:
        """What a statement that changes the schema carries after the table's name."""
        return f" ON CLUSTER {self.cluster}" if self.cluster and self.ddl_on_cluster else ""

    def table(self, name: str) -> str:
        """The table to ask and to write: the Distributed one on a cluster."""
        return f"{self.database}.{name}"

    def local(self, name: str) -> str:
        """The table that holds rows on each server."""
        return f"{self.database}.{name}_local" if self.cluster else self.table(name)

    def engine(self, family: str, version: str = "") -> str:
        """A MergeTree engine, replicated if so set; `version` is ReplacingMergeTree's column."""
        if not self.replicated:
            return f"{family}({version})"
        more = f", {version}" if version else ""
        return f"Replicated{family}('/clickhouse/tables/{{uuid}}/{{shard}}', '{{replica}}'{more})"

    def distributed(self, name: str) -> str:
        """The statement that lays a Distributed table over the local ones; empty on one server."""
        if not self.cluster:
            return ""
        return (
            f"CREATE TABLE IF NOT EXISTS {self.table(name)}{self.on_cluster} AS {self.local(name)} "
            f"ENGINE = Distributed({self.cluster}, {self.database}, {name}_local, {SHARDING_KEY})"
        )
