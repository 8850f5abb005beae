from __future__ import annotations

from aiokafka.partitioner import murmur2
from hypothesis import example, given
from hypothesis import strategies as st

from core.partitions import partition_of


@given(st.binary(max_size=80), st.integers(1, 1000))
@example(b"", 1)
def test_a_key_lies_where_the_worker_s_library_puts_it(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


def test_keys_of_java_s_own_tests() -> None:
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-longer-string": -1486304829, b"abc": 479470107}
    for key, hashed in known.items():
        assert partition_of(key, 2**31 - 1) == (hashed & 0x7FFFFFFF) % (2**31 - 1)
