"""Calls of the model servers: which address, how often, how long."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc

from core import metrics
from core.errors import CircuitOpen, ModelUnavailable
from core.settings import Breaker
from inference.breaker import CircuitBreaker, State
from inference.protos import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
    PredictResponse,
)
from inference.wire import CHANNEL_OPTIONS

Metadata = Sequence[tuple[str, str]]
Call = Callable[["Server", float], Awaitable[Any]]
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
_BUSY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_DOWN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000))


class Server(Protocol):
    """One model server; its methods raise grpc.RpcError."""

    async def predict(self, request: PredictRequest, timeout_s: float, metadata: Metadata) -> PredictResponse:
        """``PredictionService.Predict``."""
        ...

    async def status(self, request: GetModelStatusRequest, timeout_s: float) -> GetModelStatusResponse:
        """``ModelService.GetModelStatus``."""
        ...

    def connected(self) -> bool:
        """Whether there is a connection; if not, one is tried for."""
        ...

    async def close(self) -> None:
        """Give the connection back."""
        ...


class GrpcServer:
    """A model server at an address."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=(*CHANNEL_OPTIONS, *_RECONNECT))
        self._prediction = PredictionServiceStub(self._channel)
        self._models = ModelServiceStub(self._channel)

    async def predict(self, request: PredictRequest, timeout_s: float, metadata: Metadata) -> PredictResponse:
        """``PredictionService.Predict``."""
        return await self._prediction.Predict(request, timeout=timeout_s, metadata=metadata)

    async def status(self, request: GetModelStatusRequest, timeout_s: float) -> GetModelStatusResponse:
        """``ModelService.GetModelStatus``."""
        return await self._models.GetModelStatus(request, timeout=timeout_s)

    def connected(self) -> bool:
        """Whether there is a connection; if not, one is tried for."""
        return self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close(None)


class Replicas:
    """Several addresses that serve the same models, each with its circuit breaker.

    Args:
        connect, clock, pause, jitter: what reaches outside, for tests.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        breaker: Breaker,
        *,
        connect: Callable[[str], Server] = GrpcServer,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._pause = pause
        self._jitter = jitter
        self._servers: dict[str, Server] = {}
        self._gone: set[str] = set()
        self._breakers = {
            address: CircuitBreaker(breaker, clock, _state_metric(address)) for address in dict.fromkeys(addresses)
        }
        self._next = 0

    async def call(self, call: Call, deadline_s: float) -> Any:
        """Make a call, on another address or after a pause again when a server is busy or away.

        Raises ModelUnavailable when none answered by the deadline, CircuitOpen when none may be
        asked, grpc.RpcError with any answer that another try would not change.
        """
        ends = self._clock() + deadline_s
        longest = FIRST_PAUSE_S
        while True:
            address = self._admitted()
            try:
                return await self._once(address, call, ends)
            except grpc.RpcError as error:
                if error.code() not in (*_BUSY, *_DOWN):
                    raise
                wait = self._jitter() * longest
                if error.code() not in _BUSY or self._clock() + wait >= ends:
                    raise ModelUnavailable(f"{address}: {error.code().name} {error.details()}") from error
            await self._pause(wait)
            longest = min(2 * longest, LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Close every connection."""
        for server in self._servers.values():
            await server.close()
        self._servers.clear()

    async def _once(self, address: str, call: Call, ends: float) -> Any:
        breaker = self._breakers[address]
        if address not in self._servers:
            self._servers[address] = self._connect(address)
        try:
            answer = await call(self._servers[address], max(0.001, ends - self._clock()))
        except grpc.RpcError as error:
            if error.code() in _DOWN:
                breaker.failure()
            elif error.code() in _BUSY:
                breaker.void()
            else:
                breaker.success()  # it answered, if only to say no
            raise
        except BaseException:
            breaker.void()
            raise
        breaker.success()
        return answer

    def _admitted(self) -> str:
        """The next address in turn whose breaker lets a call through. Raises CircuitOpen."""
        addresses = list(self._breakers)
        for step in range(len(addresses)):
            address = addresses[(self._next + step) % len(addresses)]
            self._look(address)
            if self._breakers[address].admit():
                self._next += step + 1
                return address
        raise CircuitOpen(f"the circuit breaker is open for {', '.join(addresses)}")

    def _look(self, address: str) -> None:
        """A server that was gone and takes connections again is tried at once, its circuit open or not.

        One that is open for another reason, such as calls that take too long, waits its time.
        """
        breaker, server = self._breakers[address], self._servers.get(address)
        if server is None or breaker.state is not State.OPEN:
            self._gone.discard(address)
        elif not server.connected():
            self._gone.add(address)
        elif address in self._gone:
            self._gone.discard(address)
            breaker.retry()


def _state_metric(address: str) -> Callable[[State], None]:
    gauge = metrics.gauge("sightline_model_breaker_state").labels(address)
    gauge.set(State.CLOSED)
    return gauge.set
