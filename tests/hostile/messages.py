"""Records that no topic should hold, made of the published examples, the same way for the same seed.

`bad` are refused wherever they are read. `strange` may be read, and then mean something else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from core.contracts import TYPES, examples
from core.messages import FramesMessage, encode_frame

TOPICS = tuple(topic for topic in TYPES if topic != "nodes")
"""Those whose messages are of streams."""

EXAMPLE = UUID("557d54ec-29ad-4f3c-93b4-c9092ef12515")
HUGE = 2**63
NUMBERS: tuple[Any, ...] = (-1, HUGE, -HUGE, 2**64 - 1, 10**30, 1e308, -1e308)
FLOATS: tuple[float, ...] = (float("nan"), float("inf"), float("-inf"))
BOXES: tuple[list[float], ...] = (
    [-0.1, 0.0, 0.5, 0.5],
    [0.0, 0.0, 1.1, 0.5],
    [1e308, 0.0, 1.0, 1.0],
    [0.0, 0.0, -1e308, 1.0],
)
ABSURD_NUMBERS = {
    "run": (0, -1, 2**31, *NUMBERS[1:4]),
    "seq": (*NUMBERS, 2**53),
    "index": NUMBERS,
    "ts_ms": NUMBERS,
    "media_s": (-1.0, 1e308),
    "width": (-1, 70_000, HUGE),
    "height": (-1, 70_000, HUGE),
    "begin_s": (-1.0, 1e308),
    "number": (-1, 2**31, HUGE),
    "track_id": (-1, 2**31, HUGE),
    "analytic_index": (-1, 70_000),
    "begin_ms": (-1, HUGE),
    "score": (-0.5, 1.5, 1e308),
    "last_media_s": (-1.0, 1e308),
    "total_frames": (-1, HUGE),
    "started_ms": (-1, HUGE),
    "model_version": (-1, HUGE),
    "held": NUMBERS,
    "held_s": (-1.0, 1e308),
}
"""Values, by a top-level field's name, that its schema allows and nothing can hold."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A record's key and value, and what is wrong with it."""

    what: str
    key: bytes | None
    value: bytes | None


def encoded(topic: str, example: dict[str, Any]) -> bytes:
    """An example as its topic's bytes, unchecked; frames' pictures become bytes."""
    if topic != "frames":
        return msgspec.json.encode(example)
    made = deepcopy(example)
    if isinstance(made.get("jpeg"), str):
        made["jpeg"] = b"\xff\xd8\xff\xd9"
    return msgspec.msgpack.encode(made)


def key_of(example: dict[str, Any]) -> bytes:
    """The key of an example's record."""
    return str(example["stream_id"]).encode()


def goods(topic: str) -> list[tuple[bytes, bytes]]:
    """The topic's examples as records."""
    return [
        (key_of(e), encode_frame(msgspec.convert(e, FramesMessage)) if topic == "frames" else msgspec.json.encode(e))
        for e in examples(topic)
    ]


def bad(topic: str, seed: int, stream: UUID = EXAMPLE) -> Poison:
    """One record that the topic's readers refuse, made of what a stream may have there."""
    chance = random.Random(f"bad/{topic}/{seed}")
    kinds = [kind for kind in BAD if kind is not _float or topic == "frames"]
    made = None
    while made is None:
        made = chance.choice(kinds)(chance, topic, _of(stream, chance.choice(examples(topic))))
    return made


def _of(stream: UUID, example: dict[str, Any]) -> dict[str, Any]:
    """The example as if it were this stream's."""
    text = msgspec.json.encode(example).replace(str(EXAMPLE).encode(), str(stream).encode())
    made: dict[str, Any] = msgspec.json.decode(text)
    return made


def strange(topic: str, seed: int, stream: UUID = EXAMPLE) -> Poison:
    """One record that is damaged so that it may still be read."""
    chance = random.Random(f"strange/{topic}/{seed}")
    example = _of(stream, chance.choice(examples(topic)))
    data = bytearray(encoded(topic, example))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data))
        match chance.randrange(3):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at]
            case _:
                data.insert(at, chance.randrange(256))
    return Poison("damaged bytes", key_of(example), bytes(data))


def every_truncation(topic: str) -> Iterator[Poison]:
    """Each example, cut at every byte."""
    for example in examples(topic):
        data = encoded(topic, example)
        yield from (Poison(f"cut at {at}", key_of(example), data[:at]) for at in range(len(data)))


Made = Poison | None
Kind = Callable[[random.Random, str, dict[str, Any]], Made]


def _truncated(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    data = encoded(topic, example)
    return Poison("truncated", key_of(example), data[: chance.randrange(len(data))])


def _random(chance: random.Random, _: str, example: dict[str, Any]) -> Made:
    return Poison("random bytes", key_of(example), b"\xc1" + chance.randbytes(chance.choice([0, 1, 16, 4096, 100_000])))


def _nothing(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    empty = Poison("empty", key_of(example), b"")
    return empty if topic == "streams" else chance.choice([empty, Poison("null", key_of(example), None)])


def _tag(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    example["message"] = chance.choice(["", "other", "frame/2", "frame_detections_v2", 7, None, ["frame"]])
    return Poison("wrong tag or version", key_of(example), encoded(topic, example))


def _missing(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    # a topic of one kind of message is read without its tag, too
    tag = [] if topic in {"streams", "stream-status", "stream-changes", "task-ends", "notifications"} else ["message"]
    del example[chance.choice(["stream_id", "run", *tag])]
    key = str(example.get("stream_id", EXAMPLE)).encode()
    return Poison("field missing", key, encoded(topic, example))


def _type(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    key, field = key_of(example), chance.choice(["stream_id", "run", "message"])
    example[field] = chance.choice([{}, [], [[]], {"a": 1}, True, 1.5, [None] * 1000])
    return Poison("wrong type", key, encoded(topic, example))


def _deep(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    depth = chance.choice([100, 900, 5000, 100_000])
    if topic == "frames":
        return Poison("nested deep", key_of(example), b"\x91" * depth + b"\xc0")
    whole = encoded(topic, example).rstrip(b"}") if chance.random() < 0.5 else b""
    nested = b"[" * depth + b"]" * depth
    return Poison("nested deep", key_of(example), whole + b',"data":' + nested if whole else nested)


def _deep_data(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    """Deeper than what reads it again can bear, and not too deep to be read once."""
    inner: Any = 1
    for _ in range(chance.choice([70, 200, 400])):
        inner = {"a": inner} if chance.random() < 0.5 else [inner]
    if example["message"] == "event":
        example["data"] = {"deep": inner}
    elif example["message"] == "stream_spec":
        example["analytics"] = [{"name": "object_detection", "parameters": {"deep": inner}}]
    elif example["message"] == "notification":
        example["body"] = {"deep": inner}
    else:
        return None
    return Poison("nested deep in its data", key_of(example), encoded(topic, example))


def _number(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    fields = [f for f in ABSURD_NUMBERS if f in example]
    field = chance.choice(fields)
    value = chance.choice(ABSURD_NUMBERS[field])
    if topic == "frames" and isinstance(value, int) and not -(2**63) <= value < 2**64:
        return None
    example[field] = value
    return Poison(f"{field} = {value}", key_of(example), encoded(topic, example))


def _float(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    if "media_s" not in example:
        return None
    example["media_s"] = chance.choice(FLOATS)
    return Poison(f"media_s = {example['media_s']}", key_of(example), encoded(topic, example))


def _box(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    for field in ("objects", "faces", "tracks", "views"):
        if example.get(field):
            example[field][0]["box"] = chance.choice(BOXES)
            return Poison(f"{field}.box = {example[field][0]['box']}", key_of(example), encoded(topic, example))
    return None


def _huge(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    many = chance.choice([2001, 5000])
    match example["message"]:
        case "frame_detections":
            example["objects"] = [{"label": "x", "score": 0.5, "box": [0, 0, 1, 1]}] * many
        case "frame_tracks":
            example["tracks"] = example["tracks"][:1] * many
        case "event":
            example["label"] = "x" * 1_000_000
        case "stream_status":
            example["host"] = "h" * 1_000_000
        case "stream_spec":
            example["name"] = "n" * 1_000_000
        case "frame":
            example["model"] = "m" * 1_000_000
        case "notification":
            example["account_id"] = "a" * 1_000_000
        case "task_end" | "stream_change":
            example["error"] = "e" * 1_000_000
        case "run_end":
            example["error"] = "e" * 1_000_000
        case _:
            return None
    return Poison("huge", key_of(example), encoded(topic, example))


def _names(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    """Names that lead elsewhere."""
    match example["message"]:
        case "frame" | "stream_spec":
            example["model"] = chance.choice(["../../etc/passwd", "", "a\x00b", "/abs", ".hidden"])
        case "frame_detections":
            example["place"] = {
                "topic": chance.choice(["", "a b", "x" * 300, "../x", "\x00"]),
                "partition": 0,
                "offset": chance.choice([0, 5]),
            }
        case "frame_tracks" if example.get("views"):
            example["views"][0]["media_key"] = chance.choice(["uploads/a.mp4", "../x", "other/1/x.jpg", ""])
        case _:
            return None
    return Poison("a name that leads elsewhere", key_of(example), encoded(topic, example))


def _place(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    if example["message"] != "frame_detections":
        return None
    field = chance.choice(["partition", "offset"])
    example["place"][field] = chance.choice([-1, HUGE, -HUGE, 2**62 + 1])
    return Poison(f"place.{field} = {example['place'][field]}", key_of(example), encoded(topic, example))


def _counts(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    if not isinstance(example.get("counts"), dict):
        return None
    example["counts"]["read"] = chance.choice([-1, HUGE, 2**53])
    return Poison(f"counts.read = {example['counts']['read']}", key_of(example), encoded(topic, example))


def _vector(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    if not example.get("views"):
        return None
    example["views"][0]["embedding"] = chance.choice([[1e308] * 8, [0.1] * 10_000, [-1e39, 0.0]])
    return Poison("a vector that is none", key_of(example), encoded(topic, example))


def _key(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    keys = [b"", b"\xff\xfe", b"not-an-id", b"00000000-0000-0000-0000-000000000009", key_of(example).upper() + b" "]
    # a compacted topic takes no record without a key
    key = chance.choice(keys if topic == "streams" else [*keys, None])
    return Poison(f"key = {key!r}", key, encoded(topic, example))


def _other_topic(chance: random.Random, topic: str, example: dict[str, Any]) -> Made:
    other = chance.choice([t for t in TOPICS if t != topic])
    foreign = next((e for e in examples(other) if e["message"] not in {x["message"] for x in examples(topic)}), None)
    return None if foreign is None else Poison(f"of topic {other}", key_of(foreign), encoded(other, foreign))


BAD: tuple[Kind, ...] = (
    _truncated,
    _random,
    _nothing,
    _tag,
    _missing,
    _type,
    _deep,
    _deep_data,
    _number,
    _float,
    _box,
    _huge,
    _names,
    _place,
    _counts,
    _vector,
    _key,
    _other_topic,
)
