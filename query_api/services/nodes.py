"""Ingest hosts as the engine surface shows them."""

from __future__ import annotations

from collections.abc import Mapping

from core.clock import now_ms
from core.errors import NotFound
from core.messages import Gpu
from query_api.ports import Collaborators
from query_api.types.engine import (
    AddressedDevice,
    AddressedResourceStats,
    Device,
    DeviceData,
    EngineNode,
    GpuStats,
    NodeStatusAnswer,
    ResourceStats,
    ServiceNumber,
    ServiceUsage,
)
from warehouse.control.nodes import NodeRow

FIRST = 0
"""Is there before any host was heard of, so that streams can be made."""

PREFIX = "sightline::"


class Nodes:
    """Nodes; blocking."""

    def __init__(self, parts: Collaborators) -> None:
        self._parts = parts

    def check(self, node_num: int) -> None:
        """That there is such a node. Raises NotFound."""
        if node_num != FIRST and node_num not in {row.node_num for row in self._parts.control.nodes()}:
            raise NotFound("node not found")

    def numbers(self) -> Mapping[str, int]:
        """Every host's number."""
        return {row.status.host: row.node_num for row in self._parts.control.nodes()}

    def status(self) -> NodeStatusAnswer:
        """Every node that was ever heard of."""
        now = now_ms(self._parts.clock)
        nodes = [_node(row, now) for row in self._parts.control.nodes()]
        return NodeStatusAnswer(len(nodes), nodes)

    def resources(self) -> ResourceStats:
        """How busy the nodes are that are online."""
        return ResourceStats([Device(row.node_num, _data(row)) for row in self._online()])

    def addressed_resources(self) -> AddressedResourceStats:
        """How busy the nodes are that are online, and where they are."""
        return AddressedResourceStats(
            [AddressedDevice(row.node_num, row.status.address, _data(row)) for row in self._online()]
        )

    def _online(self) -> list[NodeRow]:
        now = now_ms(self._parts.clock)
        return [row for row in self._parts.control.nodes() if row.online(now)]


def _node(row: NodeRow, now: int) -> EngineNode:
    online = row.online(now)
    return EngineNode(
        node_num=row.node_num,
        status="online" if online else "offline",
        running_time_sec=max(0, now - row.status.started_ms) // 1000 if online else 0,
        ip_address=row.status.address,
        run_mode=row.status.run_mode,
    )


def _data(row: NodeRow) -> DeviceData:
    status = row.status
    return DeviceData(
        cpu_percent=status.cpu_percent,
        ram_percent=status.ram_percent,
        swap_memory_percent=status.swap_percent,
        gpus=[_gpu(gpu) for gpu in status.gpus] or None,
        services=[
            ServiceUsage(f"{PREFIX}{name}", used.number, used.cpu_percent, used.memory)
            for name, used in sorted(status.usage.items())
        ],
    )


def _gpu(gpu: Gpu) -> GpuStats:
    return GpuStats(
        gpu_id=gpu.number,
        gpu_name=gpu.name,
        gpu_utilization=gpu.utilization,
        gpu_temperature=gpu.temperature,
        gpu_memory_total=gpu.memory_total,
        gpu_memory_used=gpu.memory_used,
        gpu_memory_free=gpu.memory_free,
        services=[ServiceNumber(f"{PREFIX}{name}", number) for name, number in sorted(gpu.services.items())],
    )
