"""The real parts, each in a folder and on ports of its own, for the length of a block."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from benchmarks.bench import Failed
from core.kafka import ready
from core.settings import ClickHouse, Kafka, Models, Query, Settings
from inference.fetch import fetch_all, write_server_config
from infra.cli.query_service import QueryService
from infra.clickhouse import library
from infra.kafka import jars
from infra.stack.places import Places
from infra.stack.readiness import models_answer
from infra.stack.supervisor import StoppedAnswering, Supervisor
from tests.conftest import PARTS, free_ports, listens, served, sightline, stack_env, stack_settings


@contextmanager
def part(module: str, folder: Path, variables: Mapping[str, str], is_ready: Callable[[], bool]) -> Iterator[int]:
    """Run `python -m module`; its process id. Raises Failed."""
    me = psutil.Process()
    before = {child.pid for child in me.children()}
    folder.mkdir(parents=True, exist_ok=True)
    # what is left of it is found by its folder
    named = {"SIGHTLINE_DATA_DIR": str(folder), **variables}
    try:
        with served(module, folder, named, is_ready):
            (pid,) = {child.pid for child in me.children()} - before
            yield pid
    except pytest.fail.Exception as error:
        raise Failed(str(error)) from error


@contextmanager
def broker(folder: Path) -> Iterator[tuple[Kafka, int]]:
    """Apache Kafka, and its process id."""
    jars.resolve(Settings(data_dir=PARTS))
    data = folder / "broker"
    (data / "kafka").mkdir(parents=True)
    (data / "kafka" / "lib").symlink_to(PARTS / "kafka" / "lib")
    port, controller = free_ports(2)
    kafka = Kafka(port=port, controller_port=controller)
    variables = {"SIGHTLINE_KAFKA__PORT": str(port), "SIGHTLINE_KAFKA__CONTROLLER_PORT": str(controller)}
    with part("infra.kafka", data, variables, lambda: listens(port) and ready(kafka)) as pid:
        yield kafka, pid


@contextmanager
def clickhouse(folder: Path) -> Iterator[tuple[ClickHouse, int]]:
    """ClickHouse, and its process id."""
    library.resolve(Settings(data_dir=PARTS))
    data = folder / "clickhouse-server"
    (data / "clickhouse").mkdir(parents=True)
    (data / "clickhouse" / "lib").symlink_to(PARTS / "clickhouse" / "lib")
    http, tcp = free_ports(2)
    variables = {"SIGHTLINE_CLICKHOUSE__HTTP_PORT": str(http), "SIGHTLINE_CLICKHOUSE__TCP_PORT": str(tcp)}
    with part("infra.clickhouse", data, variables, lambda: listens(http) and listens(tcp)) as pid:
        yield ClickHouse(http_port=http, tcp_port=tcp), pid


def migrate(settings: Settings) -> None:
    """Every store's schema."""
    from warehouse import migrate as schemas  # noqa: PLC0415  # loads LanceDB, which takes seconds

    schemas.migrate(settings)


def models_dir() -> Path:
    """The zoo of this checkout, made if it is missing."""
    settings = Settings(data_dir=PARTS)
    fetch_all(settings, print)
    return settings.models_dir.absolute()


@contextmanager
def model_server(folder: Path, *names: str) -> Iterator[tuple[Models, int]]:
    """The model server with these models alone, and its process id."""
    zoo = folder / "zoo"
    for name in names:
        shutil.copytree(models_dir() / name, zoo / name)
    write_server_config(zoo)
    (port,) = free_ports(1)
    # as the stack starts it
    own = {"MALLOC_ARENA_MAX": "8", "TF_CPP_MIN_LOG_LEVEL": "2"}
    variables = {"SIGHTLINE_MODELS__PORT": str(port), "SIGHTLINE_MODELS__DIR": str(zoo), **own}
    models = Models(port=port, dir=zoo)
    asked = Settings(models=models)
    with part("inference.server", folder / "models", variables, lambda: models_answer(asked, *names)) as pid:
        yield models, pid


@contextmanager
def query_service(folder: Path, settings: Settings) -> Iterator[tuple[Query, int]]:
    """The query service over stores that run already, and its process id."""
    (port,) = free_ports(1)
    variables = {
        **stack_env(settings),
        "SIGHTLINE_QUERY__PORT": str(port),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
    }
    (folder / "metrics").mkdir(parents=True)
    with part("query_api", folder / "query", variables, lambda: listens(port)) as pid:
        yield Query(port=port), pid


@dataclass(frozen=True, slots=True)
class Stack:
    """The one-machine stack.

    Attributes:
        env: variables with which a process belongs to it.
    """

    settings: Settings
    env: Mapping[str, str]
    service: QueryService

    def processes(self) -> dict[str, int]:
        """Ids of what its supervisor runs, by name."""
        try:
            known = Supervisor(Places.of(self.settings)).processes()
        except StoppedAnswering as error:
            raise Failed(str(error)) from error
        return {name: process.pid for name, process in known.items() if process.pid}


def prepared(folder: Path) -> tuple[Settings, dict[str, str]]:
    """Settings and variables of a stack that does not run yet."""
    settings = stack_settings(folder / "stack", models_dir())
    return settings, stack_env(settings)


@contextmanager
def stack(folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """The one-machine stack, up, with `more` variables. Raises Failed."""
    settings, env = prepared(folder)
    env |= more or {}
    command(env, "up")
    with closing(QueryService(f"http://127.0.0.1:{settings.query.port}")) as service:
        yield Stack(settings, env, service)
    command(env, "down")


def command(env: Mapping[str, str], *arguments: str) -> float:
    """Seconds that a `sightline` command takes. Raises Failed with what it says."""
    begun = time.monotonic()
    done = sightline(dict(env), *arguments)
    if done.returncode:
        raise Failed(f"sightline {' '.join(arguments)}: {(done.stdout + done.stderr).strip()[-2000:]}")
    return time.monotonic() - begun


def sweep(folder: Path) -> int:
    """End every process whose data lie in `folder`, a supervisor first; how many there were."""
    found = []
    for process in psutil.process_iter():
        try:
            data = process.environ().get("SIGHTLINE_DATA_DIR", "")
            if process.pid != os.getpid() and Path(data).is_relative_to(folder):
                found.append((("supervisord" not in " ".join(process.cmdline())), process))
        except psutil.Error:
            continue
    for _, process in sorted(found, key=lambda each: each[0]):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs([process for _, process in found], 20)
    return len(found)
