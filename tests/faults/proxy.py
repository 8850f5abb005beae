"""A TCP proxy between processes and a server, whose wires can be cut, slowed, or cut in one direction."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Literal

Direction = Literal["to_server", "from_server"]
Change = Literal["append", "remove"]
HOST = "127.0.0.1"
ANSWER_S = 30.0
BOTH: frozenset[Direction] = frozenset({"to_server", "from_server"})
LOOK_AGAIN_S = 0.05
MOST_ASKED = 4
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rule:
    """What a wire does to the bytes of some client.

    Attributes:
        client: process whose connections are meant; None: every process of the stack.
        held: directions in which nothing arrives; as on a real network nothing of a connection is
            lost, it comes when the wire is whole again, if anybody still waits for it.
        delay_s: before each piece, in both directions.
    """

    client: str | None
    held: frozenset[Direction] = frozenset()
    delay_s: float = 0.0

    def about(self, client: str, direction: Direction) -> bool:
        """Whether it does anything to a client's bytes in this direction."""
        return bool(client) and self.client in (None, client) and (direction in self.held or self.delay_s > 0)


@dataclass(slots=True)
class Wire:
    """One server's proxy.

    Attributes:
        rules: those that hold, by number.
        hurt: pieces that each rule has held or slowed.
    """

    name: str
    port: int
    target: int
    rules: dict[int, Rule] = field(default_factory=dict)
    hurt: Counter[int] = field(default_factory=Counter)

    def delay(self, client: str, direction: Direction) -> float | None:
        """Seconds that a piece waits; None: until a rule ends."""
        mine = self._mine(client, direction)
        if any(direction in rule.held for rule in mine.values()):
            return None
        return sum(rule.delay_s for rule in mine.values())

    def count(self, client: str, direction: Direction) -> None:
        """One more piece comes to whichever rules are about it."""
        self.hurt.update(self._mine(client, direction).keys())

    def _mine(self, client: str, direction: Direction) -> dict[int, Rule]:
        return {number: rule for number, rule in self.rules.items() if rule.about(client, direction)}

    def append(self, number: int, rule: Rule) -> int:
        """The rule holds from now on."""
        self.rules[number] = rule
        return 0

    def remove(self, number: int, _: Rule) -> int:
        """It holds no more; how many pieces it has held or slowed."""
        del self.rules[number]
        return self.hurt.pop(number, 0)


@dataclass(slots=True)
class Hurt:
    """What a rule did, once it holds no more.

    Attributes:
        pieces: that were held or slowed.
    """

    pieces: int = 0


class Proxies:
    """The wires to all servers, in a process of their own: all traffic goes through them.

    Args:
        who: name of the process that has a local port; empty for one that no rule is about. It is pickled.
    """

    def __init__(self, wires: Sequence[Wire], who: Callable[[int], str]) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._orders, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(wires, who, theirs), name="proxies", daemon=True)
        self._theirs = theirs
        self._numbers = itertools.count()

    def start(self) -> None:
        """Listen. Raises OSError when a port is taken."""
        self._process.start()
        self._theirs.close()
        self._answer()

    def stop(self) -> None:
        """Serve nothing any more."""
        self._orders.close()
        self._process.join(10)
        self._process.kill()

    @contextlib.contextmanager
    def ruled(self, wire: str, rule: Rule) -> Iterator[Hurt]:
        """The rule holds within the block."""
        number, hurt = next(self._numbers), Hurt()
        self._order("append", wire, number, rule)
        try:
            yield hurt
        finally:
            hurt.pieces = self._order("remove", wire, number, rule)

    def _order(self, what: Change, wire: str, number: int, rule: Rule) -> int:
        self._orders.send((what, wire, number, rule))
        return self._answer()

    def _answer(self) -> int:
        if not self._orders.poll(ANSWER_S):
            raise OSError(f"the proxies did not answer within {ANSWER_S:.0f} s")
        answer: int | OSError = self._orders.recv()
        if isinstance(answer, OSError):
            raise answer
        return answer


def _serve(wires: Sequence[Wire], who: Callable[[int], str], orders: Connection) -> None:
    """The process of the proxies; it ends with whoever gives the orders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's goes to both; the other ends this one
    with contextlib.suppress(EOFError):
        asyncio.run(_Serving(wires, who, orders).run())


class _Serving:
    def __init__(self, wires: Sequence[Wire], who: Callable[[int], str], orders: Connection) -> None:
        self._wires = {wire.name: wire for wire in wires}
        self._who = who
        self._orders = orders

    async def run(self) -> None:
        """Raises EOFError when nobody gives orders any more."""
        async with contextlib.AsyncExitStack() as servers:
            try:
                for wire in self._wires.values():
                    server = await asyncio.start_server(partial(self._connected, wire), HOST, wire.port, limit=PIECE)
                    servers.callback(server.close)
            except OSError as error:
                self._orders.send(error)
                return
            self._orders.send(0)
            while True:
                what, wire, number, rule = await asyncio.to_thread(self._orders.recv)
                self._orders.send(getattr(self._wires[wire], what)(number, rule))

    async def _connected(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._carry(wire, reader, writer)

    async def _carry(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, ours = await asyncio.open_connection(HOST, wire.target, limit=PIECE)
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
        self._name = ""
        self._asked = 0

    async def name(self) -> str:
        """Name of the process; empty when it cannot be told, or is none of the stack's."""
        if not self._name and self._asked < MOST_ASKED:
            self._asked += 1
            self._name = await asyncio.to_thread(self._who, self._port)
        return self._name


async def _pump(
    wire: Wire, client: Client, direction: Direction, source: asyncio.StreamReader, target: asyncio.StreamWriter
) -> None:
    while data := await source.read(PIECE):
        if wire.rules:
            wire.count(await client.name(), direction)
        while wire.rules:
            delay = wire.delay(await client.name(), direction)
            await asyncio.sleep(LOOK_AGAIN_S if delay is None else delay)
            if delay is not None:
                break
        target.write(data)
        await target.drain()
