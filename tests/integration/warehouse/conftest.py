"""Stores on real servers; the control database on SQLite and PostgreSQL alike."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from core.settings import ClickHouse, Control, Settings
from warehouse.analytics import AnalyticsStore
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.migration import apply
from warehouse.clickhouse.topology import Topology
from warehouse.control import ControlStore


@pytest.fixture
def settings(clickhouse: ClickHouse, tmp_path: Path) -> Settings:
    """Everything in folders and a database of this test."""
    return Settings(data_dir=tmp_path, clickhouse=clickhouse)


@pytest.fixture
def analytics(settings: Settings) -> Iterator[AnalyticsStore]:
    """An empty store with its schema."""
    client = Client(settings)
    apply(client, Topology.of(settings.clickhouse))
    client.close()
    store = AnalyticsStore.connect(settings)
    yield store
    store.close()


def _account() -> list[str]:
    """How to run as somebody who is not root, which initdb insists on."""
    if os.geteuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    return ["runuser", "-u", "postgres" if "postgres" in names else "nobody", "--"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A throw-away PostgreSQL; the address without a database."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    binary = shutil.which("initdb") or (str(found[-1]) if found else None)
    if binary is None:
        pytest.fail("PostgreSQL is missing: apt-get install postgresql")
    programs = Path(binary).parent
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="sightline-postgres-"))
    if account:
        shutil.chown(folder, account[2])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"
    initdb = [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "sightline", "--no-sync", "-E", "UTF8"]
    subprocess.run([*account, *initdb], check=True, capture_output=True, cwd=folder)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
    server = subprocess.Popen(
        [*account, str(programs / "postgres"), "-D", str(data), "-p", str(port), *options],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"postgresql://sightline@127.0.0.1:{port}"
    try:
        _wait(f"{address}/postgres")
        yield address
    finally:
        stop = [str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"]
        subprocess.run([*account, *stop], check=False, capture_output=True, cwd=folder)
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(address: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(address, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def control_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """An empty control database, of each kind."""
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path)
        return
    server = request.getfixturevalue("postgres_server")
    name = f"t{uuid.uuid4().hex[:10]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield Settings(data_dir=tmp_path, control=Control(url=f"{server}/{name}"))
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Ticking:
    """A clock that is set by the test; each look moves it by a millisecond."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def open_control(control_settings: Settings, clock: Ticking) -> Iterator[Callable[[], ControlStore]]:
    """Opens the same database once more, as another process would."""
    opened: list[ControlStore] = []

    def open_one() -> ControlStore:
        opened.append(ControlStore.connect(control_settings, clock))
        return opened[-1]

    open_one().migrate()
    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def control(open_control: Callable[[], ControlStore]) -> ControlStore:
    """The control database with its schema."""
    return open_control()


@pytest.fixture
def unused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
