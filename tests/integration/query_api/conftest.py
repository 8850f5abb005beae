"""The query service as it is run: gunicorn on a port, over real Kafka, ClickHouse, LanceDB and SQLite."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.settings import ClickHouse, Kafka, Models, Query, Settings
from tests.conftest import ROOT, free_ports
from warehouse.analytics import AnalyticsStore
from warehouse.control import ControlStore
from warehouse.migrate import migrate


@dataclass
class Served:
    """A running service and the stores under it."""

    settings: Settings
    http: httpx.Client
    process: subprocess.Popen[bytes]
    analytics: AnalyticsStore
    control: ControlStore
    log: Path


@pytest.fixture
def settings(kafka: Kafka, clickhouse: ClickHouse, tmp_path: Path) -> Settings:
    port, nobody = free_ports(2)
    models = Models(port=nobody)
    return Settings(data_dir=tmp_path, kafka=kafka, clickhouse=clickhouse, models=models, query=Query(port=port))


@pytest.fixture
def served(settings: Settings, tmp_path: Path) -> Iterator[Served]:
    with serving(settings, tmp_path) as running:
        yield running


@contextmanager
def serving(settings: Settings, tmp_path: Path, **more: str) -> Iterator[Served]:
    """The service with more variables of its environment."""
    migrate(settings)
    analytics, control = AnalyticsStore.connect(settings), ControlStore.connect(settings)
    log = tmp_path / "query.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "query_api"], cwd=ROOT, env=variables(settings) | more, stdout=output, stderr=output
        )
    http = httpx.Client(base_url=f"http://127.0.0.1:{settings.query.port}", timeout=60, trust_env=False)
    try:
        until = time.monotonic() + 60
        while not _answers(http):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield Served(settings, http, process, analytics, control, log)
    finally:
        process.terminate()
        process.wait(40)
        http.close()
        analytics.close()
        control.close()


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def variables(settings: Settings) -> dict[str, str]:
    """The settings as a process is given them."""
    kafka, store = settings.kafka, settings.clickhouse
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")},
        "SIGHTLINE_DATA_DIR": str(settings.data_dir),
        "SIGHTLINE_KAFKA__PORT": str(kafka.port),
        "SIGHTLINE_KAFKA__PREFIX": kafka.prefix,
        "SIGHTLINE_CLICKHOUSE__HTTP_PORT": str(store.http_port),
        "SIGHTLINE_CLICKHOUSE__TCP_PORT": str(store.tcp_port),
        "SIGHTLINE_CLICKHOUSE__USER": store.user,
        "SIGHTLINE_CLICKHOUSE__PASSWORD": store.password.get_secret_value(),
        "SIGHTLINE_CLICKHOUSE__DATABASE": store.database,
        "SIGHTLINE_MODELS__PORT": str(settings.models.port),
        "SIGHTLINE_QUERY__PORT": str(settings.query.port),
    }
