"""What a host says of itself, damaged: refused, and with nothing but BadMessage."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts import examples
from core.errors import BadMessage
from core.messages import decode_node

GOOD = examples("nodes")


@pytest.mark.parametrize(
    "change",
    [
        {"ts_ms": -1},
        {"started_ms": 2**62},
        {"cpu_percent": -1.0},
        {"ram_percent": 1e9},
        {"host": "x" * 257},
        {"address": "a\x00b"},
        {"run_mode": "TPU"},
        {"streams": -1},
        {"services": {str(n): 1 for n in range(257)}},
        {"services": {"x" * 257: 1}},
        {"gpus": [{"number": 0, "name": "x" * 257}]},
        {"gpus": [{"number": 0, "name": "x", "memory_total": 2**60}]},
        {"usage": {"ingest": {"number": 1}}},
        {"message": "node"},
    ],
)
def test_what_no_host_can_be_is_refused(change: dict[str, Any]) -> None:
    decode_node(msgspec.json.encode(GOOD[0]))
    with pytest.raises(BadMessage):
        decode_node(msgspec.json.encode({**GOOD[0], **change}))


@pytest.mark.parametrize("example", GOOD, ids=lambda example: example["message"])
def test_an_example_cut_at_any_byte_is_refused(example: dict[str, Any]) -> None:
    data = msgspec.json.encode(example)
    for at in range(len(data)):
        with pytest.raises(BadMessage):
            decode_node(data[:at])


@given(seed=st.integers(0, 2**32))
def test_damaged_bytes_raise_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(msgspec.json.encode(chance.choice(GOOD)))
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    try:
        decode_node(bytes(data))
    except BadMessage:
        return


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    newer = {**GOOD[0], "added_later": {"deep": [1]}}
    assert decode_node(msgspec.json.encode(newer)) == decode_node(msgspec.json.encode(GOOD[0]))
