"""What the query service answers and takes, by its own types, is what the commands read and send."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from infra.cli.job import Options
from infra.cli.query_service import Submitted, TaskProgress, Upload
from infra.report.result import read_result
from query_api.types import agent, query
from tests.unit.report.results import make_result

ID = UUID("00000000-0000-4000-8000-0000000000aa")


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(fps=0.0, labels=("any",), model="centernet-256"),
        Options(fps=2.5, analytics=("object_detection", "people_count"), labels=("person", "car")),
    ],
)
def test_the_service_takes_the_request(options: Options) -> None:
    taken = msgspec.convert(options.request(f"http://127.0.0.1:4004/query/v1/videos/{ID}"), agent.VideoSdkRequest)
    assert taken.deferred_task.enable == 1
    assert (taken.video.fps, taken.model) == (options.fps, options.model)


def test_the_service_s_result_is_read_whole() -> None:
    expected = make_result(5)
    tree: dict[str, Any] = msgspec.to_builtins(expected)
    for track in tree["tracks"]:
        track |= {"kind": "object", "image": None}
    for event in tree["events"]:
        event |= {"event_type": "object", "data": {}}
    video_data = _filled(agent.VideoData)
    answer = msgspec.convert(
        tree | {"video_data": msgspec.to_builtins(video_data), "analytics": []}, query.TaskResult, strict=False
    )
    assert read_result(msgspec.json.encode(answer)) == expected


def test_a_task_s_progress_is_read() -> None:
    answer = query.TaskDetail(
        task_id=ID, name="a", state="collecting", status=4, progress=0.5, created_at="", started_at=None, ended_at=None,
        url="", result_url="", error=None, model="m", analytics=[], video=query.VideoFacts("a", 9, 1, 1, 1.0, None, 0),
        ledger=query.Ledger(9, 0, 9, 5, 0, {}, 0, 4), frames_per_s=2.0, eta_s=2.0, errors=[], waiting_for=[],
    )  # fmt: skip
    progress = msgspec.json.decode(msgspec.json.encode(answer), type=TaskProgress)
    assert (progress.state, progress.ledger.processed, progress.eta_s) == ("collecting", 5, 2.0)


def test_upload_and_submission_are_read() -> None:
    upload = query.VideoItem(ID, "http://u", "a", 1, True, None)
    assert msgspec.json.decode(msgspec.json.encode(upload), type=Upload) == Upload(str(ID), "http://u", True)
    submitted = msgspec.json.encode(agent.DeferredAnswer(str(ID), "http://u"))
    assert msgspec.json.decode(submitted, type=Submitted).task_id == str(ID)


def _filled(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """A value of `kind` with zeros wherever there is no default."""
    return kind(**{field.name: _zero(field.type) for field in msgspec.structs.fields(kind) if field.required})


def _zero(kind: Any) -> Any:
    for value in (0, 0.0, "", [], {}, None):
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            continue
    raise AssertionError(kind)
