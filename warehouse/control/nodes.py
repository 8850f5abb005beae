"""Ingest hosts, numbered in the order in which they were first heard of."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import func, select, update

from core.errors import StoreUnavailable
from core.messages import NodeStatus
from warehouse.control import models
from warehouse.control.codec import json_text
from warehouse.control.database import Database, insert_new, table

NODES = table(models.Node)
ONLINE_MS = 10_000
TRIES = 10
_status = msgspec.json.Decoder(NodeStatus)


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as last heard of.

    Attributes:
        first_ms, heard_ms: when the broker had its first and its newest record.
    """

    node_num: int
    first_ms: int
    heard_ms: int
    status: NodeStatus

    def online(self, now_ms: int) -> bool:
        """Whether it lives, as far as can be told: heard of within ten seconds, and not ended by itself."""
        return not self.status.ended and now_ms - self.heard_ms <= ONLINE_MS


class Nodes(Database):
    """Nodes."""

    def record_node(self, status: NodeStatus, heard_ms: int) -> int:
        """Take over the state of a host; its number. A host keeps its number for ever.

        Args:
            heard_ms: when the broker had it.
        """
        values = {"heard_ms": heard_ms, "status": json_text(status)}
        this = NODES.c.host == status.host
        for _ in range(TRIES):
            with self._writing() as connection:
                known = connection.execute(select(NODES.c.node_num).where(this)).scalar()
                if known is not None:
                    connection.execute(update(NODES).where(this).values(**values))
                    return int(known)
                number = connection.execute(select(func.coalesce(func.max(NODES.c.node_num), -1) + 1)).scalar_one()
                # another process may just have given the same number away, or this host another one
                new = {"node_num": number, "host": status.host, "first_ms": heard_ms, **values}
                if insert_new(connection, models.Node, **new):
                    return int(number)
        raise StoreUnavailable(f"control database: no number is left for the node {status.host}")

    def nodes(self) -> list[NodeRow]:
        """Every node, by number."""
        columns = (NODES.c.node_num, NODES.c.first_ms, NODES.c.heard_ms, NODES.c.status)
        with self._reading() as connection:
            rows = connection.execute(select(*columns).order_by(NODES.c.node_num))
            return [NodeRow(number, first, heard, _status.decode(status)) for number, first, heard, status in rows]
