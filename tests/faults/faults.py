"""What is done to the stack, each with what must work again afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.stack.supervisor import StoppedAnswering
from tests.faults.proxy import BOTH, Direction, Rule
from tests.faults.rig import Rig

BEYOND_SESSION_S = 9.0
BEYOND_INGEST_S = 13.0
"""The ingest hosts' group lets a member be silent for longer."""

CUT_S = 8.0
SILENT_S = 20.0
RECOVERY_S = 15.0
GONE_S = 60.0
Action = Callable[[Rig, random.Random], bool]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: in reports; what it is and to whom.
        process: whose recovery is waited for (`pulse.Pulse`).
        act: does it and undoes what has to be undone; False when there was nothing to do it to.
        limit_s: most seconds until what came after it has passed; None: no promise.
        rare: not part of a short run.
        weight: how often it is drawn beside the others.
    """

    name: str
    process: str
    act: Action
    limit_s: float | None = None
    rare: bool = False
    weight: int = 1


def killed(process: str, limit_s: float = RECOVERY_S, weight: int = 4) -> Fault:
    """`kill -9` of a process; the supervisor starts it again."""

    def act(rig: Rig, _: random.Random) -> bool:
        return rig.kill(process) is not None

    return Fault(f"kill -9 {process}", process, act, limit_s, weight=weight)


def frozen(process: str, seconds: float = BEYOND_SESSION_S) -> Fault:
    """`SIGSTOP` for longer than the session, then `SIGCONT`: a zombie that wakes and writes."""

    def act(rig: Rig, _: random.Random) -> bool:
        pid = rig.kill(process, signal.SIGSTOP)
        if pid is None:
            return False
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        return True

    return Fault(f"SIGSTOP {seconds:.0f} s, SIGCONT {process}", process, act)


def cut(wire: str, client: str, direction: Direction | None = None, seconds: float = CUT_S) -> Fault:
    """Nothing arrives for some seconds, or nothing in one direction."""
    held = BOTH if direction is None else frozenset({direction})

    def act(rig: Rig, _: random.Random) -> bool:
        with rig.proxies.ruled(wire, Rule(client, held)):
            time.sleep(seconds)
        return True

    how = "network cut" if direction is None else f"network cut {direction.replace('_', ' ')}"
    return Fault(f"{how} {seconds:.0f} s, {client} - {wire}", client, act)


def slowed(wire: str, client: str) -> Fault:
    """Every piece takes a while."""

    def act(rig: Rig, _: random.Random) -> bool:
        with rig.proxies.ruled(wire, Rule(client, delay_s=0.15)):
            time.sleep(CUT_S)
        return True

    return Fault(f"network slow (+150 ms) {CUT_S:.0f} s, {client} - {wire}", client, act)


def two_more(stage: str) -> Fault:
    """Two workers join, then leave: one well, one by `kill -9`."""

    def act(rig: Rig, chance: random.Random) -> bool:
        workers = [rig.worker(stage, 70 + chance.randrange(10_000)) for _ in range(2)]
        time.sleep(12.0)
        workers[0].terminate()
        workers[1].kill()
        for worker in workers:
            worker.wait(40)
        return True

    return Fault(f"two {stage} workers added and removed", stage, act, weight=2)


def _host_gone(rig: Rig, chance: random.Random) -> bool:
    """One that nothing starts again, so that its streams must move."""
    host = rig.worker("ingest", 70 + chance.randrange(10_000))
    time.sleep(12.0)
    host.kill()
    host.wait()
    return True


def camera_told(what: str, words: str, after: str | None = None, seconds: float = 0.0) -> Fault:
    """A camera that misbehaves, and then not any more."""

    def act(rig: Rig, _: random.Random) -> bool:
        if rig.camera is None:
            return False
        rig.camera.tell(words)
        if after is not None:
            time.sleep(seconds)
            rig.camera.tell(after)
        return True

    return Fault(f"camera {what}", "reader", act, RECOVERY_S, weight=2)


def _models_gone(rig: Rig, _: random.Random) -> bool:
    until = time.monotonic() + GONE_S
    while time.monotonic() < until:
        rig.kill("models")
        time.sleep(0.5)
    return True


def _broker_restarts(rig: Rig, _: random.Random) -> bool:
    return rig.kill("kafka", signal.SIGTERM) is not None


def _power_cut(rig: Rig, _: random.Random) -> bool:
    rig.kill_all()
    rig.up()
    return True


def _down_and_up(rig: Rig, _: random.Random) -> bool:
    rig.down()
    rig.up()
    return True


def _broker_out_of_reach(seconds: float) -> Action:
    def act(rig: Rig, _: random.Random) -> bool:
        with rig.proxies.ruled("kafka", Rule(None, BOTH)):
            time.sleep(seconds)
        return True

    return act


def catalogue() -> tuple[Fault, ...]:
    """Every fault but those that need a stack of their own (`special`)."""
    workers = ("control", "detect", "analyse", "sink-clickhouse", "sink-lancedb", "sink-media", "notify")
    return (
        *(killed(name) for name in (*workers, "ingest", "reader", "query", "kafka", "clickhouse")),
        killed("models", 30.0),
        *(frozen(name) for name in workers),
        frozen("ingest", BEYOND_INGEST_S),
        *(cut("kafka", name) for name in ("detect", "analyse", "sink-clickhouse")),
        cut("kafka", "ingest", seconds=BEYOND_INGEST_S),
        *(cut("models", name) for name in ("detect", "analyse")),
        cut("clickhouse", "sink-clickhouse"),
        cut("kafka", "analyse", "to_server"),
        cut("kafka", "analyse", "from_server"),
        cut("kafka", "detect", "from_server"),
        cut("kafka", "ingest", "from_server"),
        cut("models", "detect", "from_server"),
        cut("clickhouse", "sink-clickhouse", "from_server"),
        slowed("kafka", "detect"),
        slowed("kafka", "analyse"),
        slowed("models", "detect"),
        slowed("clickhouse", "sink-clickhouse"),
        *(two_more(stage) for stage in ("ingest", "detect", "analyse", "sink-clickhouse", "sink-lancedb")),
        Fault("broker restarted (SIGTERM)", "kafka", _broker_restarts, weight=2),
        Fault("one of two ingest hosts gone", "reader", _host_gone, RECOVERY_S, weight=2),
        camera_told("drops every connection", "drop"),
        camera_told(f"silent for {SILENT_S:.0f} s", "stall", "go", SILENT_S),
        Fault(f"model server gone {GONE_S:.0f} s", "models", _models_gone, rare=True),
        Fault("SIGKILL of everything, then up (power cut)", "all", _power_cut, rare=True),
        Fault("down, then up", "all", _down_and_up, rare=True),
    )


def broker_out_of_reach(seconds: float) -> Fault:
    """The broker does not answer anybody."""
    return Fault(f"broker out of reach {seconds:.0f} s", "kafka", _broker_out_of_reach(seconds), rare=True)


def stands(rig: Rig) -> bool:
    """Whether every process of the stack runs."""
    try:
        return all(found.state == "RUNNING" for found in rig.processes().values())
    except StoppedAnswering:
        return False
