"""What a host says of itself and of its machine."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from confluent_kafka import KafkaException
from ingest_fakes import FakeClock

from core.messages import Gpu, NodeStatus, Usage, decode_node
from core.settings import Settings
from ingest import host as hosts
from ingest import machine as machines
from ingest.graphics import Graphics
from ingest.machine import LOOK_S, MARK, Load, Machine, Services, kind_of, own_address
from ingest.node import SILENT_S, Node


class Producer:
    """Keeps what it is given, unless it is full or has ended."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.records: list[tuple[str, bytes, NodeStatus]] = []
        self.flushed = 0

    def produce(self, topic: str, value: bytes, key: bytes) -> None:
        if self.error is not None:
            raise self.error
        status = decode_node(value)
        assert isinstance(status, NodeStatus)
        self.records.append((topic, key, status))

    def poll(self, _: float) -> int:
        return 0

    def flush(self, _: float) -> int:
        self.flushed += 1
        return 0


class FakeMachine:
    """A machine that is half busy."""

    def __init__(self, *cards: Gpu) -> None:
        self.cards = cards

    def load(self) -> Load:
        return Load(50.0, 25.0, 0.0)

    def gpus(self) -> tuple[Gpu, ...]:
        return self.cards

    def usage(self) -> dict[str, Usage]:
        return {"ingest": Usage(1, 2.0, 1000), "reader": Usage(3, 90.0, 3000)}

    def address(self) -> str:
        return "192.168.1.7"


def made(producer: Producer, clock: FakeClock, *cards: Gpu) -> Node:
    machine: Any = FakeMachine(*cards)
    return Node(producer, "p.nodes", "edge-1", machine, clock=clock, now=clock)


def test_a_host_says_how_it_is() -> None:
    producer, clock = Producer(), FakeClock()
    node = made(producer, clock)
    clock.now += 4
    node.alive(3)
    node.tell()
    ((topic, key, status),) = producer.records
    assert (topic, key) == ("p.nodes", b"edge-1")
    assert status == NodeStatus(
        host="edge-1",
        ts_ms=1_004_000,
        started_ms=1_000_000,
        address="192.168.1.7",
        run_mode="CPU",
        cpu_percent=50.0,
        ram_percent=25.0,
        swap_percent=0.0,
        services={"ingest": 1, "reader": 3},
        streams=3,
        usage={"ingest": Usage(1, 2.0, 1000), "reader": Usage(3, 90.0, 3000)},
    )


def test_a_host_with_a_card() -> None:
    producer = Producer()
    made(producer, FakeClock(), Gpu(0, "Tesla P4")).tell()
    assert producer.records[0][2].run_mode == "GPU"


def test_a_host_that_stands_still_is_not_said_to_live() -> None:
    producer, clock = Producer(), FakeClock()
    node = made(producer, clock)
    clock.now += SILENT_S
    node.tell()
    clock.now += 0.1
    node.tell()
    assert len(producer.records) == 1
    node.alive(0)
    node.tell()
    assert len(producer.records) == 2


def test_a_host_that_leaves_says_so_last() -> None:
    producer, clock = Producer(), FakeClock()
    node = made(producer, clock)
    node.alive(5)
    node.start()
    node.leave()
    statuses = [status for _, _, status in producer.records]
    assert [status.ended for status in statuses] == [False, True]
    assert [status.streams for status in statuses] == [5, 0]
    assert producer.flushed == 1


@pytest.mark.parametrize("error", [BufferError("full"), KafkaException("ended")])
def test_a_record_that_finds_no_room_is_left_out(error: Exception) -> None:
    producer = Producer()
    node = made(producer, FakeClock())
    producer.error = error
    node.tell()
    producer.error = None
    node.tell()
    assert len(producer.records) == 1


def test_a_host_that_nobody_heard_of_leaves_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    producer, clock = Producer(), FakeClock()
    node = made(producer, clock)
    clock.now += SILENT_S + 1
    node.start()
    node.leave()
    assert producer.records == []


@pytest.mark.parametrize(("instance", "name"), [("2", "here-2"), (None, "here-{pid}")])
def test_a_host_keeps_its_name_over_a_restart(monkeypatch: pytest.MonkeyPatch, instance: str | None, name: str) -> None:
    def client(*_: Any, **__: Any) -> Any:
        return SimpleNamespace()

    monkeypatch.setattr(hosts.clients, "consumer", client)
    monkeypatch.setattr(hosts.clients, "producer", client)
    monkeypatch.setattr(hosts, "prepare", lambda: None)
    monkeypatch.setattr(hosts.socket, "gethostname", lambda: "here")
    assert hosts.Host(Settings(), instance=instance).name == name.format(pid=os.getpid())


# the machine


def test_the_machine_is_looked_at() -> None:
    machine = Machine("127.0.0.1:9092", Graphics(lambda: None))
    for percent in (machine.load().cpu, machine.load().ram, machine.load().swap):
        assert 0.0 <= percent <= 100.0
    assert machine.gpus() == ()
    assert socket.inet_aton(machine.address())


@pytest.mark.parametrize(
    ("broker", "ways", "address"),
    [
        ("10.0.0.5:9092,10.0.0.6:9092", {"10.0.0.5": "10.0.0.9"}, "10.0.0.9"),
        ("[fd00::5]:9092", {"fd00::5": "fd00::9"}, "fd00::9"),
        ("127.0.0.1:9092", {"127.0.0.1": "127.0.0.1", "192.0.2.1": "192.168.1.7"}, "192.168.1.7"),
        ("127.0.0.1:9092", {"127.0.0.1": "127.0.0.1"}, "127.0.0.1"),
        ("nowhere:9092", {}, "127.0.0.1"),
    ],
)
def test_the_address_is_that_by_which_others_are_reached(
    monkeypatch: pytest.MonkeyPatch, broker: str, ways: dict[str, str], address: str
) -> None:
    monkeypatch.setattr(machines, "own_address", lambda towards: ways.get(towards[0]))
    assert Machine(broker, Graphics(lambda: None)).address() == address


def test_where_there_is_no_way_there_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_address(("127.0.0.1", 9)) == "127.0.0.1"

    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert own_address(("nowhere", 9)) is None


@pytest.mark.parametrize(
    ("name", "command", "kind"),
    [
        ("python3", ["python3", "-P", "-m", "ingest", "--instance", "1"], "ingest"),
        ("python3", ["python3", "-P", "-m", "streams_proc", "sink-media", "--instance", "1"], "sink-media"),
        ("python3", ["python3", "-m", "query_api"], "query"),
        ("python3", ["python3", "-m", "inference.server"], "models"),
        ("python3", ["python3", "-m", "infra.clickhouse"], "clickhouse"),
        ("java", ["java", "-Xmx384m", "kafka.Kafka", "server.properties"], "kafka"),
        ("tensorflow_model_server", ["tensorflow_model_server"], "models"),
        ("reader", ["python3", "-c", "from multiprocessing.forkserver import main"], "reader"),
        ("reader-template", ["python3", "-c", "main"], None),
        ("python3", ["python3", "-m", "http.server"], None),
        ("python3", ["python3", "-m", "streams_proc"], None),
        ("python3", ["python3", "-m"], None),
        ("bash", [], None),
    ],
)
def test_processes_are_known_by_their_commands(name: str, command: list[str], kind: str | None) -> None:
    assert kind_of(name, command) == kind


class Process:
    """A process that takes ten percents and a thousand bytes."""

    def __init__(self, pid: int, *words: str, mark: str | None = "here", name: str = "python3") -> None:
        self.pid = pid
        self.info = {"name": name, "cmdline": ["python3", *words]}
        self.mark = mark
        self.gone = False

    def environ(self) -> dict[str, str]:
        self._alive()
        return {} if self.mark is None else {MARK: self.mark}

    def cpu_percent(self, _: None) -> float:
        self._alive()
        return 10.0

    def memory_info(self) -> Any:
        return SimpleNamespace(rss=1000)

    def _alive(self) -> None:
        if self.gone:
            raise psutil.NoSuchProcess(self.pid)


def test_the_processes_of_the_stack_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "here")
    clock = FakeClock()
    host, reader = Process(1, "-m", "ingest"), Process(2, name="reader")
    strange = [Process(5, "-m", "ingest", mark="there"), Process(6, "-m", "ingest", mark=None), Process(7, "-c", "x")]
    running = [host, reader, Process(3, name="reader"), *strange]
    services = Services(clock, lambda: running)
    assert services.usage() == {"ingest": Usage(1, 10.0, 1000), "reader": Usage(2, 20.0, 2000)}
    assert (services.kind_of(2), services.kind_of(7)) == ("reader", "other")
    reader.gone = True
    running.append(Process(4, "-m", "streams_proc", "detect"))
    assert services.usage()["reader"] == Usage(1, 10.0, 1000)
    assert "detect" not in services.usage(), "not looked for yet"
    clock.now += LOOK_S
    assert services.usage()["detect"] == Usage(1, 10.0, 1000)


def test_a_process_that_ends_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARK, raising=False)
    process = Process(1, "-m", "ingest", mark=None)
    process.gone = True
    assert Services(FakeClock(), lambda: [process]).usage() == {}
    process.info = {"name": None, "cmdline": None}
    assert Services(FakeClock(), lambda: [process]).usage() == {}


# graphics cards


class NVMLError(Exception):
    """As the library's."""


class Nvml:
    """A machine of two cards, of which the second tells nothing, and a third that is gone."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        if number == 2:
            raise NVMLError("it has fallen off the bus")
        return number

    def nvmlDeviceGetName(self, card: int) -> Any:
        return "Tesla P4" if card == 0 else b"Old card"

    def nvmlDeviceGetMemoryInfo(self, card: int) -> Any:
        return self._told(card, SimpleNamespace(total=8, used=5, free=3))

    def nvmlDeviceGetUtilizationRates(self, card: int) -> Any:
        return self._told(card, SimpleNamespace(gpu=85))

    def nvmlDeviceGetComputeRunningProcesses(self, card: int) -> Any:
        return self._told(card, [SimpleNamespace(pid=1), SimpleNamespace(pid=2), SimpleNamespace(pid=3)])

    def nvmlDeviceGetTemperature(self, card: int, _: int) -> Any:
        return self._told(card, 72)

    @staticmethod
    def _told(card: int, value: Any) -> Any:
        if card:
            raise NVMLError("not supported")
        return value


def test_cards_tell_what_they_can() -> None:
    kinds = {1: "models", 2: "models"}
    cards = Graphics(Nvml).cards(lambda pid: kinds.get(pid, "other"))
    assert cards == (
        Gpu(0, "Tesla P4", 85, 72, 8, 5, 3, {"models": 2, "other": 1}),
        Gpu(1, "Old card"),
    )


def test_without_a_driver_there_are_no_cards() -> None:
    assert Graphics(lambda: None).cards(lambda _: "other") == ()
    broken = Nvml()
    broken.nvmlDeviceGetCount = lambda: Nvml._told(1, 0)  # type: ignore[method-assign]
    assert Graphics(lambda: broken).cards(lambda _: "other") == ()


@pytest.mark.parametrize("missing", [True, False])
def test_the_library_and_a_driver_may_be_missing(monkeypatch: pytest.MonkeyPatch, missing: bool) -> None:
    import sys

    from ingest.graphics import management_library

    def no_driver() -> None:
        raise NVMLError("libnvidia-ml.so is not there")

    library: Any = None if missing else SimpleNamespace(nvmlInit=no_driver, NVMLError=NVMLError)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert management_library() is None
