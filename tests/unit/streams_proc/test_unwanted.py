"""Whose frames are passed over: tasks that are cancelled, and what has been deleted."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest

from core.ids import Run, StreamId
from core.messages import Source, StreamSpec, encode_json
from core.settings import Kafka
from streams_proc.unwanted import Unwanted

TASK = StreamId(UUID(int=1))
SPEC = StreamSpec(TASK, Run(1), "t", "batch", Source("media:x"), (), "m", 0, task=True)
KEY = str(TASK).encode()


@pytest.fixture
def unwanted(monkeypatch: pytest.MonkeyPatch) -> Unwanted:
    monkeypatch.setattr(Unwanted, "_follow", lambda self: None)
    return Unwanted(Kafka())


def test_a_cancelled_task_is_unwanted_until_it_runs_again(unwanted: Unwanted) -> None:
    unwanted.take(KEY, encode_json(SPEC))
    assert TASK not in unwanted
    unwanted.take(KEY, encode_json(msgspec.structs.replace(SPEC, desired="stop")))
    assert TASK in unwanted
    unwanted.take(KEY, encode_json(SPEC))
    assert TASK not in unwanted


def test_what_is_deleted_is_unwanted(unwanted: Unwanted) -> None:
    unwanted.take(KEY, None)
    assert TASK in unwanted


def test_a_stopped_stream_keeps_the_frames_that_were_acknowledged(unwanted: Unwanted) -> None:
    unwanted.take(KEY, encode_json(msgspec.structs.replace(SPEC, desired="stop", task=False)))
    assert TASK not in unwanted


@pytest.mark.parametrize(("key", "value"), [(None, None), (b"no id", None), (KEY, b"{"), (b"\xff", b"")])
def test_what_is_no_definition_changes_nothing(unwanted: Unwanted, key: bytes | None, value: bytes | None) -> None:
    unwanted.take(key, value)
    assert TASK not in unwanted
