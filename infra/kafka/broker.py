"""The command lines and the properties of the local broker."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.errors import SetupError
from core.settings import Settings
from infra.kafka.jars import lib_dir

LOG4J = Path(__file__).with_name("log4j2.properties")
OLDEST_JAVA = 17


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a broker keeps what."""

    lib: Path
    data: Path
    properties: Path

    ARCHIVE: ClassVar[str] = "classes.jsa"
    """Beside the jars: their classes as `infra.kafka.classes` has kept them."""

    @classmethod
    def of(cls, settings: Settings) -> Layout:
        """The folders under `data_dir`."""
        root = (settings.data_dir / "kafka").absolute()
        # resolved: kept classes fit jars at the very paths that they were loaded from
        return cls(lib_dir(settings).resolve(), root / "data", root / "server.properties")


def java() -> str:
    """The system's Java.

    Raises:
        SetupError: there is none, or it is older than 17.
    """
    found = shutil.which("java")
    if found is None:
        raise SetupError("Java is missing, which Kafka runs on: apt-get install default-jre-headless")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < OLDEST_JAVA:
        raise SetupError(f"{found} is older than Java {OLDEST_JAVA}: apt-get install default-jre-headless")
    return found


def properties(settings: Settings, data: Path) -> str:
    """`server.properties` of a single node that is broker and controller, on one address only."""
    kafka = settings.kafka
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{kafka.host}:{kafka.controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{kafka.host}:{kafka.port},CONTROLLER://{kafka.host}:{kafka.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{kafka.advertised or f'{kafka.host}:{kafka.port}'}",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "num.partitions": kafka.partitions,
        "message.max.bytes": kafka.max_message_bytes,
        # one node: its own topics cannot have more replicas, and need few partitions
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        # groups form at once; members that are gone are noticed in seconds
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # a node that was killed may register again only after this, and one that is busy for so long is fenced
        "broker.session.timeout.ms": kafka.session_ms,
        "broker.heartbeat.interval.ms": kafka.session_ms // 10,
        # a record of nothing, synced to the disk, twice a second by default: for nodes that watch each other
        "metadata.max.idle.interval.ms": 5000,
        # a small heap: the cleaner would take 128 MiB of it, producers a day's worth of state
        "log.cleaner.dedupe.buffer.size": 16 * 1024**2,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.retention.check.interval.ms": 60_000,
        "log.segment.delete.delay.ms": 5_000,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def format_command(java_path: str, layout: Layout) -> list[str]:
    """The command that prepares an empty data folder."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
    tool = [
        java_path,
        "-XX:TieredStopAtLevel=1",
        "-Xmx128m",
        "-cp",
        f"{layout.lib}/*",
        f"-Dlog4j2.configurationFile={LOG4J}",
    ]
    return [*tool, "kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", str(layout.properties)]


def serve_command(java_path: str, layout: Layout, heap_mb: int) -> list[str]:
    """The command that is the broker."""
    options = [
        f"-Xms{min(heap_mb, 128)}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",  # of all collectors the one that keeps least beside the heap
        "-XX:TieredStopAtLevel=1",  # half the CPU of a start, and less than the better code would save at our rates
        "-XX:MaxDirectMemorySize=128m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={LOG4J}",
    ]
    archive = layout.lib / layout.ARCHIVE
    if archive.is_file():
        options.append(f"-XX:SharedArchiveFile={archive}")
    return [java_path, *options, "-cp", f"{layout.lib}/*", "kafka.Kafka", str(layout.properties)]
