"""Smart search: what is asked of the models and the store, and what is answered."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID, uuid4

import pytest
import simplejpeg
from falcon import testing

from core.errors import BadImage
from core.ids import Run, Seq, StreamId, TrackId, ViewId, engine_stream_id
from core.messages import Face
from core.settings import Settings
from query_api.services.search import cut, jpeg_of
from tests.unit.query_api.conftest import picture
from tests.unit.query_api.fakes import Parts
from warehouse.embeddings import Neighbour

QUERY = base64.b64encode(picture()).decode()
EYES = ((0.4, 0.4),) * 6


def neighbour(stream: StreamId, similarity: float, key: str = "k/none.jpg", label: str = "car") -> Neighbour:
    box = (0.1, 0.1, 0.2, 0.2)
    return Neighbour(
        ViewId(uuid4()), stream, Run(1), TrackId(1), Seq(0), 1234, 0.0, label, 0.9, box, key, "appearance", similarity
    )


def search(client: testing.TestClient, **changes: Any) -> testing.Result:
    return client.simulate_post("/smart-search", json={"type": "image", "query": QUERY, **changes})


def test_the_most_alike_first(client: testing.TestClient, parts: Parts, task: Any) -> None:
    stream = StreamId(UUID(task()))
    parts.collaborators.media.put(f"{stream}/1/a.jpg", b"picture")
    parts.embeddings.neighbours["appearance"] = [neighbour(stream, 0.75), neighbour(stream, 0.9, f"{stream}/1/a.jpg")]
    answer = search(client)
    assert answer.status_code == 200, answer.text
    assert (answer.json["code"], answer.json["message"]) == (200, "success")
    best, other = answer.json["results"]
    assert best == {
        "stream_id": engine_stream_id(stream),
        "analytic_id": "object_detection",
        "node_num": 0,
        "timestamp_ms": 1234,
        "similarity": 0.9,
        "image_jpeg": base64.b64encode(b"picture").decode(),
        "primary_text": "car",
        "secondary_text": "street.mp4",
    }
    assert (other["similarity"], other["image_jpeg"]) == (0.75, "")
    assert parts.models.embedded == [("appearance", picture())]
    ((keyspace, vector, options),) = parts.embeddings.asked
    assert (keyspace, vector) == ("appearance", (1.0, 0.0))
    assert options["model"] == "appearance"
    assert (options["limit"], options["threshold"], options["stream_ids"]) == (10, None, None)


def test_filters(client: testing.TestClient, parts: Parts, task: Any) -> None:
    stream = StreamId(UUID(task()))
    unknown = uuid4()
    answer = search(
        client, limit=3, threshold=0.5, stream_ids=[engine_stream_id(stream), str(unknown), "0" * 16],
        to=2000, **{"from": "1970-01-01T00:00:01Z"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    options = parts.embeddings.asked[0][2]
    assert options["stream_ids"] == [stream, unknown], "an engine id of nobody finds nothing"
    assert (options["limit"], options["threshold"], options["from_ms"], options["to_ms"]) == (3, 0.5, 1000, 2000)


def test_streams_that_are_none_find_nothing(client: testing.TestClient, parts: Parts) -> None:
    assert search(client, stream_ids=["0" * 16]).json["results"] == []
    assert parts.embeddings.asked == []


def test_what_was_deleted_is_not_found(client: testing.TestClient, parts: Parts, task: Any) -> None:
    gone, there = task(), task()
    parts.embeddings.neighbours["appearance"] = [neighbour(StreamId(UUID(one)), 0.9) for one in (gone, there)]
    client.simulate_delete(f"/query/v1/tasks/{gone}")
    (hit,) = search(client).json["results"]
    assert hit["stream_id"] == engine_stream_id(StreamId(UUID(there)))


def test_a_stream_that_nobody_knows_has_no_name(client: testing.TestClient, parts: Parts) -> None:
    parts.embeddings.neighbours["appearance"] = [neighbour(StreamId(uuid4()), 0.9)]
    assert search(client).json["results"][0]["secondary_text"] == ""


def test_faces(client: testing.TestClient, parts: Parts) -> None:
    parts.models.faces = (Face(0.9, (0.25, 0.25, 0.75, 0.75), EYES),)
    parts.embeddings.neighbours["face"] = [neighbour(StreamId(uuid4()), 0.8, label="face")]
    answer = search(client, analytic_ids=["face_detection", "people_count"])
    assert [hit["analytic_id"] for hit in answer.json["results"]] == ["face_detection"]
    ((model, crop),) = parts.models.embedded
    assert model == "faceres"
    height, width, _, _ = simplejpeg.decode_jpeg_header(crop)
    assert (width, height) == (26, 19), "the face, widened"


def test_both(client: testing.TestClient, parts: Parts) -> None:
    parts.models.faces = (Face(0.9, (0.0, 0.0, 1.0, 1.0), EYES),)
    parts.embeddings.neighbours = {
        "face": [neighbour(StreamId(uuid4()), 0.8)], "appearance": [neighbour(StreamId(uuid4()), 0.9)]
    }  # fmt: skip
    hits = search(client, analytic_ids=["face_detection", "object_detection"]).json["results"]
    assert [hit["analytic_id"] for hit in hits] == ["object_detection", "face_detection"]


def test_a_picture_without_a_face(client: testing.TestClient, parts: Parts) -> None:
    assert search(client, analytic_ids=["face_detection"]).json["results"] == []
    assert parts.embeddings.asked == []


@pytest.mark.parametrize("kind", ["text", "", "video"])
def test_other_types(client: testing.TestClient, kind: str) -> None:
    answer = search(client, type=kind)
    assert answer.status_code == 400
    assert answer.json == {"code": 400, "message": "invalid query type"}


@pytest.mark.parametrize(
    "changes",
    [
        {"query": "no base64!"},
        {"query": base64.b64encode(b"no jpeg").decode()},
        {"query": ""},
        {"limit": 0},
        {"threshold": 2},
        {"stream_ids": ["x"]},
        {"analytic_ids": ["fire"]},
        {"more": 1},
        {"from": -1},
    ],
)
def test_bad_input(client: testing.TestClient, changes: dict[str, Any]) -> None:
    answer = search(client, **changes)
    assert answer.status_code == 400
    assert answer.json["code"] == 400
    assert answer.json["message"].startswith(next(iter(changes))), answer.json


def test_a_picture_that_no_model_reads(client: testing.TestClient, parts: Parts) -> None:
    parts.models.vector = BadImage("premature end of JPEG")
    answer = search(client)
    assert answer.status_code == 400
    assert answer.json["message"] == "premature end of JPEG"


def test_too_many_pixels(settings: Settings) -> None:
    from core.errors import InvalidInput

    with pytest.raises(InvalidInput, match="1199 are the most"):
        jpeg_of(QUERY, 1199)
    assert jpeg_of(f"data:image/jpeg;base64,{QUERY}", 1200) == picture()


def test_a_face_s_edge_stays_inside_of_the_picture() -> None:
    height, width, _, _ = simplejpeg.decode_jpeg_header(cut(picture(), (0.9, 0.9, 1.0, 1.0), 0.3))
    assert (width, height) == (5, 4)
    with pytest.raises(BadImage):
        cut(picture()[:100], (0.0, 0.0, 1.0, 1.0), 0.3)
