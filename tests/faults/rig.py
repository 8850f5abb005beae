"""The stack under test: started as a user starts it, with proxies between its processes and its servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from core.settings import Kafka, Settings
from inference.fetch import fetch_all
from infra.stack.places import Places
from infra.stack.supervisor import Running, StoppedAnswering, Supervisor
from tests.conftest import PARTS, ROOT, free_ports, sightline, stack_env, stack_settings
from tests.faults.proxy import Proxies, Wire
from tests.fixtures_cameras import RtspCamera

WORKERS = ("control", "detect", "analyse", "sink-clickhouse", "sink-lancedb", "sink-media", "notify", "ingest", "query")
SERVERS = ("kafka", "clickhouse", "models")
ESTABLISHED = "01"
DETECTOR = "centernet-256"
FAKETIME = "*/faketime/libfaketimeMT.so.1"
CLOCK = Path(__file__).with_name("clock")
"""What lets Python sleep, and the Kafka client wait, under it."""


class Rig:
    """One stack in a folder of its own.

    Attributes:
        settings: as a client outside the stack needs them.
        proxies: to ``kafka``, ``clickhouse`` and ``models``.
        camera: that it may watch, and that can be told to misbehave.
    """

    def __init__(
        self, folder: Path, *, kafka_dir: Path | None = None, clock: bool = False, camera: RtspCamera | None = None
    ) -> None:
        self.camera = camera
        fetch_all(Settings(data_dir=PARTS), lambda _: None)
        base = stack_settings(folder / "stack", Settings(data_dir=PARTS).models_dir)
        kafka, clickhouse, models = free_ports(3)
        self.settings = base.model_copy(update={"models": base.models.model_copy(update={"detector": DETECTOR})})
        self.url = f"http://127.0.0.1:{base.query.port}"
        self.clock = folder / "clock" if clock else None
        self._clock_libraries = _clock_libraries(folder) if clock else ()
        self.set_clock("+0")
        self.proxies = Proxies(
            [
                Wire("kafka", kafka, base.kafka.port),
                Wire("clickhouse", clickhouse, base.clickhouse.http_port),
                Wire("models", models, base.models.port),
            ],
            partial(owner, Places.of(self.settings)),
        )
        if kafka_dir is not None:
            (base.data_dir / "kafka" / "data").symlink_to(kafka_dir)
        self.env = {
            **stack_env(self.settings),
            "SIGHTLINE_MODELS__DETECTOR": DETECTOR,
            "SIGHTLINE_KAFKA__ADVERTISED": f"127.0.0.1:{kafka}",
            "SIGHTLINE_KAFKA__SESSION_MS": str(Kafka().session_ms),
            "SIGHTLINE_INGEST__BATCH_READERS": "3",
            "SIGHTLINE_STACK__ENVIRONMENT": json.dumps({name: self._own(clickhouse, models) for name in WORKERS}),
        }
        self._supervisor = Supervisor(Places.of(self.settings))
        self._extra: list[subprocess.Popen[bytes]] = []

    def _own(self, clickhouse: int, models: int) -> dict[str, str]:
        found = {"SIGHTLINE_CLICKHOUSE__HTTP_PORT": str(clickhouse), "SIGHTLINE_MODELS__PORT": str(models)}
        if self.clock is not None:
            found |= {
                "LD_PRELOAD": ":".join(map(str, self._clock_libraries)),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1",
                "DONT_FAKE_MONOTONIC": "1",
                "PYTHONPATH": os.pathsep.join([str(CLOCK), *filter(None, [os.environ.get("PYTHONPATH")])]),
            }
        return found

    def set_clock(self, offset: str) -> None:
        """Set the workers' wall clock, as libfaketime writes it: ``-1h``; it takes effect within a second."""
        if self.clock is not None:
            self.clock.write_text(offset)

    def up(self) -> None:
        """`sightline up`; it must say that it is."""
        started = sightline(self.env, "up")
        assert started.returncode == 0, started.stdout + started.stderr

    def down(self) -> None:
        """`sightline down`."""
        stopped = sightline(self.env, "down")
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr

    def processes(self) -> dict[str, Running]:
        """What the supervisor knows."""
        return self._supervisor.processes()

    def pid(self, name: str) -> int | None:
        """Process id of one that runs now."""
        try:
            found = self.processes().get(name)
        except StoppedAnswering:
            return None
        return found.pid if found and found.pid else None

    def readers(self) -> list[int]:
        """Process ids of the ingest host's readers, the eldest first."""
        host = self.pid("ingest")
        children = psutil.Process(host).children(recursive=True) if host else []
        readers = [child for child in children if child.name() == "reader"]
        return [child.pid for child in sorted(readers, key=psutil.Process.create_time)]

    def serves(self) -> bool:
        """Whether the query service that the supervisor knows, not one that it has lost, holds the port."""
        pid = self.pid("query")
        port = self.settings.query.port
        mine = set(family(pid)) if pid else set()
        return any(
            found.pid in mine and found.laddr.port == port and found.status == psutil.CONN_LISTEN
            for found in psutil.net_connections("tcp")
            if found.laddr
        )

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int | None:
        """Send a signal to a process; None when it does not run just now."""
        pid = self.pid(name)
        if pid is None:
            return None
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return None
        return pid

    def kill_all(self) -> None:
        """A power cut: every process of the stack at once, its supervisor first."""
        mine = str(self.settings.data_dir)
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("SIGHTLINE_DATA_DIR") == mine:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        found.sort(key=lambda process: "supervisord" not in " ".join(process.cmdline()))
        for process in found:
            process.kill()
        psutil.wait_procs(found, 20)

    def worker(self, stage: str, instance: int) -> subprocess.Popen[bytes]:
        """One more worker of a stage, beside the supervisor's; ended by whoever asked for it."""
        log = (self.settings.data_dir / "log" / f"{stage}-{instance}.log").open("ab")
        own = json.loads(self.env["SIGHTLINE_STACK__ENVIRONMENT"])[stage]
        env = {**self.env, **own, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
        module = ["ingest"] if stage == "ingest" else ["streams_proc", stage]
        command = [sys.executable, "-P", "-m", *module, "--instance", str(instance)]
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=ROOT)
        self._extra.append(process)
        return process

    def end(self) -> None:
        """Whatever is left goes."""
        for process in self._extra:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.kill_all()
        self.proxies.stop()


@contextmanager
def standing(
    folder: Path, *, kafka_dir: Path | None = None, clock: bool = False, camera: RtspCamera | None = None
) -> Iterator[Rig]:
    """A stack that is up within the block.

    Args:
        kafka_dir: where the broker keeps its log; default: with the rest.
        clock: whether the workers' wall clock can be set.
    """
    rig = Rig(folder, kafka_dir=kafka_dir, clock=clock, camera=camera)
    rig.proxies.start()
    try:
        rig.up()
        yield rig
        rig.down()
    finally:
        keep = os.environ.get("FAULTS_KEEP_LOGS")
        if keep:
            shutil.copytree(rig.settings.data_dir / "log", keep, dirs_exist_ok=True)
        rig.end()


def _clock_libraries(folder: Path) -> tuple[Path, Path]:
    """To be loaded before all others; one of them is compiled here."""
    (faketime,) = Path("/usr/lib").glob(FAKETIME)
    waits = folder / "cnd_timedwait.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", waits, CLOCK / "cnd_timedwait.c"], check=True)
    return waits, faketime


def owner(places: Places, port: int) -> str:
    """Name of the stack's process that has a local port; empty for anybody else."""
    socket = socket_of(port)
    try:
        running = Supervisor(places).processes()
    except StoppedAnswering:
        return ""
    for name, found in running.items():
        if found.pid and socket and any(_holds(pid, socket) for pid in family(found.pid)):
            return name
    return ""


def socket_of(port: int) -> str:
    """The open connection with this local port, as a process's file descriptors name it; empty: there is none."""
    for table in ("tcp", "tcp6"):  # gRPC's sockets are of the second kind, whatever they are connected to
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == ESTABLISHED:
                return f"socket:[{fields[9]}]"
    return ""


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    try:
        yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return


def _holds(pid: int, socket: str) -> bool:
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed since
                if str(descriptor.readlink()) == socket:
                    return True
    return False
