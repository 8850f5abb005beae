"""The published schemas are the code's, take every example, and were only added to."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import msgspec
import pytest

from core import messages as m
from core.contracts import TYPES, add_only, examples, published, schema

DECODERS = {
    "streams": m.decode_spec,
    "detections": m.decode_detections,
    "tracks": m.decode_tracks,
    "events": m.decode_event,
    "stream-status": m.decode_status,
    "nodes": m.decode_node,
    "stream-changes": m.decode_change,
    "task-ends": m.decode_task_end,
    "notifications": m.decode_notification,
}
ALONE = {
    "streams": "stream_spec",
    "stream-status": "stream_status",
    "stream-changes": "stream_change",
    "task-ends": "task_end",
    "notifications": "notification",
}
"""Topics of one kind of message."""


@pytest.mark.parametrize("topic", TYPES)
def test_published_schema_is_the_codes(topic: str) -> None:
    assert published(topic) == schema(topic), "run `python -m core.contracts`"


@pytest.mark.parametrize("topic", TYPES)
def test_schema_only_adds_to_its_baseline(topic: str) -> None:
    assert add_only(published(topic, "baseline"), schema(topic)) == []


@pytest.mark.parametrize("topic", TYPES)
def test_examples_show_every_message_of_the_topic(topic: str) -> None:
    tags = {value["message"] for value in examples(topic)}
    mapping = schema(topic).get("discriminator", {}).get("mapping")
    assert tags == (set(mapping) if mapping else {ALONE[topic]})


@pytest.mark.parametrize("topic", TYPES)
def test_examples_are_valid(topic: str) -> None:
    validator = jsonschema.Draft202012Validator(schema(topic))
    for example in examples(topic):
        validator.validate(example)


@pytest.mark.parametrize("topic", DECODERS)
def test_examples_survive_a_round_trip(topic: str) -> None:
    for example in examples(topic):
        read = DECODERS[topic](msgspec.json.encode(example))
        assert msgspec.json.decode(m.encode_json(read)) == example


def test_frame_examples_survive_a_round_trip_as_message_pack() -> None:
    for example in examples("frames"):
        message = msgspec.convert(example, m.FramesMessage)
        assert m.decode_frames(m.encode_frame(message)) == message


def test_a_field_that_a_newer_version_adds_is_passed_over() -> None:
    example = {**examples("events")[0], "added_later": 1}
    assert isinstance(m.decode_event(msgspec.json.encode(example)), m.Event)


def _without_field(document: dict[str, Any]) -> None:
    del document["$defs"]["Event"]["properties"]["score"]


def _with_other_type(document: dict[str, Any]) -> None:
    document["$defs"]["Event"]["properties"]["score"] = {"type": "string"}


def _with_new_demand(document: dict[str, Any]) -> None:
    document["$defs"]["Event"]["properties"]["colour"] = {"type": "string"}
    document["$defs"]["Event"]["required"].append("colour")


def _without_type(document: dict[str, Any]) -> None:
    del document["$defs"]["Event"]


def _without_enum_value(document: dict[str, Any]) -> None:
    document["$defs"]["Event"]["properties"]["phase"]["enum"].remove("update")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without_field, "Event.score: removed"),
        (_with_other_type, "Event.score: changed"),
        (_with_new_demand, "Event.colour: required now"),
        (_without_type, "Event: removed"),
        (_without_enum_value, "Event.phase: changed"),
    ],
)
def test_the_check_sees_what_breaks_a_consumer(change: Any, says: str) -> None:
    document = copy.deepcopy(published("events"))
    change(document)
    faults = add_only(published("events"), document)
    assert len(faults) == 1
    assert faults[0].startswith(says)


def test_the_check_allows_an_optional_field_and_a_wider_type() -> None:
    document = copy.deepcopy(published("events"))
    properties = document["$defs"]["Event"]["properties"]
    properties["colour"] = {"type": "string", "default": ""}
    properties["phase"]["enum"].append("pause")
    properties["label"] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": ""}
    assert add_only(published("events"), document) == []
