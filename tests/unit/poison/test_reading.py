"""Every topic's bytes, damaged in every way: refused, and with nothing but BadMessage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import messages as m
from core.bounds import check_key
from core.errors import BadMessage
from tests.hostile.messages import TOPICS, Poison, bad, every_truncation, goods, strange

DECODERS: dict[str, Callable[[bytes | None], Any]] = {
    "streams": m.decode_spec,
    "frames": m.decode_frames,
    "detections": m.decode_detections,
    "tracks": m.decode_tracks,
    "events": m.decode_event,
    "stream-status": m.decode_status,
    "stream-changes": m.decode_change,
    "task-ends": m.decode_task_end,
    "notifications": m.decode_notification,
}


def read(topic: str, poison: Poison) -> Any:
    message = DECODERS[topic](poison.value)
    check_key(poison.key, message.stream_id)
    return message


@pytest.mark.parametrize("topic", TOPICS)
def test_the_examples_are_read(topic: str) -> None:
    for key, value in goods(topic):
        read(topic, Poison("none", key, value))


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("seed", range(150))
def test_what_is_bad_is_refused(topic: str, seed: int) -> None:
    poison = bad(topic, seed)
    with pytest.raises(BadMessage):
        read(topic, poison)
        pytest.fail(f"was read: {poison.what}")


@pytest.mark.parametrize("topic", TOPICS)
def test_an_example_cut_at_any_byte_is_refused(topic: str) -> None:
    for poison in every_truncation(topic):
        with pytest.raises(BadMessage):
            read(topic, poison)


@pytest.mark.parametrize("topic", TOPICS)
@given(seed=st.integers(0, 2**32))
def test_damaged_bytes_raise_nothing_else(topic: str, seed: int) -> None:
    try:
        read(topic, strange(topic, seed))
    except BadMessage:
        return


@pytest.mark.parametrize("topic", TOPICS)
def test_a_field_of_a_newer_version_is_passed_over(topic: str) -> None:
    import msgspec

    library = msgspec.msgpack if topic == "frames" else msgspec.json
    for key, value in goods(topic):
        newer = library.encode({**library.decode(value), "added_later": {"deep": [1]}})
        assert read(topic, Poison("newer", key, newer)) == read(topic, Poison("none", key, value))
