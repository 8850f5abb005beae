"""What must be true before anything is started, and what mends it where it is not."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from core.errors import SetupError
from core.settings import Settings
from infra.stack.processes import Listener, all_processes

MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: is looked at.
        missing: a sentence on what is wrong; empty when all is well.
        mend: the command, or setting, that mends it.
    """

    what: str
    missing: str = ""
    mend: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong and what mends it."""
        return f"{self.missing}: {self.mend}"


def require(settings: Settings) -> None:
    """Refuse to start when anything is missing.

    Raises:
        SetupError: one line per thing.
    """
    wrong = [check.sentence for check in (*machine(settings), *ports(settings)) if check.missing]
    if wrong:
        raise SetupError("\n".join(wrong))


def machine(settings: Settings) -> tuple[Check, ...]:
    """Programs, files and space."""
    return (_folder(settings), _disk(settings), *_kafka(settings), *_clickhouse(settings), *_models(settings))


def ports(settings: Settings) -> tuple[Check, ...]:
    """Whether the ports are free."""
    return tuple(_port(process.name, port) for process in all_processes(settings) for port in process.listeners)


def _folder(settings: Settings) -> Check:
    what = f"folder {settings.data_dir}"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.data_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Check(what, f"{settings.data_dir} cannot be written ({error.strerror})", "set SIGHTLINE_DATA_DIR")
    return Check(what)


def _disk(settings: Settings) -> Check:
    there = next(
        path for path in (settings.data_dir.absolute(), *settings.data_dir.absolute().parents) if path.exists()
    )
    free, least = shutil.disk_usage(there).free // MIB, settings.stack.min_free_mb
    what = f"free disk: {free} MiB"
    if free >= least:
        return Check(what)
    return Check(
        what,
        f"{there} has {free} MiB of free disk, and {least} MiB are needed",
        "free some, or set SIGHTLINE_DATA_DIR to another disk (SIGHTLINE_STACK__MIN_FREE_MB is the limit)",
    )


def _kafka(settings: Settings) -> Iterator[Check]:
    from infra.kafka import jars  # noqa: PLC0415 - only where a broker runs here
    from infra.kafka.broker import java  # noqa: PLC0415
    from infra.parts import is_settled  # noqa: PLC0415

    if settings.kafka.bootstrap:
        return
    try:
        java()
    except SetupError as error:
        missing, _, mend = str(error).rpartition(": ")
        yield Check("Java", missing, mend)
    else:
        yield Check("Java")
    if is_settled(jars.lib_dir(settings), jars.POM.read_bytes()):
        yield Check("Kafka's jars")
    elif shutil.which("mvn") is None:
        yield Check("Kafka's jars", "Maven is missing, which fetches Kafka's jars", "apt-get install maven")
    else:
        yield Check("Kafka's jars", "Kafka's jars are not there", "make setup")


def _clickhouse(settings: Settings) -> Iterator[Check]:
    from infra.clickhouse import library  # noqa: PLC0415 - only where a server runs here
    from infra.parts import is_settled  # noqa: PLC0415

    if settings.clickhouse.url or library.binary():
        return
    if is_settled(library.lib_dir(settings), library.LOCK.read_bytes()):
        yield Check("ClickHouse's library")
    elif shutil.which("npm") is None:
        yield Check("ClickHouse's library", "npm is missing, which fetches ClickHouse", "apt-get install npm")
    else:
        yield Check("ClickHouse's library", "ClickHouse's library is not there", "make setup")


def _models(settings: Settings) -> Iterator[Check]:
    from inference.cards import list_cards  # noqa: PLC0415 - its room is not needed to show help

    if settings.models.servers:
        return
    models = settings.models
    needed = {models.detector, models.face_detector, models.face_embedder, models.embedder}
    missing = sorted(needed - {card.name for card in list_cards(settings.models_dir)})
    if missing:
        yield Check("models", f"{settings.models_dir} lacks {', '.join(missing)}", "sightline models fetch")
    else:
        yield Check("models")


def _port(process: str, listener: Listener) -> Check:
    what = f"port {listener.port} ({process})"
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            taken = f"port {listener.port} of {listener.host}, which {process} needs, {_reason(listener.port, error)}"
            return Check(what, taken, f"set {listener.setting} to a free port")
    return Check(what)


def _reason(port: int, error: OSError) -> str:
    try:
        sockets = psutil.net_connections("tcp")
        holders = {c.pid for c in sockets if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port}
        names = [f"{psutil.Process(pid).name()} (process {pid})" for pid in holders if pid]
    except (psutil.Error, OSError):
        names = []
    return f"is taken by {', '.join(names)}" if names else f"cannot be opened ({error.strerror})"
