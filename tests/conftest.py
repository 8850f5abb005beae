"""Real parts for tests: each is started once per session on free ports, in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from core.settings import ClickHouse, Ingest, Kafka, Models, Query, Settings, Stack

# timings never decide a test, on a slow machine neither
hypothesis_settings.register_profile("sightline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("sightline")

ROOT = Path(__file__).parent.parent
PARTS = ROOT / "var"
PATIENT_MS = 9000
"""A broker's session where a whole test suite runs beside it, and how fast it comes back is not the question."""


pytest_plugins = ["tests.fixtures_models"] if Path(__file__).with_name("fixtures_models.py").is_file() else []


# by how long they take, the longest first, so that neither of two processes ends long before the other
LONGEST = ("stack", "streams_proc", "ingest", "infra", "analyse", "inference", "report", "query_api", "warehouse")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first."""
    items.sort(key=lambda item: LONGEST.index(room) if (room := _together(item.nodeid)) in LONGEST else len(LONGEST))


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Where the tests run in several processes, what shares servers, or a file's fixtures, stays in one."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Xdist's own groups are suffixes of node ids, which this version of pytest does not let it change."""
    return Together(config, log)


def _together(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    _, kind, room, *_ = Path(file).parts
    return room if kind == "integration" else file


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data."""
    folder = Path(os.environ.get("SIGHTLINE_SHARED", ROOT.parent / "shared")).resolve()
    if not folder.is_dir():
        pytest.fail(f"the test data is not at {folder}: set SIGHTLINE_SHARED to its folder")
    return folder


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now; all are held until all are known, so they differ."""
    holders = [socket.socket() for _ in range(count)]
    try:
        for holder in holders:
            holder.bind(("127.0.0.1", 0))
        return [holder.getsockname()[1] for holder in holders]
    finally:
        for holder in holders:
            holder.close()


@pytest.fixture(scope="session")
def part_dir() -> Iterator[Path]:
    """A folder for the servers of this session."""
    with tempfile.TemporaryDirectory(prefix="sightline-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def served(module: str, folder: Path, variables: dict[str, str], ready: Callable[[], bool]) -> Iterator[None]:
    """Run `python -m module` until the block ends.

    Args:
        folder: where its output goes, as a file named after it.
        variables: ``SIGHTLINE_*`` of the process, on top of this one's other variables.
        ready: asked until it is true.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")} | variables
    output = folder / f"{module}.log"
    with output.open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 120
        while not ready():
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{module} did not get ready:\n{output.read_text()[-4000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    """Whether something accepts connections on `port` of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def kafka_broker(part_dir: Path) -> Iterator[Kafka]:
    """A private Apache Kafka broker, without topics."""
    from core.kafka import ready
    from infra.kafka.jars import resolve

    resolve(Settings(data_dir=PARTS))
    data_dir = part_dir / "kafka-broker"
    (data_dir / "kafka").mkdir(parents=True)
    (data_dir / "kafka" / "lib").symlink_to(PARTS / "kafka" / "lib")
    port, controller = free_ports(2)
    settings = Kafka(port=port, controller_port=controller, heap_mb=256, session_ms=PATIENT_MS)
    variables = {
        "SIGHTLINE_DATA_DIR": str(data_dir),
        "SIGHTLINE_KAFKA__PORT": str(port),
        "SIGHTLINE_KAFKA__SESSION_MS": str(PATIENT_MS),
        "SIGHTLINE_KAFKA__CONTROLLER_PORT": str(controller),
        "SIGHTLINE_KAFKA__HEAP_MB": str(settings.heap_mb),
    }
    with served("infra.kafka", part_dir, variables, lambda: listens(port) and ready(settings)):
        yield settings


@pytest.fixture
def kafka(kafka_broker: Kafka) -> Iterator[Kafka]:
    """The broker with all topics, empty, under a prefix that only this test has."""
    from core.kafka import admin, ensure_topics

    mine = kafka_broker.model_copy(update={"prefix": f"t{uuid.uuid4().hex[:10]}."})
    ensure_topics(mine)
    yield mine
    client = admin(mine)
    left = [name for name in client.list_topics(timeout=10).topics if name.startswith(mine.prefix)]
    client.delete_topics(left)


@pytest.fixture(scope="session")
def clickhouse_server(part_dir: Path) -> Iterator[ClickHouse]:
    """A private ClickHouse server with a user and a password."""
    from infra.clickhouse.library import resolve

    resolve(Settings(data_dir=PARTS))
    data_dir = part_dir / "clickhouse-server"
    (data_dir / "clickhouse").mkdir(parents=True)
    (data_dir / "clickhouse" / "lib").symlink_to(PARTS / "clickhouse" / "lib")
    http, tcp = free_ports(2)
    settings = ClickHouse(http_port=http, tcp_port=tcp, user="sightline", password="s3cret")
    variables = {
        "SIGHTLINE_DATA_DIR": str(data_dir),
        "SIGHTLINE_CLICKHOUSE__HTTP_PORT": str(http),
        "SIGHTLINE_CLICKHOUSE__TCP_PORT": str(tcp),
        "SIGHTLINE_CLICKHOUSE__USER": settings.user,
        "SIGHTLINE_CLICKHOUSE__PASSWORD": settings.password.get_secret_value(),
    }
    with served("infra.clickhouse", part_dir, variables, lambda: listens(http) and listens(tcp)):
        yield settings


@pytest.fixture
def clickhouse(clickhouse_server: ClickHouse) -> Iterator[ClickHouse]:
    """The server with a database, not yet created, that only this test has."""
    import clickhouse_connect

    mine = clickhouse_server.model_copy(update={"database": f"t{uuid.uuid4().hex[:10]}"})
    yield mine
    client = clickhouse_connect.get_client(
        host=mine.host, port=mine.http_port, username=mine.user, password=mine.password.get_secret_value()
    )
    client.command(f"DROP DATABASE IF EXISTS {mine.database}")
    client.close()


@dataclass(frozen=True, slots=True)
class RunningStack:
    """The one-machine stack under test.

    Attributes:
        url: of the query service.
        env: variables with which a `sightline` command, or a process of ours, belongs to it.
    """

    settings: Settings
    url: str
    env: dict[str, str]


@contextmanager
def running_stack(folder: Path, models_dir: Path) -> Iterator[RunningStack]:
    """Everything on this machine, started as a user does, in a folder and on ports of its own."""
    settings = stack_settings(folder / "stack", models_dir)
    env = stack_env(settings)
    started = sightline(env, "up")
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        yield RunningStack(settings, f"http://127.0.0.1:{settings.query.port}", env)
    finally:
        stopped = sightline(env, "down")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def sightline(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command `sightline` with its output."""
    command = [str(Path(sys.executable).with_name("sightline")), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=500, check=False)


def stack_settings(data_dir: Path, models_dir: Path) -> Settings:
    """A stack's settings on free ports, with the parts of this checkout."""
    from infra.clickhouse import library
    from infra.kafka import jars

    for resolve, name in ((jars.resolve, "kafka"), (library.resolve, "clickhouse")):
        resolve(Settings(data_dir=PARTS))
        (data_dir / name).mkdir(parents=True)
        (data_dir / name / "lib").symlink_to(PARTS / name / "lib")
    kafka, controller, http, tcp, models, query = free_ports(6)
    return Settings(
        data_dir=data_dir,
        kafka=Kafka(port=kafka, controller_port=controller, session_ms=PATIENT_MS),
        clickhouse=ClickHouse(http_port=http, tcp_port=tcp),
        models=Models(port=models, dir=models_dir.absolute()),
        query=Query(port=query),
        ingest=Ingest(allow_loopback=True),
        # a machine that runs a whole test suite beside it is slow
        stack=Stack(start_timeout_s=300),
    )


def stack_env(settings: Settings) -> dict[str, str]:
    """The variables of these settings.

    A stack's processes are not traced for coverage: it makes them half as fast, and each room's
    own tests run the same code.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SIGHTLINE_", "COVERAGE_"))}
    return env | {
        "SIGHTLINE_DATA_DIR": str(settings.data_dir),
        "SIGHTLINE_KAFKA__PORT": str(settings.kafka.port),
        "SIGHTLINE_KAFKA__CONTROLLER_PORT": str(settings.kafka.controller_port),
        "SIGHTLINE_KAFKA__SESSION_MS": str(settings.kafka.session_ms),
        "SIGHTLINE_CLICKHOUSE__HTTP_PORT": str(settings.clickhouse.http_port),
        "SIGHTLINE_CLICKHOUSE__TCP_PORT": str(settings.clickhouse.tcp_port),
        "SIGHTLINE_MODELS__PORT": str(settings.models.port),
        "SIGHTLINE_MODELS__DIR": str(settings.models_dir),
        "SIGHTLINE_QUERY__PORT": str(settings.query.port),
        "SIGHTLINE_INGEST__ALLOW_LOOPBACK": "true",
        "SIGHTLINE_STACK__START_TIMEOUT_S": str(settings.stack.start_timeout_s),
    }
