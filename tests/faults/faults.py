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
ATTEMPTS = 3
Action = Callable[[Rig, random.Random], bool]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: in reports; what it is and to whom.
        process: whose recovery is waited for (`pulse.Pulse`).
        act: does it and undoes what has to be undone; False when there was nothing to do it to.
        limit_s: most seconds until what came after it has passed; None: no promise.
    """

    name: str
    process: str
    act: Action
    limit_s: float | None = None


def reader_killed() -> Fault:
    """`kill -9` of any child of an ingest host that reads a source: a task's, a stream's or a camera's."""

    def act(rig: Rig, chance: random.Random) -> bool:
        readers = rig.readers()
        if not readers:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(readers), signal.SIGKILL)
        return True

    return Fault("kill -9 reader", "reader", act, RECOVERY_S)


def killed(process: str, limit_s: float = RECOVERY_S) -> Fault:
    """`kill -9` of a process; the supervisor starts it again."""

    def act(rig: Rig, _: random.Random) -> bool:
        return rig.kill(process) is not None

    return Fault(f"kill -9 {process}", process, act, limit_s)


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
    how = "network cut" if direction is None else f"network cut {direction.replace('_', ' ')}"
    name = f"{how} {seconds:.0f} s, {client} - {wire}"
    return Fault(name, client, ruled(wire, Rule(client, held), seconds))


def slowed(wire: str, client: str) -> Fault:
    """Every piece takes a while."""
    name = f"network slow (+150 ms) {CUT_S:.0f} s, {client} - {wire}"
    return Fault(name, client, ruled(wire, Rule(client, delay_s=0.15), CUT_S))


def ruled(wire: str, rule: Rule, seconds: float) -> Action:
    """A rule for so long; again when nothing came its way, for then it was no fault."""

    def act(rig: Rig, _: random.Random) -> bool:
        for _ in range(ATTEMPTS):
            with rig.proxies.ruled(wire, rule) as hurt:
                time.sleep(seconds)
            if hurt.pieces:
                return True
        return False

    return act


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

    return Fault(f"two {stage} workers added and removed", stage, act)


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

    return Fault(f"camera {what}", "reader", act, RECOVERY_S)


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


def catalogue() -> tuple[Fault, ...]:
    """Every fault but those that need a stack of their own (`special`)."""
    workers = ("control", "detect", "analyse", "sink-clickhouse", "sink-lancedb", "sink-media", "notify")
    return (
        *(killed(name) for name in (*workers, "ingest", "query", "kafka", "clickhouse")),
        reader_killed(),
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
        Fault("broker restarted (SIGTERM)", "kafka", _broker_restarts),
        Fault("one of two ingest hosts gone", "reader", _host_gone, RECOVERY_S),
        camera_told("drops every connection", "drop"),
        camera_told(f"silent for {SILENT_S:.0f} s", "stall", "go", SILENT_S),
        Fault(f"model server gone {GONE_S:.0f} s", "models", _models_gone),
        Fault("SIGKILL of everything, then up (power cut)", "all", _power_cut),
        Fault("down, then up", "all", _down_and_up),
    )


def broker_out_of_reach(seconds: float) -> Fault:
    """The broker does not answer anybody."""
    return Fault(f"broker out of reach {seconds:.0f} s", "kafka", ruled("kafka", Rule(None, BOTH), seconds))


def stands(rig: Rig) -> bool:
    """Whether every process of the stack runs."""
    try:
        return all(found.state == "RUNNING" for found in rig.processes().values())
    except StoppedAnswering:
        return False
