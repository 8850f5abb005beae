"""Many clients of an HTTP service: each asks again as soon as it has its answer, on a connection that stays open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import uvloop

from benchmarks import child

OK = b"HTTP/1.1 200"
LENGTH = b"content-length:"


async def ask(port: int, path: str, clients: int, seconds: float) -> Mapping[str, Any]:
    """Ask for so long.

    Returns:
        ``items`` answers, ``seconds``, and the seconds of each as ``took_s``.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n".encode()
    begun = time.perf_counter()
    took = await asyncio.gather(*(_client(port, request, begun + seconds) for _ in range(clients)))
    whole = [each for one in took for each in one]
    return {"items": len(whole), "seconds": time.perf_counter() - begun, "took_s": whole}


async def _client(port: int, request: bytes, until: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    while (begun := time.perf_counter()) < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(OK), head
        await reader.readexactly(_length(head))
        took.append(time.perf_counter() - begun)
    writer.close()
    await writer.wait_closed()
    return took


def _length(head: bytes) -> int:
    lower = head.lower()
    place = lower.index(LENGTH) + len(LENGTH)
    return int(lower[place : lower.index(b"\r\n", place)])


def make(_: dict[str, Any]) -> tuple[child.Answer, Mapping[str, Any]]:
    """Questions have ``port``, ``path``, ``clients`` and ``seconds``."""
    return lambda question: uvloop.run(ask(**question)), {}


if __name__ == "__main__":
    child.serve(make)
