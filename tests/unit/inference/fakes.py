"""Model servers without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import grpc
import numpy as np

from core.settings import Breaker
from inference.protos import DataType, GetModelStatusRequest, GetModelStatusResponse, PredictRequest, PredictResponse
from inference.replicas import Metadata, Replicas

Answer = Callable[[Sequence[bytes]], PredictResponse]


class Refused(grpc.RpcError):
    """What a server says no with."""

    def __init__(self, code: grpc.StatusCode, details: str | None = "because") -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details


def response(**outputs: object) -> PredictResponse:
    """An answer of version 7 with these float32 outputs."""
    made = PredictResponse()
    made.model_spec.version.value = 7
    for name, value in outputs.items():
        array = np.asarray(value, np.float32)
        tensor = made.outputs[name]
        tensor.dtype = DataType.DT_FLOAT
        tensor.tensor_content = array.tobytes()
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
    return made


@dataclass
class FakeServer:
    """Answers by a function; remembers what it was asked."""

    answer: Answer
    status_answer: GetModelStatusResponse = field(default_factory=GetModelStatusResponse)
    asked: list[list[bytes]] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    closed: bool = False
    connection: bool = True

    async def predict(self, request: PredictRequest, timeout_s: float, metadata: Metadata) -> PredictResponse:
        (tensor,) = request.inputs.values()
        images = list(tensor.string_val)
        self.asked.append(images)
        self.metadata.append(metadata)
        self.timeouts.append(timeout_s)
        return self.answer(images)

    async def status(self, request: GetModelStatusRequest, timeout_s: float) -> GetModelStatusResponse:
        self.timeouts.append(timeout_s)
        return self.status_answer

    def connected(self) -> bool:
        return self.connection

    async def close(self) -> None:
        self.closed = True


class Time:
    """A clock that moves only by pausing."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def replicas(*servers: FakeServer, breaker: Breaker | None = None, time: Time | None = None) -> Replicas:
    """The servers at addresses ``s0``, ``s1`` ..., with every pause as long as it can be."""
    clock = time or Time()
    return Replicas(
        [f"s{n}" for n in range(len(servers))],
        breaker or Breaker(),
        connect=lambda address: servers[int(address[1:])],
        clock=clock,
        pause=clock.pause,
        jitter=lambda: 1.0,
    )


def refusing(*codes: grpc.StatusCode, then: Answer) -> Answer:
    """Say no with each code in turn, then answer."""
    left: Iterator[grpc.StatusCode] = iter(codes)

    def answer(images: Sequence[bytes]) -> PredictResponse:
        for code in left:
            raise Refused(code)
        return then(images)

    return answer
