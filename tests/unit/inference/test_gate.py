from __future__ import annotations

import asyncio

import pytest

from inference.server.gate import STANDING_BACK_S, Gate, GateFull

LIVE, BATCH = 0, 1


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_live_goes_before_everything_that_waits() -> None:
    async def scenario() -> list[str]:
        gate = Gate(running=4, waiting=100)
        order: list[str] = []

        async def request(name: str, urgency: int) -> None:
            await gate.enter(4, urgency)
            order.append(name)
            gate.leave(4)

        await gate.enter(4, BATCH)
        tasks = [asyncio.create_task(request(f"file {n}", BATCH)) for n in range(3)]
        await settle()
        tasks += [asyncio.create_task(request(f"camera {n}", LIVE)) for n in range(2)]
        await settle()
        gate.leave(4)
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
        gate.leave(2)
        await settle()
        assert not large.done()
        gate.leave(2)
        await large
        small = asyncio.create_task(gate.enter(1, LIVE))
        await settle()
        assert not small.done()
        gate.leave(9)
        await small
        gate.leave(1)
        assert gate.idle

    asyncio.run(scenario())


def test_refuses_what_can_not_wait() -> None:
    async def scenario() -> None:
        gate = Gate(running=1, waiting=2)
        await gate.enter(1, BATCH)
        waiting = asyncio.create_task(gate.enter(2, BATCH))
        await settle()
        with pytest.raises(GateFull, match="2 images are waiting"):
            await gate.enter(1, LIVE)
        gate.leave(1)
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
            gate.leave(1)
        gone.cancel()
        await settle()
        assert gone.cancelled()
        if not admitted:
            assert not follower.done()
            gate.leave(1)
        await follower
        gate.leave(1)
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
        gate.leave(4)
        await settle()
        assert camera.done(), "it waits for the first of them that is done"
        gate.leave(4)
        await settle()
        assert not files[0].done(), "the camera runs"
        another = asyncio.create_task(gate.enter(1, LIVE))
        await settle()
        assert another.done(), "those who wait are passed"
        gate.leave(1)
        gate.leave(1)
        await settle()
        assert [file.done() for file in files] == [True, False]
        clock.now += STANDING_BACK_S
        files.append(asyncio.create_task(gate.enter(1, BATCH)))
        gate.leave(2)
        await asyncio.gather(*files)
        gate.leave(2)
        gate.leave(1)
        assert gate.idle

    asyncio.run(scenario())
