"""The one-machine stack: what it refuses, what it survives, and that it leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import httpx
import psutil
import pytest

from core.kafka import producer
from core.settings import Settings
from core.topics import Topics
from infra.stack.leftovers import leftovers
from infra.stack.places import Places
from infra.stack.supervisor import Supervisor
from streams_proc.marks import KafkaMarks, Mark, halt_key
from tests.conftest import RunningStack, free_ports, sightline, stack_env, stack_settings

Refusing = tuple[Settings, dict[str, str]]


class Condition(Protocol):
    """Something that will be true."""

    def __call__(self) -> object: ...


def eventually(condition: Condition, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.2)


@pytest.fixture
def machine(tmp_path: Path, models_dir: Path) -> Iterator[Refusing]:
    """Settings of a stack that could start, and their variables; whatever a test leaves of it is ended."""
    settings = stack_settings(tmp_path / "var", models_dir)
    env = stack_env(settings)
    yield settings, env
    sightline(env, "down")
    assert leftovers(Places.of(settings)) == []


@contextmanager
def listening(port: int) -> Iterator[None]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


def refused(machine: Refusing, **variables: str) -> str:
    """What `up` says when it refuses; nothing may run or answer then."""
    settings, env = machine
    shown = sightline(env | variables, "up")
    assert shown.returncode == 1
    assert "Traceback" not in shown.stderr
    assert leftovers(Places.of(settings)) == []
    assert not Supervisor(Places.of(settings)).alive()
    return shown.stderr


@pytest.mark.stack
@pytest.mark.parametrize(
    ("setting", "port_of"),
    [
        ("SIGHTLINE_KAFKA__PORT", lambda s: s.kafka.port),
        ("SIGHTLINE_CLICKHOUSE__HTTP_PORT", lambda s: s.clickhouse.http_port),
        ("SIGHTLINE_MODELS__PORT", lambda s: s.models.port),
        ("SIGHTLINE_QUERY__PORT", lambda s: s.query.port),
    ],
)
def test_a_busy_port_is_refused_by_the_setting_that_moves_it(
    machine: Refusing, setting: str, port_of: Callable[[Settings], int]
) -> None:
    port = port_of(machine[0])
    with listening(port):
        said = refused(machine)
    assert f"port {port} of 127.0.0.1" in said
    assert "is taken by" in said
    assert f"set {setting} to a free port" in said


@pytest.mark.stack
def test_a_machine_without_java_is_told_the_command(machine: Refusing, tmp_path: Path) -> None:
    assert "apt-get install default-jre-headless" in refused(machine, PATH=str(tmp_path))


@pytest.mark.stack
def test_a_full_disk_is_refused(machine: Refusing) -> None:
    assert "MiB of free disk" in refused(machine, SIGHTLINE_STACK__MIN_FREE_MB="1000000000")


@pytest.mark.stack
def test_missing_models_are_refused(machine: Refusing, tmp_path: Path) -> None:
    assert "sightline models fetch" in refused(machine, SIGHTLINE_MODELS__DIR=str(tmp_path / "none"))


@pytest.mark.stack
def test_a_part_that_cannot_start_takes_the_others_down_and_is_quoted(machine: Refusing) -> None:
    settings, _ = machine
    data = settings.data_dir / "kafka" / "data"
    data.mkdir()
    (data / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=another\n")
    said = refused(machine)
    assert "kafka does not start" in said
    assert "Stored node id 7" in said, "the reason stands in the broker's own words"


@pytest.mark.stack
def test_a_start_that_is_cut_off_leaves_nothing(machine: Refusing) -> None:
    settings, env = machine
    command = [str(Path(sys.executable).with_name("sightline")), "up"]
    starting = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log = settings.data_dir / "log" / "supervisord.log"
    eventually(lambda: log.exists() and "spawned: 'kafka'" in log.read_text())
    starting.terminate()
    _, said = starting.communicate(timeout=120)
    assert starting.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in said
    assert leftovers(Places.of(settings)) == []


@pytest.mark.stack
def test_up_on_a_stack_that_is_up_says_so(stack: RunningStack) -> None:
    shown = sightline(stack.env, "up")
    assert shown.returncode == 0
    assert f"The stack is up already: {stack.url}" in shown.stdout


@pytest.mark.stack
def test_the_stack_is_ready(stack: RunningStack) -> None:
    assert httpx.get(f"{stack.url}/ready", timeout=30).status_code == 200


@pytest.mark.stack
def test_status_shows_state_port_and_uptime(stack: RunningStack) -> None:
    shown = sightline(stack.env, "status")
    assert shown.returncode == 0
    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()}
    assert rows["query"][0] == "RUNNING"
    assert str(stack.settings.query.port) in rows["query"]
    assert rows["query"][-1].count(":") == 2


@pytest.mark.stack
def test_status_and_the_letters_name_a_stage_that_stands_still(stack: RunningStack) -> None:
    KafkaMarks(stack.settings.kafka).write({halt_key("sink-lancedb"): Mark("halted", 0, "101 letters in a row")})
    shown = sightline(stack.env, "status")
    assert shown.returncode == 1
    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()}
    assert (rows["sink-lancedb"][0], rows["detect"][0]) == ("HALTED", "RUNNING")
    assert "101 letters in a row" in shown.stderr
    assert sightline(stack.env, "dlq", "resume", "sink-lancedb").returncode == 0
    assert sightline(stack.env, "status").returncode == 0


@pytest.mark.stack
def test_logs_of_every_process_are_kept(stack: RunningStack) -> None:
    shown = sightline(stack.env, "logs", "supervisord", "-n", "500")
    assert shown.returncode == 0
    assert "entered RUNNING state" in shown.stdout


@pytest.mark.stack
def test_a_killed_worker_comes_back(stack: RunningStack) -> None:
    supervisor = Supervisor(Places.of(stack.settings))
    before = supervisor.processes()["detect"].pid
    psutil.Process(before).kill()
    eventually(lambda: supervisor.processes()["detect"].pid not in (0, before))
    eventually(lambda: supervisor.processes()["detect"].state == "RUNNING")


@pytest.mark.stack
def test_one_process_is_stopped_and_started_alone(stack: RunningStack) -> None:
    stopped = sightline(stack.env, "stage", "stop", "notify")
    assert stopped.returncode == 0, stopped.stderr
    shown = sightline(stack.env, "status")
    assert shown.returncode == 1
    assert [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("notify")] == ["STOPPED"]
    assert sightline(stack.env, "stage", "start", "notify").returncode == 0
    assert sightline(stack.env, "status").returncode == 0
    wrong = sightline(stack.env, "stage", "stop", "kafkaa")
    assert wrong.returncode == 2
    assert "there is no 'kafkaa'; there are kafka, clickhouse" in wrong.stderr


@pytest.mark.stack
def test_a_stage_whose_state_cannot_be_read_is_led_back_by_the_command_that_it_names(stack: RunningStack) -> None:
    topics, client = Topics.of(stack.settings.kafka), producer(stack.settings.kafka, "test")
    client.produce(topics.snapshots_analyse, key=b"0/1/another", value=b"rubbish", partition=0)
    client.produce(topics.snapshots_analyse, key=b"nobody", value=b"rubbish", partition=0)
    assert client.flush(30) == 0
    supervisor = Supervisor(Places.of(stack.settings))
    before = supervisor.processes()["analyse"].pid
    psutil.Process(before).kill()
    client.produce(topics.detections, key=b"x", value=b"{}", partition=0)
    assert client.flush(30) == 0
    said = "sightline stage replay analyse"
    eventually(lambda: said in sightline(stack.env, "logs", "analyse", "-n", "50").stdout)
    replayed = sightline(stack.env, "stage", "replay", "analyse")
    assert replayed.returncode == 0, replayed.stderr
    eventually(lambda: "{}" in sightline(stack.env, "dlq", "show", _first_letter(stack)).stdout)
    steady = supervisor.processes()["analyse"].pid
    time.sleep(5)
    assert supervisor.processes()["analyse"].pid == steady
    assert sightline(stack.env, "dlq", "drop", "--all").returncode == 0
    wrong = sightline(stack.env, "stage", "replay", "kafka")
    assert (wrong.returncode, "there is no stage 'kafka'" in wrong.stderr) == (2, True)


def _first_letter(stack: RunningStack) -> str:
    shown = sightline(stack.env, "dlq", "list", "--json", "--stage", "analyse")
    return str(json.loads(shown.stdout.splitlines()[0])["id"]) if shown.stdout else "0/0"


@pytest.mark.stack
def test_a_supervisor_that_was_killed_is_followed_by_a_clean_start(stack: RunningStack) -> None:
    places = Places.of(stack.settings)
    psutil.Process(int(places.pid.read_text())).send_signal(signal.SIGKILL)
    eventually(lambda: not Supervisor(places).alive())
    orphans = {process.pid for process in leftovers(places)}
    assert orphans
    assert sightline(stack.env, "status").returncode == 3
    again = sightline(stack.env, "up")
    assert again.returncode == 0, again.stderr
    assert f"ending {len(orphans)} processes" in again.stderr
    assert not orphans & {process.pid for process in leftovers(places)}
    assert httpx.get(f"{stack.url}/ready", timeout=30).status_code == 200


@pytest.mark.stack
def test_a_stream_is_added_shown_and_removed(stack: RunningStack, shared: Path) -> None:
    clip = shared / "data/videos/intel/preview/person-bicycle-car-detection.gif"
    added = sightline(stack.env, "streams", "add", str(clip), "--fps", "2")
    assert added.returncode == 0, added.stderr
    stream = added.stdout.strip()
    shown = sightline(stack.env, "streams", "list")
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith(stream)]
    assert clip.name in row
    assert sightline(stack.env, "streams", "remove", stream).returncode == 0
    eventually(lambda: stream not in sightline(stack.env, "streams", "list").stdout)
    unknown = sightline(stack.env, "streams", "remove", str(uuid4()))
    assert unknown.returncode == 1
    assert "Traceback" not in unknown.stderr


@pytest.mark.stack
def test_streams_of_a_stack_that_is_down_end_with_3(stack: RunningStack, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    elsewhere = {"SIGHTLINE_QUERY__PORT": str(port), "SIGHTLINE_DATA_DIR": str(tmp_path)}
    shown = sightline(stack.env | elsewhere, "streams", "list")
    assert shown.returncode == 3
    assert "sightline up" in shown.stderr


@pytest.mark.stack
def test_a_stack_that_runs_on_another_port_is_not_called_down(stack: RunningStack) -> None:
    (port,) = free_ports(1)
    shown = sightline(stack.env | {"SIGHTLINE_QUERY__PORT": str(port)}, "streams", "list")
    assert shown.returncode == 3
    assert f"query listens on {stack.settings.query.port}, not on {port}" in shown.stderr
    assert "sightline up" not in shown.stderr


@pytest.mark.stack
def test_topics_and_schemas_can_be_made_again(stack: RunningStack) -> None:
    shown = sightline(stack.env, "migrate")
    assert shown.returncode == 0, shown.stderr
    assert "topics" in shown.stderr
