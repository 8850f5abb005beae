from __future__ import annotations

import asyncio

import grpc
import pytest

from core.errors import CircuitOpen, ModelUnavailable
from core.settings import Breaker
from inference.protos import PredictRequest, PredictResponse
from inference.replicas import Replicas, Server
from tests.unit.inference.fakes import FakeServer, Refused, Time, refusing, replicas, response

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


async def predict(server: Server, timeout_s: float) -> PredictResponse:
    request = PredictRequest()
    request.inputs["images"].string_val.append(b"x")
    return await server.predict(request, timeout_s, ())


def ask(group: Replicas, deadline_s: float = 10.0) -> PredictResponse:
    answer: PredictResponse = asyncio.run(group.call(predict, deadline_s))
    return answer


def ok(_: object) -> PredictResponse:
    return response(embedding=[[1.0]])


def test_tries_again_with_growing_pauses() -> None:
    time = Time()
    server = FakeServer(refusing(UNAVAILABLE, EXHAUSTED, UNAVAILABLE, then=ok))
    ask(replicas(server, time=time))
    assert len(server.asked) == 4
    assert time.pauses == [0.05, 0.1, 0.2]


def test_every_try_has_only_what_is_left_of_the_deadline() -> None:
    server = FakeServer(refusing(UNAVAILABLE, UNAVAILABLE, then=ok))
    ask(replicas(server), deadline_s=1.0)
    assert server.timeouts == pytest.approx([1.0, 0.95, 0.85])


def test_gives_up_at_the_deadline_and_says_where() -> None:
    time = Time()
    server = FakeServer(refusing(*[EXHAUSTED] * 99, then=ok))
    with pytest.raises(ModelUnavailable, match="s0: RESOURCE_EXHAUSTED"):
        ask(replicas(server, time=time), deadline_s=1.0)
    assert time.now < 1.0


def test_goes_round_the_addresses() -> None:
    servers = [FakeServer(ok), FakeServer(ok), FakeServer(ok)]
    group = replicas(*servers)

    async def many() -> None:
        for _ in range(6):
            await group.call(predict, 1.0)

    asyncio.run(many())
    assert [len(server.asked) for server in servers] == [2, 2, 2]


def test_another_address_answers_for_one_that_is_down() -> None:
    down, up = FakeServer(refusing(*[UNAVAILABLE] * 99, then=ok)), FakeServer(ok)
    group = replicas(down, up, breaker=Breaker(failure_threshold=2))

    async def many() -> None:
        for _ in range(10):
            await group.call(predict, 5.0)

    asyncio.run(many())
    assert len(down.asked) == 2  # then its circuit is open
    assert len(up.asked) == 10


def test_open_for_all_addresses_is_said_at_once() -> None:
    time = Time()
    server = FakeServer(refusing(*[UNAVAILABLE] * 3, then=ok))
    group = replicas(server, breaker=Breaker(failure_threshold=3, recovery_timeout=30), time=time)
    with pytest.raises(CircuitOpen, match="s0"):
        ask(group)
    assert len(server.asked) == 3
    time.now += 30
    ask(group)
    assert len(server.asked) == 4


def test_a_passed_deadline_is_not_tried_again_but_counts() -> None:
    server = FakeServer(refusing(grpc.StatusCode.DEADLINE_EXCEEDED, then=ok))
    group = replicas(server, breaker=Breaker(failure_threshold=1))
    with pytest.raises(ModelUnavailable, match="DEADLINE_EXCEEDED"):
        ask(group)
    with pytest.raises(CircuitOpen):
        ask(group)


def test_a_busy_server_is_not_a_broken_one() -> None:
    server = FakeServer(refusing(*[EXHAUSTED] * 5, then=ok))
    ask(replicas(server, breaker=Breaker(failure_threshold=1)))
    assert len(server.asked) == 6


def test_a_refusal_for_good_is_passed_on_and_leaves_the_circuit_closed() -> None:
    server = FakeServer(refusing(*[grpc.StatusCode.INVALID_ARGUMENT] * 3, then=ok))
    group = replicas(server, breaker=Breaker(failure_threshold=1))
    for _ in range(3):
        with pytest.raises(Refused):
            ask(group)
    ask(group)


def test_a_call_given_up_gives_its_place_back() -> None:
    time = Time()
    broken = FakeServer(refusing(UNAVAILABLE, then=ok))
    group = replicas(broken, breaker=Breaker(failure_threshold=1, half_open_max_calls=1), time=time)
    with pytest.raises(CircuitOpen):
        ask(group)
    time.now += 30

    async def given_up(_: Server, __: float) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(group.call(given_up, 1.0))
    ask(group)


def test_closing_closes_every_connection() -> None:
    servers = [FakeServer(ok), FakeServer(ok)]
    group = replicas(*servers)

    async def use_and_close() -> None:
        await group.call(predict, 1.0)
        await group.call(predict, 1.0)
        await group.close()

    asyncio.run(use_and_close())
    assert all(server.closed for server in servers)


def test_a_server_that_comes_back_is_tried_before_its_time_out() -> None:
    time, server = Time(), FakeServer(refusing(UNAVAILABLE, UNAVAILABLE, then=ok))
    group = replicas(server, breaker=Breaker(failure_threshold=2, recovery_timeout=1000.0), time=time)
    server.connection = False
    with pytest.raises(CircuitOpen):
        ask(group)
    with pytest.raises(CircuitOpen):
        ask(group)
    server.connection = True
    ask(group)
    assert time.now < 1000.0


def test_a_server_that_is_there_but_does_not_answer_waits_its_time() -> None:
    server = FakeServer(refusing(*[grpc.StatusCode.DEADLINE_EXCEEDED] * 2, then=ok))
    group = replicas(server, breaker=Breaker(failure_threshold=2, recovery_timeout=1000.0))
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="DEADLINE"):
            ask(group)
    for _ in range(3):
        with pytest.raises(CircuitOpen):
            ask(group)


def test_one_that_has_come_back_and_fails_again_waits_its_time() -> None:
    server = FakeServer(refusing(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, then=ok))
    group = replicas(server, breaker=Breaker(failure_threshold=2, recovery_timeout=1000.0))
    server.connection = False
    with pytest.raises(CircuitOpen):
        ask(group)
    with pytest.raises(CircuitOpen):
        ask(group)
    server.connection = True
    with pytest.raises(CircuitOpen):
        ask(group)
    with pytest.raises(CircuitOpen):
        ask(group)
    assert len(server.asked) == 3
