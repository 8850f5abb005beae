from __future__ import annotations

import asyncio

import pytest

from inference.server.gate import KEPT_S, Gate, GateFull

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
            gate.leave(4, urgency)

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
            await gate.enter(1, LIVE)
        gate.leave(1, BATCH)
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


def test_while_cameras_ask_files_leave_them_room() -> None:
    async def scenario() -> None:
        clock = Time()
        gate = Gate(running=8, waiting=100, kept=4, clock=clock)
        await gate.enter(4, BATCH)
        await gate.enter(4, BATCH)  # nobody else is there
        camera = asyncio.create_task(gate.enter(1, LIVE))
        files = [asyncio.create_task(gate.enter(4, BATCH)) for _ in range(2)]
        await settle()
        gate.leave(4, BATCH)
        await settle()
        assert camera.done()
        assert not files[0].done()
        another = asyncio.create_task(gate.enter(1, LIVE))
        await settle()
        assert another.done()
        gate.leave(1, LIVE)
        gate.leave(1, LIVE)
        await settle()
        assert not files[0].done()
        gate.leave(4, BATCH)
        await settle()
        assert [file.done() for file in files] == [True, False]
        clock.now += KEPT_S
        files.append(asyncio.create_task(gate.enter(1, BATCH)))
        gate.leave(4, BATCH)
        await asyncio.gather(*files)
        gate.leave(4, BATCH)
        gate.leave(1, BATCH)
        assert gate.idle

    asyncio.run(scenario())


def test_files_go_on_beside_cameras_that_never_pause() -> None:
    async def scenario() -> None:
        gate = Gate(running=4, waiting=100, kept=4)
        await gate.enter(1, LIVE)
        file = asyncio.create_task(gate.enter(2, BATCH))
        await settle()
        assert file.done()

    asyncio.run(scenario())
