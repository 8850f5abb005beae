"""A TCP proxy between processes and a server, whose wires can be cut, slowed, or cut in one direction."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["to_server", "from_server"]
BOTH: frozenset[Direction] = frozenset({"to_server", "from_server"})
LOOK_AGAIN_S = 0.05
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rule:
    """What a wire does to the bytes of some client.

    Attributes:
        client: process whose connections are meant; None: everybody but this process.
        held: directions in which nothing arrives; as on a real network nothing of a connection is
            lost, it comes when the wire is whole again, if anybody still waits for it.
        delay_s: before each piece, in both directions.
    """

    client: str | None
    held: frozenset[Direction] = frozenset()
    delay_s: float = 0.0


@dataclass(slots=True)
class Wire:
    """One server's proxy."""

    name: str
    port: int
    target: int
    rules: list[Rule] = field(default_factory=list)

    def delay(self, client: str, direction: Direction) -> float | None:
        """Seconds that a piece waits; None: until a rule ends."""
        mine = [rule for rule in self.rules if client and rule.client in (None, client)]
        if any(direction in rule.held for rule in mine):
            return None
        return sum(rule.delay_s for rule in mine)


class Proxies:
    """The wires to all servers, served by a thread of their own.

    Args:
        who: name of the process that has a local port; empty for one that no rule is about.
    """

    def __init__(self, wires: dict[str, Wire], who: Callable[[int], str]) -> None:
        self.wires = wires
        self._who = who
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._servers: list[asyncio.Server] = []

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        for wire in self.wires.values():
            asyncio.run_coroutine_threadsafe(self._listen(wire), self._loop).result(10)

    def stop(self) -> None:
        """Serve nothing any more."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @contextlib.contextmanager
    def ruled(self, wire: str, rule: Rule) -> Iterator[None]:
        """The rule holds within the block."""
        rules = self.wires[wire].rules
        rules.append(rule)
        try:
            yield
        finally:
            rules.remove(rule)

    async def _listen(self, wire: Wire) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._carry(wire, reader, writer)

        self._servers.append(await asyncio.start_server(connected, "127.0.0.1", wire.port, limit=PIECE))

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        carried = asyncio.all_tasks() - {asyncio.current_task()}
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)

    async def _carry(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", wire.target, limit=PIECE)
        except OSError:
            writer.transport.abort()  # as refused as through a proxy it can be
            return
        client = Client(writer.get_extra_info("peername")[1], self._who)
        try:
            pumps = (
                asyncio.create_task(_pump(wire, client, "to_server", reader, ours)),
                asyncio.create_task(_pump(wire, client, "from_server", theirs, writer)),
            )
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            for end in (writer, ours):
                end.transport.abort()


class Client:
    """Whose connection it is; looked up when the first rule wants to know."""

    def __init__(self, port: int, who: Callable[[int], str]) -> None:
        self._port = port
        self._who = who
        self._name: str | None = None

    async def name(self) -> str:
        """Name of the process."""
        if self._name is None:
            self._name = await asyncio.to_thread(self._who, self._port)
        return self._name


async def _pump(
    wire: Wire, client: Client, direction: Direction, source: asyncio.StreamReader, target: asyncio.StreamWriter
) -> None:
    while data := await source.read(PIECE):
        while wire.rules:
            delay = wire.delay(await client.name(), direction)
            await asyncio.sleep(LOOK_AGAIN_S if delay is None else delay)
            if delay is not None:
                break
        target.write(data)
        await target.drain()
