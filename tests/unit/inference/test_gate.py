from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from core.messages import Lane
from inference.server.gate import PATIENCE_S, STANDING_BACK_S, Gate, GateFull

LIVE: Lane = "live"
BATCH: Lane = "batch"


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_live_goes_before_everything_that_waits() -> None:
    async def scenario() -> list[str]:
        gate = Gate(running=4, waiting=100)
        order: list[str] = []

        async def request(name: str, lane: Lane) -> None:
            await gate.enter(4, lane)
            order.append(name)
            gate.leave(4, lane)

        await gate.enter(4, BATCH)
        tasks = [asyncio.create_task(request(f"file {n}", BATCH)) for n in range(3)]
        await settle()
        tasks += [asyncio.create_task(request(f"camera {n}", LIVE)) for n in range(2)]
        await settle()
        gate.leave(4, BATCH)
        await asyncio.gather(*tasks)
        assert gate.idle
        return order

    assert asyncio.run(scenario()) == ["camera 0", "camera 1", "file 0", "file 1", "file 2"]


def test_small_requests_run_together_and_a_large_one_alone() -> None:
    async def scenario() -> None:
        gate = Gate(running=4, waiting=100)
        await gate.enter(2, BATCH)
        await gate.enter(2, BATCH)
        large = asyncio.create_task(gate.enter(9, BATCH))
        await settle()
        gate.leave(2, BATCH)
        await settle()
        assert not large.done()
        gate.leave(2, BATCH)
        await large
        small = asyncio.create_task(gate.enter(1, LIVE))
        await settle()
        assert not small.done()
        gate.leave(9, BATCH)
        await small
        gate.leave(1, LIVE)
        assert gate.idle

    asyncio.run(scenario())


def test_refuses_what_can_not_wait() -> None:
    async def scenario() -> None:
        gate = Gate(running=1, waiting=2)
        await gate.enter(1, BATCH)
        waiting = asyncio.create_task(gate.enter(2, BATCH))
        await settle()
        with pytest.raises(GateFull, match="2 images are waiting"):
            await gate.enter(1, BATCH)
        camera = asyncio.create_task(gate.enter(1, LIVE))
        await settle()
        assert not camera.done(), "it waits, whatever else does"
        gate.leave(1, BATCH)
        await camera
        gate.leave(1, LIVE)
        await waiting

    asyncio.run(scenario())


@pytest.mark.parametrize("admitted", [False, True])
def test_a_caller_that_gives_up_leaves_no_room_taken(admitted: bool) -> None:
    async def scenario() -> None:
        gate = Gate(running=1, waiting=9)
        await gate.enter(1, BATCH)
        gone = asyncio.create_task(gate.enter(1, LIVE))
        follower = asyncio.create_task(gate.enter(1, BATCH))
        await settle()
        if admitted:
            gate.leave(1, BATCH)
        gone.cancel()
        await settle()
        assert gone.cancelled()
        if not admitted:
            assert not follower.done()
            gate.leave(1, BATCH)
        await follower
        gate.leave(1, BATCH)
        assert gate.idle

    asyncio.run(scenario())


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_while_cameras_ask_a_file_goes_in_only_when_nothing_runs() -> None:
    async def scenario() -> None:
        clock = Time()
        gate = Gate(running=8, waiting=100, clock=clock)
        await gate.enter(4, BATCH)
        await gate.enter(4, BATCH)  # nobody else is there
        camera = asyncio.create_task(gate.enter(1, LIVE))
        files = [asyncio.create_task(gate.enter(2, BATCH)) for _ in range(2)]
        await settle()
        gate.leave(4, BATCH)
        await settle()
        assert camera.done(), "it waits for the first of them that is done"
        gate.leave(4, BATCH)
        await settle()
        assert not files[0].done(), "the camera runs"
        another = asyncio.create_task(gate.enter(1, LIVE))
        await settle()
        assert another.done(), "those who wait are passed"
        gate.leave(1, LIVE)
        gate.leave(1, LIVE)
        await settle()
        assert [file.done() for file in files] == [True, False]
        clock.now += STANDING_BACK_S
        files.append(asyncio.create_task(gate.enter(1, BATCH)))
        gate.leave(2, BATCH)
        await asyncio.gather(*files)
        gate.leave(2, BATCH)
        gate.leave(1, BATCH)
        assert gate.idle

    asyncio.run(scenario())


def test_a_file_stands_back_for_as_long_as_a_camera_is_looked_at() -> None:
    async def scenario() -> None:
        clock = Time()
        gate = Gate(running=8, waiting=100, clock=clock)
        await gate.enter(1, LIVE)
        clock.now += STANDING_BACK_S  # the run is a long one
        file = asyncio.create_task(gate.enter(2, BATCH))
        await settle()
        assert not file.done()
        gate.leave(1, LIVE)
        await file

    asyncio.run(scenario())


def test_cameras_that_leave_no_gap_let_a_file_by_now_and_then() -> None:
    async def scenario() -> list[float]:
        clock = Time()
        gate = Gate(running=2, waiting=100, clock=clock)
        entered: list[float] = []

        async def file() -> None:
            await gate.enter(1, BATCH)
            entered.append(clock.now)
            gate.leave(1, BATCH)

        await gate.enter(1, LIVE)
        files = [asyncio.create_task(file()) for _ in range(3)]
        for _ in range(100):
            follower = asyncio.create_task(gate.enter(1, LIVE))
            await settle()
            assert follower.done()
            clock.now += PATIENCE_S / 10
            gate.leave(1, LIVE)
            await settle()
        gate.leave(1, LIVE)
        await asyncio.gather(*files)
        return entered

    entered = asyncio.run(scenario())
    assert len(entered) == 3
    assert all(later - earlier >= PATIENCE_S for earlier, later in pairwise([100.0, *entered]))
