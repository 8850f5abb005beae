"""Every process of the stack, in the order in which it starts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from core.settings import Settings

LAST_STARTED = 100
MODEL_SERVER = "models"
SINKS = ("sink-clickhouse", "sink-lancedb", "sink-media")


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that a process opens.

    Attributes:
        setting: the variable that moves it.
    """

    host: str
    port: int
    setting: str


@dataclass(frozen=True, slots=True)
class Process:
    """One process under the supervisor.

    Attributes:
        name: under which it is seen and logged.
        command: words of its command line.
        stop_rank: those of a higher rank stop first.
        group: consumer group it works in, without the prefix; empty: none.
        environment: variables of its own.
        niceness: how far it stands back when the cores are wanted, 0 to 19.
    """

    name: str
    command: tuple[str, ...]
    stop_rank: int
    group: str = ""
    listeners: tuple[Listener, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    niceness: int = 0


def all_processes(settings: Settings) -> tuple[Process, ...]:
    """What the settings ask for; a part that is given by its address is not run here."""
    return (*servers(settings), *workers(settings), query(settings))


def stop_order(settings: Settings, running: Iterable[str]) -> list[list[str]]:
    """The running ones in the order in which they stop; those of one list stop together."""
    ranks = {process.name: process.stop_rank for process in all_processes(settings)}
    # what an earlier start with other settings has left comes first: nothing of today's needs it
    ordered = sorted(running, key=lambda name: (-ranks.get(name, LAST_STARTED), name))
    return [list(names) for _, names in groupby(ordered, key=lambda name: ranks.get(name, LAST_STARTED))]


def servers(settings: Settings) -> tuple[Process, ...]:
    """Broker, database and model server, as far as they are this machine's own."""
    kafka, clickhouse = settings.kafka, settings.clickhouse
    found = []
    if not kafka.bootstrap:
        ports = (
            Listener(kafka.host, kafka.port, "SIGHTLINE_KAFKA__PORT"),
            Listener(kafka.host, kafka.controller_port, "SIGHTLINE_KAFKA__CONTROLLER_PORT"),
        )
        found.append(Process("kafka", _module("infra.kafka"), 10, listeners=ports))
    if not clickhouse.url:
        ports = (
            Listener(clickhouse.host, clickhouse.http_port, "SIGHTLINE_CLICKHOUSE__HTTP_PORT"),
            Listener(clickhouse.host, clickhouse.tcp_port, "SIGHTLINE_CLICKHOUSE__TCP_PORT"),
        )
        found.append(Process("clickhouse", _module("infra.clickhouse"), 20, listeners=ports))
    if not settings.models.servers:
        found.append(_model_server(settings))
    return tuple(found)


def workers(settings: Settings) -> tuple[Process, ...]:
    """What consumes from Kafka; stopped from the source of the frames on."""
    stack = settings.stack
    return (
        _worker("control", 50),
        *(_worker(stage, 60) for stage in (*SINKS, "notify")),
        *_several("analyse", 70, stack.analyse_workers),
        *_several("detect", 80, stack.detect_workers),
        *_several("ingest", 90, stack.ingest_hosts),
    )


def query(settings: Settings) -> Process:
    """The HTTP service."""
    port = Listener(settings.query.host, settings.query.port, "SIGHTLINE_QUERY__PORT")
    return Process("query", _module("query_api"), 40, listeners=(port,))


def _model_server(settings: Settings) -> Process:
    from inference.command import server_command  # noqa: PLC0415 - its room is not needed to show help

    port = Listener(settings.models.host, settings.models.port, "SIGHTLINE_MODELS__PORT")
    # TensorFlow's threads allocate at once; two arenas would make them wait for each other.
    # It stands back: a worker that was killed must be there again in seconds, though frames wait
    return Process(
        MODEL_SERVER,
        tuple(server_command(settings)),
        30,
        listeners=(port,),
        environment=(("MALLOC_ARENA_MAX", "8"), ("TF_CPP_MIN_LOG_LEVEL", "2")),
        niceness=10,
    )


def _several(stage: str, stop_rank: int, count: int) -> Iterator[Process]:
    for name, number in _numbered(stage, count):
        yield _worker(stage, stop_rank, name, number)


def _numbered(name: str, count: int) -> Iterator[tuple[str, int]]:
    """``detect, detect-2, ...`` with their numbers."""
    for number in range(1, count + 1):
        yield name if number == 1 else f"{name}-{number}", number


def _worker(stage: str, stop_rank: int, name: str = "", number: int = 1) -> Process:
    module = _module("ingest") if stage == "ingest" else (*_module("streams_proc"), stage)
    return Process(name or stage, (*module, "--instance", str(number)), stop_rank, group=stage)


def _module(name: str) -> tuple[str, ...]:
    # -P: a folder of the user's that is called `core` must not be taken for ours
    return (sys.executable, "-P", "-m", name)
