"""The service over a real SQLite control database and media folder, with fakes for what needs a server."""

from __future__ import annotations

import base64
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import simplejpeg
from falcon import testing

from core.ids import Run, Seq, StreamId
from core.messages import Frame, IngestCounts, StreamStatus, VideoInfo, encode_frame
from core.secrets import hash_secret, new_secret
from core.settings import Kafka, Settings
from core.topics import Topics
from query_api.app import create_app
from query_api.pool import Pool
from query_api.ports import Collaborators
from tests.unit.query_api.fakes import FakeAnalytics, FakeEmbeddings, FakeFollowers, FakeModels, Parts
from warehouse.control import ControlStore
from warehouse.control.receipts import EXPECTED
from warehouse.control.tokens import MARKS
from warehouse.media import MediaStore

NOW = 1_800_000_000.0
TEST_HOSTS = ["falconframework.org", "testserver"]
"""What the simulated clients of Falcon and Schemathesis ask for."""
VIDEO = VideoInfo(width=640, height=360, fps=25.0, frames=50, duration_s=2.0)
COUNTS = IngestCounts(decoded=50, sampled_out=30, read=20, published=20)


def resolve(host: str, port: int) -> tuple[str, ...]:
    """Every public name is at one public address."""
    known = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "private.example": "10.0.0.8"}
    if host == "nowhere.example":
        raise OSError("no such name")
    return (known.get(host, "93.184.216.34"),)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, stack={"min_free_mb": 1}, query={"allowed_hosts": TEST_HOSTS})


@pytest.fixture(autouse=True)
def level_stays() -> Iterator[None]:
    """The service sets what is logged, as the platform's configuration says."""
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A control database that holds nothing yet."""
    folder = tmp_path_factory.mktemp("control")
    control = ControlStore.connect(Settings(data_dir=folder))
    control.migrate()
    control.close()
    return folder


@pytest.fixture
def parts(settings: Settings, tmp_path: Path, migrated: Path) -> Iterator[Parts]:
    for file in migrated.iterdir():
        shutil.copy(file, tmp_path)
    control = ControlStore.connect(settings, clock=lambda: NOW)
    made = Parts(control, FakeAnalytics(), FakeEmbeddings(), FakeModels(), FakeFollowers())
    made.collaborators = Collaborators(
        control=control,
        analytics=made.analytics,
        embeddings=made.embeddings,
        media=MediaStore.connect(settings),
        models=made.models,
        followers=made.followers,
        flights=made.flights,
        broker_ready=lambda: made.broker,
        models_dir=settings.models_dir,
        staging=tmp_path / "staging",
        pool=Pool(4, 100, 30.0),
        tails=made.tails,
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
def closed(settings: Settings, client_of: Callable[[Settings], testing.TestClient]) -> testing.TestClient:
    """The service where it asks for tokens."""
    return client_of(settings.model_copy(update={"query": settings.query.model_copy(update={"auth": True})}))


@pytest.fixture
def secret_for(parts: Parts) -> Callable[..., str]:
    """Makes a token with these scopes; returns its secret."""

    def make(*scopes: str, **more: Any) -> str:
        secret = new_secret(MARKS["token"])
        parts.control.create_token(secret, **{"name": "a test", "kind": "token", "scopes": scopes, **more})
        return secret

    return make


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


@pytest.fixture
def known(client: testing.TestClient, parts: Parts, task: Callable[..., str]) -> dict[str, str]:
    """Ids, by the names that paths give them: a finished task, a stream, an upload and a picture."""
    parts.collaborators.media.put("a/1/b.jpg", b"picture")
    finish(parts, done := task())
    video = client.simulate_post("/query/v1/videos", params={"name": "a.mp4"}, body=b"0123456789").json
    stream = client.simulate_post("/query/v1/streams", json={"url": "rtsp://camera.example/1"}).json
    show(parts, StreamId(UUID(stream["stream_id"])))
    begun = client.simulate_post("/query/v1/videos", params={"partial": "true"}).json
    parts.control.add_checkin_key("AKID-1", hash_secret("sk-1"))
    return {
        "task_id": done,
        "pending_id": task(),
        "video_id": video["video_id"],
        "open_id": begun["video_id"],
        "stream_id": stream["stream_id"],
        "access_key": "AKID-1",
        "secret_key": "sk-1",
        "node_num": "0",
        "analytic_id": "object_detection",
        "key": "a/1/b.jpg",
        "page": "index.html",
        "jpeg": base64.b64encode(picture()).decode(),
    }


def picture(width: int = 40, height: int = 30) -> bytes:
    """A JPEG of one colour."""
    pixels = np.full((height, width, 3), 128, dtype=np.uint8)
    jpeg: bytes = simplejpeg.encode_jpeg(pixels, quality=90, colorspace="RGB")
    return jpeg


def finish(parts: Parts, task_id: str, **status: Any) -> None:
    """Report the task's run as read, and everything of it as stored."""
    stream = StreamId(UUID(task_id))
    seen = {"state": "done", "video": VIDEO, "counts": COUNTS, "ts_ms": int(NOW * 1000) + 2000, **status}
    begun = StreamStatus(stream, Run(1), "in_progress", int(NOW * 1000), "host", video=VIDEO)
    parts.control.record_status(begun)
    parts.control.record_status(StreamStatus(stream_id=stream, run=Run(1), host="host", **seen))
    for sink, topic in EXPECTED:
        parts.control.record_receipt(stream, Run(1), sink, topic)


def frame(stream: StreamId, seq: int, *, run: int = 1, jpeg: bytes = b"", ts_ms: int = 1_700_000_000_250) -> Frame:
    """A frame of 40 x 30 pixels."""
    return Frame(stream, Run(run), Seq(seq), seq, seq / 10, ts_ms, 40, 30, jpeg or picture(), "m")


def show(parts: Parts, stream: StreamId, seq: int = 0, **more: Any) -> Frame:
    """Publish a frame of a live stream."""
    made = frame(stream, seq, **more)
    parts.tails.say(Topics.of(Kafka()).frames_live, stream, encode_frame(made))
    return made
