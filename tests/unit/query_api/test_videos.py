"""Uploads: whole, in pieces, interrupted, too large, and read again."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from falcon import testing

from core.errors import NotFound
from core.settings import Settings
from query_api.app import create_app
from tests.unit.query_api.conftest import deferred
from tests.unit.query_api.fakes import Parts

DATA = bytes(range(256)) * 10
OCTETS = {"Content-Type": "application/octet-stream"}


def upload(client: testing.TestClient, data: bytes = DATA, name: str = "bikes.MP4", **params: Any) -> Any:
    answer = client.simulate_post("/query/v1/videos", params={"name": name, **params}, body=data, headers=OCTETS)
    assert answer.status_code == 201, answer.text
    return answer.json


def path(item: Any) -> str:
    return str(item["url"]).removeprefix("http://falconframework.org")


def append(client: testing.TestClient, item: Any, at: int | None, data: bytes, **more: Any) -> testing.Result:
    headers = {**OCTETS, **({} if at is None else {"Upload-Offset": str(at)}), **more.pop("headers", {})}
    return client.simulate_patch(path(item), body=data, headers=headers, **more)


def test_a_whole_file_at_once(client: testing.TestClient, parts: Parts) -> None:
    answer = client.simulate_post("/query/v1/videos", params={"name": "bikes.MP4"}, body=DATA, headers=OCTETS)
    assert answer.status_code == 201
    assert answer.headers["Location"] == answer.json["url"]
    assert answer.headers["Upload-Offset"] == str(len(DATA))
    assert answer.headers["Upload-Complete"] == "?1"
    item = answer.json
    assert (item["size"], item["complete"], item["name"]) == (len(DATA), True, "bikes.MP4")
    assert item["sha256"] == hashlib.sha256(DATA).hexdigest()
    key = parts.control.upload(UUID(item["video_id"])).media_key
    assert key == f"uploads/{item['video_id']}.mp4"
    assert parts.collaborators.media.get(key) == DATA
    assert list(parts.collaborators.staging.iterdir()) == []


def test_a_form_with_a_file(client: testing.TestClient) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.gif"\r\n'
        b"Content-Type: image/gif\r\n\r\nGIF89a\r\n--b--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.simulate_post("/query/v1/videos", body=form, headers=headers)
    assert answer.status_code == 201, answer.text
    assert (answer.json["name"], answer.json["size"]) == ("a.gif", 6)
    assert client.simulate_get(path(answer.json)).content == b"GIF89a"


@pytest.mark.parametrize(
    "form", [b"", b"nothing", b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--b--\r\n']
)
def test_a_form_without_a_file(client: testing.TestClient, parts: Parts, form: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.simulate_post("/query/v1/videos", body=form, headers=headers)
    assert answer.status_code == 400, answer.text
    assert parts.control.uploads().items == ()


def test_pieces_of_a_file_of_known_size(client: testing.TestClient) -> None:
    item = upload(client, b"", partial="true", size=len(DATA))
    assert not item["complete"]
    assert append(client, item, 0, DATA[:100]).json["size"] == 100
    head = client.simulate_head(path(item))
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("100", str(len(DATA)))
    assert head.headers["Upload-Complete"] == "?0"
    last = append(client, item, 100, DATA[100:])
    assert last.json["complete"]
    assert last.json["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert client.simulate_get(path(item)).content == DATA


def test_pieces_of_a_file_of_unknown_size(client: testing.TestClient) -> None:
    item = upload(client, DATA[:10], partial="true")
    assert not append(client, item, 10, DATA[10:20], headers={"Upload-Complete": "?0"}).json["complete"]
    assert not append(client, item, 20, DATA[20:30], params={"partial": "true"}).json["complete"]
    assert append(client, item, 30, DATA[30:], headers={"Upload-Complete": "?1"}).json["complete"]
    assert client.simulate_get(path(item)).content == DATA


def test_the_size_may_come_as_a_header(client: testing.TestClient) -> None:
    headers = {**OCTETS, "Upload-Length": "5", "Upload-Complete": "?0"}
    item = client.simulate_post("/query/v1/videos", body=b"12", headers=headers).json
    assert append(client, item, 2, b"3456").status_code == 413, "more than was announced"
    assert append(client, item, 2, b"345").json["complete"]
    wrong = client.simulate_post("/query/v1/videos", body=b"1", headers={**OCTETS, "Upload-Length": "many"})
    assert wrong.status_code == 400
    assert wrong.json["field"] == "Upload-Length"


def test_the_wrong_place_is_refused(client: testing.TestClient) -> None:
    item = upload(client, DATA[:10], partial="true")
    assert append(client, item, 9, b"x").status_code == 409
    assert append(client, item, 11, b"x").status_code == 409
    missing = append(client, item, None, b"x")
    assert missing.status_code == 400
    assert missing.json["field"] == "Upload-Offset"
    whole = upload(client)
    assert append(client, whole, len(DATA), b"x").status_code == 409


def test_an_upload_is_written_by_one_request_at_a_time(client: testing.TestClient, parts: Parts) -> None:
    import fcntl

    item = upload(client, DATA[:10], partial="true")
    staged = parts.collaborators.staging / f"{item['video_id']}.part"
    with staged.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert append(client, item, 10, b"x").status_code == 409
    assert append(client, item, 10, b"x").status_code == 200


def test_too_large(settings: Settings, client_of: Callable[[Settings], testing.TestClient], parts: Parts) -> None:
    media = settings.media.model_copy(update={"max_upload_bytes": 100})
    small = client_of(settings.model_copy(update={"media": media}))
    for params in ({}, {"partial": "true", "size": 101}):
        body = DATA[:101] if not params else b""
        answer = small.simulate_post("/query/v1/videos", params=params, body=body, headers=OCTETS)
        assert answer.status_code == 413
    item = upload(small, DATA[:90], partial="true")
    assert append(small, item, 90, DATA[:11]).status_code == 413
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * 200 + b"\r\n--b--\r\n"
    answer = small.simulate_post(
        "/query/v1/videos", body=form, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 413
    assert len(parts.control.uploads().items) == 1, "what was refused is not kept"


def test_a_full_disk(client: testing.TestClient, monkeypatch: pytest.MonkeyPatch, parts: Parts) -> None:
    item = upload(client, DATA[:10], partial="true")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 999, 1))
    assert client.simulate_post("/query/v1/videos", body=DATA, headers=OCTETS).status_code == 507
    assert append(client, item, 10, b"x").status_code == 507
    assert len(parts.control.uploads().items) == 1


def test_an_empty_file(client: testing.TestClient, parts: Parts) -> None:
    assert client.simulate_post("/query/v1/videos", headers=OCTETS).status_code == 400
    assert parts.control.uploads().items == ()


def test_another_content_type(client: testing.TestClient) -> None:
    assert client.simulate_post("/query/v1/videos", body=b"x", headers={"Content-Type": "text/html"}).status_code == 415
    assert client.simulate_post("/query/v1/videos", body=b"x", headers={"Content-Type": "video/mp4"}).status_code == 201


def test_an_upload_whose_connection_breaks_goes_on_where_it_stopped(settings: Settings, parts: Parts) -> None:
    client = testing.TestClient(create_app(settings, parts.collaborators))
    item = upload(client, b"", partial="true", size=len(DATA))

    def send(method: str, url: str, headers: dict[str, str]) -> None:
        events = [
            {"type": "http.request", "body": DATA[:100], "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Any:
            return events.pop(0) if len(events) > 1 else events[0]

        async def ignore(_: Any) -> None:
            return

        scope = testing.create_scope(url, method=method, headers={**OCTETS, **headers})
        asyncio.run(create_app(settings, parts.collaborators)(scope, receive, ignore))

    send("PATCH", path(item), {"Upload-Offset": "0", "Content-Length": str(len(DATA))})
    head = client.simulate_head(path(item))
    assert head.headers["Upload-Offset"] == "100"
    assert append(client, item, 100, DATA[100:]).json["complete"]
    assert client.simulate_get(path(item)).content == DATA
    before = len(parts.control.uploads().items)
    send("POST", "/query/v1/videos", {})
    assert len(parts.control.uploads().items) == before, "nobody knows the id of what broke off at once"


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=2550-", 206, 2550, 2560),
        ("bytes=-10", 206, 2550, 2560),
        ("bytes=-9999", 206, 0, 2560),
        ("bytes=10-99999", 206, 10, 2560),
        ("bytes=5-2", 200, 0, 2560),
        ("bytes=0-1,5-6", 200, 0, 2560),
        ("bytes=-", 200, 0, 2560),
        ("lines=1-2", 200, 0, 2560),
    ],
)
def test_ranges(client: testing.TestClient, asked: str, status: int, start: int, end: int) -> None:
    item = upload(client)
    answer = client.simulate_get(path(item), headers={"Range": asked})
    assert answer.status_code == status
    assert answer.content == DATA[start:end]
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["Content-Type"] == "video/mp4"
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/2560"


@pytest.mark.parametrize(("asked", "status"), [("bytes=2560-", 416), ("bytes=-0", 416), (f"bytes={'9' * 30}-", 400)])
def test_impossible_ranges(client: testing.TestClient, asked: str, status: int) -> None:
    answer = client.simulate_get(path(upload(client)), headers={"Range": asked})
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["Content-Range"] == "bytes */2560"


def test_what_did_not_change_is_not_sent_again(client: testing.TestClient) -> None:
    item = upload(client)
    etag = client.simulate_get(path(item)).headers["ETag"]
    answer = client.simulate_get(path(item), headers={"If-None-Match": f'"other", W/{etag}'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert client.simulate_get(path(item), headers={"If-None-Match": '"other"'}).status_code == 200


def test_reading_an_upload_that_is_not_whole(client: testing.TestClient) -> None:
    item = upload(client, DATA[:10], partial="true")
    assert client.simulate_get(path(item)).status_code == 409
    answer = client.simulate_post("/1/videosdk", json=deferred(url=item["url"]))
    assert answer.status_code == 409


def test_a_task_reads_the_upload_and_holds_it(client: testing.TestClient, parts: Parts) -> None:
    item = upload(client)
    task = client.simulate_post("/1/videosdk", json=deferred(url=item["url"]))
    assert task.status_code == 202, task.text
    row = parts.control.stream(UUID(task.json["task_id"]))  # type: ignore[arg-type]
    assert row.spec.source.url == f"media:uploads/{item['video_id']}.mp4"
    assert row.spec.name == "bikes.MP4"
    assert client.simulate_delete(path(item)).status_code == 409
    assert client.simulate_delete(f"/query/v1/tasks/{task.json['task_id']}").status_code == 204
    assert client.simulate_get(path(item)).status_code == 404
    with pytest.raises(NotFound):
        parts.collaborators.media.get(f"uploads/{item['video_id']}.mp4")


def test_two_tasks_share_an_upload(client: testing.TestClient) -> None:
    item = upload(client)
    first, second = (client.simulate_post("/1/videosdk", json=deferred(url=item["url"])).json for _ in range(2))
    client.simulate_delete(f"/query/v1/tasks/{first['task_id']}")
    assert client.simulate_get(path(item)).content == DATA
    client.simulate_delete(f"/query/v1/tasks/{second['task_id']}")
    assert client.simulate_get(path(item)).status_code == 404


def test_an_upload_whose_bytes_are_gone(client: testing.TestClient, parts: Parts) -> None:
    item = upload(client)
    parts.collaborators.media.delete(f"uploads/{item['video_id']}.mp4")
    assert client.simulate_post("/1/videosdk", json=deferred(url=item["url"])).status_code == 404


def test_deleting(client: testing.TestClient) -> None:
    for item in (upload(client), upload(client, b"1", partial="true")):
        assert client.simulate_delete(path(item)).status_code == 204
        assert client.simulate_head(path(item)).status_code == 404
        assert client.simulate_delete(path(item)).status_code == 404


def test_old_uploads_that_nobody_uses_go(client: testing.TestClient, parts: Parts) -> None:
    now = parts.control._clock
    parts.control._clock = lambda: now() - 2 * 86_400
    old = upload(client)
    parts.control._clock = now
    upload(client)
    assert client.simulate_head(path(old)).status_code == 404


@pytest.mark.parametrize("name", ["../../etc/passwd", ".mp4", "x.averylongsuffix", "a.m/4"])
def test_names_never_become_paths(client: testing.TestClient, parts: Parts, name: str, tmp_path: Path) -> None:
    item = upload(client, name=name)
    assert item["name"] == name
    key = parts.control.upload(UUID(item["video_id"])).media_key
    assert key is not None
    assert key.startswith(f"uploads/{item['video_id']}")
