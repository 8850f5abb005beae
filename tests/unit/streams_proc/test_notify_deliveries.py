"""Callbacks made again, given up, and kept apart from each other; time passes only when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from core.profile import HttpCallback, KafkaCallback, TelegramCallback
from core.settings import Notify
from streams_proc.attempt import Backoff
from streams_proc.notify import deliveries
from streams_proc.notify.deliveries import Deliveries, identity
from streams_proc.notify.failures import Refused, Unreachable
from streams_proc.notify.notices import Notice
from streams_proc.notify.turns import Turns
from tests.unit.streams_proc.notify_kit import hook, notice
from tests.unit.streams_proc.stepping import SteppedLoop

DOWN = Unreachable("server_error", "it answers 500")


class Hangs:
    """Takes all the time it is given."""


@dataclass
class Call:
    at: float
    host: str
    ce_id: str
    timeout_s: float


class Script:
    """Answers each host's calls in turn, and takes what nothing is said of."""

    def __init__(self, loop: SteppedLoop, **answers: list[Any]) -> None:
        self._loop = loop
        self._answers = {host: iter(each) for host, each in answers.items()}
        self.calls: list[Call] = []
        self.never: set[str] = set()

    async def send(self, callback: HttpCallback, told: Notice, timeout_s: float) -> None:
        host = callback.url.removeprefix("https://").partition(".")[0]
        self.calls.append(Call(self._loop.time(), host, told.ce_id, timeout_s))
        answer = DOWN if told.ce_id in self.never else next(self._answers.get(host, iter(())), None)
        if isinstance(answer, Hangs):
            await asyncio.sleep(timeout_s)
            raise Unreachable("timeout", "no answer")
        if isinstance(answer, float):
            await asyncio.sleep(answer)
        elif answer is not None:
            raise answer

    def at(self, host: str) -> list[float]:
        return [call.at for call in self.calls if call.host == host]


def for_ever(answer: Any) -> Any:
    return [answer] * 10_000


class Bench:
    def __init__(self, limits: Notify | None = None, **answers: list[Any]) -> None:
        self.loop = SteppedLoop()
        self.script = Script(self.loop, **answers)
        backoff = Backoff(asyncio.sleep, lambda: 1.0)
        senders = {HttpCallback: self.script}
        self.deliveries = Deliveries(senders, limits or Notify(), backoff, self.loop.time)

    def make(
        self, host: str, ce_id: str = "a", lane: str | None = None, *, patient: bool = False, **more: Any
    ) -> asyncio.Task[Any]:
        told = notice(ce_id, lane or ce_id)
        task = self.loop.create_task(self.deliveries.make(hook(host, **more), told, patient=patient))
        self.loop.settle()
        return task


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.loop.end()


def bench_of(benches: list[Bench], limits: Notify | None = None, **answers: list[Any]) -> Bench:
    benches.append(Bench(limits, **answers))
    return benches[-1]


def why(task: asyncio.Task[Any]) -> str | None:
    failure = task.result()
    return None if failure is None else str(failure.reason)


def test_a_callback_is_made_again_with_growing_pauses_until_it_is_taken(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=[DOWN, DOWN])
    task = bench.make("one")
    bench.loop.pass_time(10.0)
    assert why(task) is None
    assert bench.script.at("one") == [0.0, 0.5, 1.5]
    assert {call.ce_id for call in bench.script.calls} == {"a"}, "under the same id"


def test_a_refusal_is_the_last_word(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=[Refused("client_error", "it answers 404")])
    task = bench.make("one")
    bench.loop.pass_time(100.0)
    assert why(task) == "client_error"
    assert bench.script.at("one") == [0.0]


def test_a_dead_receiver_is_given_up_within_its_time(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=for_ever(DOWN))
    task = bench.make("one")
    bench.loop.pass_time(30.0)
    assert not task.done()
    bench.loop.pass_time(30.0)
    assert why(task) == "server_error"
    assert bench.script.at("one") == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5]


def test_attempts_are_counted(benches: list[Bench]) -> None:
    bench = bench_of(benches, Notify(attempts=3), one=for_ever(DOWN))
    task = bench.make("one")
    bench.loop.pass_time(60.0)
    assert why(task) == "server_error"
    assert len(bench.script.calls) == 3


def test_one_that_hangs_holds_a_callback_no_longer_than_its_time(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=for_ever(Hangs()))
    task = bench.make("one", timeout_s=25.0)
    bench.loop.pass_time(60.0)
    assert why(task) == "timeout"
    assert [(call.at, round(call.timeout_s, 6)) for call in bench.script.calls] == [
        (0.0, 25.0),
        (25.5, 25.0),
        (51.5, 8.5),
    ]


def test_however_many_hang_the_last_is_given_up_within_its_time_too(benches: list[Bench]) -> None:
    bench = bench_of(benches, Notify(at_once=2), one=for_ever(Hangs()))
    tasks = [bench.make("one", str(number)) for number in range(50)]
    bench.loop.pass_time(60.0)
    assert {why(task) for task in tasks} == {"timeout"}


def test_a_receiver_asks_for_time_and_gets_it_from_all(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=[Unreachable("too_many", "it answers 429", 7.0)])
    first = bench.make("one", "a")
    bench.loop.pass_time(1.0)
    second = bench.make("one", "b")
    bench.loop.pass_time(20.0)
    assert (why(first), why(second)) == (None, None)
    assert bench.script.at("one") == [0.0, 7.0, 7.0]


def test_a_receiver_that_asks_for_too_much_is_given_up_at_once(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=for_ever(Unreachable("too_many", "it answers 429", 3600.0)))
    first, second = bench.make("one", "a"), bench.make("one", "b")
    bench.loop.pass_time(1.0)
    assert (why(first), why(second)) == ("too_many", "too_many")


def test_a_dead_receiver_holds_nobody_else_up(benches: list[Bench]) -> None:
    bench = bench_of(benches, dead=for_ever(Hangs()), slow=for_ever(30.0))
    for number in range(100):
        bench.make("dead", f"d{number}")
        bench.make("slow", f"s{number}")
    alive = [bench.make("alive", str(number)) for number in range(100)]
    assert [why(task) for task in alive] == [None] * 100
    assert bench.loop.time() == 0.0


def test_few_are_under_way_to_one_receiver(benches: list[Bench]) -> None:
    bench = bench_of(benches, Notify(at_once=3), one=for_ever(1.0))
    tasks = [bench.make("one", str(number)) for number in range(7)]
    assert bench.script.at("one") == [0.0] * 3
    bench.loop.pass_time(3.0)
    assert [why(task) for task in tasks] == [None] * 7
    assert bench.script.at("one") == [0.0] * 3 + [1.0] * 3 + [2.0]


def test_what_waits_for_one_receiver_is_bounded(benches: list[Bench]) -> None:
    bench = bench_of(benches, Notify(at_once=1, waiting=2), one=for_ever(1.0))
    tasks = [bench.make("one", str(number)) for number in range(3)]
    assert why(tasks[2]) == "queue_full"
    bench.loop.pass_time(2.0)
    assert why(bench.make("other")) is None
    assert [why(task) for task in tasks[:2]] == [None, None]
    assert why_after(bench, bench.make("one", "later")) is None


def test_what_has_waited_for_the_stage_waits_for_a_place_too(benches: list[Bench]) -> None:
    bench = bench_of(benches, Notify(at_once=1, waiting=2), one=for_ever(1.0))
    tasks = [bench.make("one", str(number), patient=True) for number in range(200)]
    bench.loop.pass_time(200.0)
    assert [why(task) for task in tasks] == [None] * 200
    assert [call.ce_id for call in bench.script.calls] == [str(number) for number in range(200)]


def test_for_a_receiver_that_is_dead_few_may_wait(benches: list[Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "FEW", 3)
    bench = bench_of(benches, one=for_ever(DOWN))
    tasks = [bench.make("one", str(number), patient=True) for number in range(10)]
    bench.loop.pass_time(60.0)
    assert {why(task) for task in tasks} == {"server_error"}, "it was not known to be dead"
    keeper = bench.make("one", "keeper")
    bench.loop.pass_time(20.0)
    first = bench.make("one", "first")
    bench.loop.pass_time(40.0)
    assert why(keeper) == "server_error"
    later = [bench.make("one", f"later{number}", patient=True) for number in range(5)]
    assert [task.done() for task in later] == [False, False, True, True, True]
    assert why(later[-1]) == "queue_full"
    assert not first.done()


def why_after(bench: Bench, task: asyncio.Task[Any]) -> str | None:
    bench.loop.pass_time(5.0)
    return why(task)


def test_a_receiver_that_takes_others_is_waited_for_longer_but_not_for_ever(benches: list[Bench]) -> None:
    bench = bench_of(benches, Notify(delivery_s=60, longest_s=100, attempts=1000))
    bench.script.never.add("stuck")
    stuck = bench.make("one", "stuck")
    for number in range(70):
        assert why(bench.make("one", f"good{number}")) is None
        bench.loop.pass_time(1.0)
    assert not stuck.done(), "the receiver lives"
    bench.loop.pass_time(30.0)
    assert why(stuck) == "server_error"


def test_phases_of_one_event_come_in_order(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=[DOWN, DOWN])
    bench.make("one", "begin", "event")
    bench.make("one", "end", "event")
    bench.make("one", "other", "another event")
    bench.loop.pass_time(10.0)
    asked = [call.ce_id for call in bench.script.calls]
    assert asked.index("other") < asked.index("end"), "one event does not wait for another"
    assert asked.index("end") > max(i for i, each in enumerate(asked) if each == "begin")


def test_a_phase_that_is_given_up_lets_the_next_one_go(benches: list[Bench]) -> None:
    bench = bench_of(benches, one=[Refused("client_error", "it answers 400")])
    first, second = bench.make("one", "begin", "event"), bench.make("one", "end", "event")
    assert (why(first), why(second)) == ("client_error", None)


def test_a_receiver_with_nothing_open_is_forgotten(benches: list[Bench]) -> None:
    bench = bench_of(benches)
    for number in range(10):
        bench.make(f"host{number}")
    assert not bench.deliveries._receivers
    assert not bench.deliveries._turns._last


def test_an_attempt_takes_no_longer_than_the_callback_allows(benches: list[Bench]) -> None:
    bench = bench_of(benches)
    bench.make("one", timeout_s=2.5)
    assert bench.script.calls[0].timeout_s == 2.5


def test_receivers_are_told_apart_by_where_they_are() -> None:
    assert identity(hook("a")) == identity(hook("a", secret="s"))
    assert identity(hook("a")) != identity(hook("b"))
    one = KafkaCallback("k:1", "t")
    assert identity(one) != identity(KafkaCallback("k:1", "u"))
    assert identity(TelegramCallback("x", "1")) == identity(TelegramCallback("x", "2"))


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for() -> None:
    loop, turns = SteppedLoop(), Turns()
    log: list[str] = []

    async def one(key: str, name: str, work: Awaitable[Any]) -> None:
        async with turns.turn(key):
            log.append(f"{name} begins")
            await work
            log.append(f"{name} ends")

    async def nothing() -> None:
        return

    gate = loop.create_future()
    tasks = [loop.create_task(one("k", "a", gate)), loop.create_task(one("k", "b", nothing()))]
    tasks.append(loop.create_task(one("other", "c", nothing())))
    tasks.append(loop.create_task(one("k", "d", nothing())))
    loop.settle()
    assert log == ["a begins", "c begins", "c ends"]
    gate.set_result(None)
    loop.settle()
    assert log[3:] == ["a ends", "b begins", "b ends", "d begins", "d ends"]
    assert all(task.done() for task in tasks)
    loop.end()


def test_whoever_gives_up_waiting_for_a_turn_stops_nobody() -> None:
    loop, turns = SteppedLoop(), Turns()

    async def hold(until: asyncio.Future[None]) -> None:
        async with turns.turn("k"):
            await until

    gates = [loop.create_future() for _ in range(3)]
    tasks = [loop.create_task(hold(gate)) for gate in gates]
    loop.settle()
    tasks[1].cancel()
    loop.settle()
    gates[0].set_result(None)
    gates[2].set_result(None)
    loop.settle()
    assert all(task.done() for task in tasks)
    assert not turns._last
    loop.end()
