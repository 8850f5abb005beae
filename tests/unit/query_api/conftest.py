"""The service over a real SQLite control database and media folder, with fakes for what needs a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

from core.settings import Settings
from query_api.app import create_app
from query_api.pool import Pool
from query_api.ports import Collaborators
from tests.unit.query_api.fakes import FakeAnalytics, FakeEmbeddings, FakeFollowers, FakeModels, Parts
from warehouse.control import ControlStore
from warehouse.media import MediaStore

NOW = 1_800_000_000.0


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Every public name is at one public address."""
    known = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "private.example": "10.0.0.8"}
    if host == "nowhere.example":
        raise OSError("no such name")
    return (known.get(host, "93.184.216.34"),)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, stack={"min_free_mb": 1})


@pytest.fixture
def parts(settings: Settings, tmp_path: Path) -> Iterator[Parts]:
    control = ControlStore.connect(settings, clock=lambda: NOW)
    control.migrate()
    made = Parts(control, FakeAnalytics(), FakeEmbeddings(), FakeModels(), FakeFollowers())
    made.collaborators = Collaborators(
        control=control,
        analytics=made.analytics,
        embeddings=made.embeddings,
        media=MediaStore.connect(settings),
        models=made.models,
        followers=made.followers,
        broker_ready=lambda: made.broker,
        models_dir=settings.models_dir,
        staging=tmp_path / "staging",
        pool=Pool(4, 100, 30.0),
        resolver=resolve,
        clock=lambda: NOW,
    )
    yield made
    made.collaborators.pool.close()
    control.close()


@pytest.fixture
def client_of(parts: Parts) -> Callable[[Settings], testing.TestClient]:
    def make(settings: Settings) -> testing.TestClient:
        return testing.TestClient(create_app(settings, parts.collaborators))

    return make


@pytest.fixture
def client(settings: Settings, client_of: Callable[[Settings], testing.TestClient]) -> testing.TestClient:
    return client_of(settings)


@pytest.fixture
def task(client: testing.TestClient) -> Callable[..., str]:
    """Submits a deferred task; returns its id."""

    def submit(**video: Any) -> str:
        answer = client.simulate_post("/1/videosdk", json=deferred(**video))
        assert answer.status_code == 202, answer.text
        return str(answer.json["task_id"])

    return submit


def deferred(**video: Any) -> dict[str, Any]:
    """The least body of a deferred task."""
    return {
        "video": {"url": "https://videos.example/street.mp4", **video},
        "analytics": [{"analytic_name": "object_detection"}],
        "deferred_task": {"enable": 1},
    }
