"""Which processes there are, how the supervisor is told, and in which order they stop."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from core.errors import ConfigError
from core.settings import ClickHouse, Kafka, Models, Query, Settings, Stack
from infra.stack.configuration import text, variables
from infra.stack.places import LONGEST_SOCKET_PATH, Places
from infra.stack.processes import all_processes, stop_order
from infra.stack.readiness import query_url

ONE_MACHINE = [
    "kafka",
    "clickhouse",
    "models",
    "control",
    "sink-clickhouse",
    "sink-lancedb",
    "sink-media",
    "notify",
    "analyse",
    "detect",
    "ingest",
    "query",
]


def configured(settings: Settings) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(text(settings, Places.of(settings)))
    return parser


def test_every_process_of_the_design_runs() -> None:
    assert [process.name for process in all_processes(Settings())] == ONE_MACHINE


def test_a_part_with_an_address_is_not_run_here() -> None:
    settings = Settings(
        kafka=Kafka(bootstrap="kafka:9092"),
        clickhouse=ClickHouse(url="http://clickhouse:8123"),
        models=Models(servers=("serving:8500",)),
    )
    names = [process.name for process in all_processes(settings)]
    assert names == ONE_MACHINE[3:]


def test_workers_are_as_many_as_the_settings_say() -> None:
    settings = Settings(stack=Stack(detect_workers=3, ingest_hosts=2))
    found = {process.name: process for process in all_processes(settings)}
    assert {"detect", "detect-2", "detect-3", "ingest", "ingest-2", "analyse"} <= set(found)
    assert found["detect-3"].command[-2:] == ("--instance", "3")
    assert found["detect-3"].group == "detect"
    assert found["ingest-2"].command[-2:] == ("--instance", "2")


def test_the_model_server_stands_back_for_a_worker_that_starts() -> None:
    parser = configured(Settings())
    commands = {name: parser[f"program:{name}"]["command"] for name in ONE_MACHINE}
    assert [name for name, command in commands.items() if command.startswith("nice -n 10 ")] == ["models"]


def test_frames_stop_at_their_source_first_and_the_broker_stops_last() -> None:
    assert stop_order(Settings(), ONE_MACHINE) == [
        ["ingest"],
        ["detect"],
        ["analyse"],
        ["notify", "sink-clickhouse", "sink-lancedb", "sink-media"],
        ["control"],
        ["query"],
        ["models"],
        ["clickhouse"],
        ["kafka"],
    ]


def test_what_other_settings_have_started_stops_too() -> None:
    assert stop_order(Settings(), ["kafka", "detect-2"]) == [["detect-2"], ["kafka"]]


def test_the_supervisor_itself_would_stop_them_in_the_same_order() -> None:
    parser = configured(Settings())
    priority = {name: int(parser[f"program:{name}"]["priority"]) for name in ONE_MACHINE}
    stopped = [name for names in stop_order(Settings(), ONE_MACHINE) for name in names]
    assert [priority[name] for name in stopped] == sorted(priority.values(), reverse=True)


def test_each_port_names_the_setting_that_moves_it() -> None:
    settings = Settings(kafka=Kafka(port=1), query=Query(port=2))
    ports = {port.setting: port.port for process in all_processes(settings) for port in process.listeners}
    assert ports == {
        "SIGHTLINE_KAFKA__PORT": 1,
        "SIGHTLINE_KAFKA__CONTROLLER_PORT": 9093,
        "SIGHTLINE_CLICKHOUSE__HTTP_PORT": 8123,
        "SIGHTLINE_CLICKHOUSE__TCP_PORT": 9000,
        "SIGHTLINE_MODELS__PORT": 8500,
        "SIGHTLINE_QUERY__PORT": 2,
    }


def test_the_configuration_restarts_and_rotates(tmp_path: Path) -> None:
    parser = configured(Settings(data_dir=tmp_path, stack=Stack(stop_timeout_s=7)))
    for name in ONE_MACHINE:
        program = parser[f"program:{name}"]
        assert program["autostart"] == "false"
        assert program["autorestart"] == "true"
        assert program["stopwaitsecs"] == "7"
        assert program["stdout_logfile"] == str(tmp_path / "log" / f"{name}.log")
        assert int(program["stdout_logfile_backups"]) > 0


def test_one_process_gets_variables_of_its_own(tmp_path: Path) -> None:
    own = {"detect": {"CUDA_VISIBLE_DEVICES": "1,2", "NOTE": "50% of it"}}
    parser = configured(Settings(data_dir=tmp_path, stack=Stack(environment=own)))
    assert dict_of_key_value_pairs(parser["program:detect"]["environment"]) == own["detect"]
    assert "environment" not in parser["program:analyse"]


def test_variables_for_a_process_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="detect-2"):
        configured(Settings(data_dir=tmp_path, stack=Stack(environment={"detect-2": {"A": "b"}})))


def test_a_folder_with_odd_letters_survives_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "50% of 'it' (mine)"
    parser = configured(Settings(data_dir=folder, models=Models(servers=("a:1",))))
    assert parser["program:query"]["stdout_logfile"] == str(folder / "log" / "query.log")
    assert shlex.split(parser["program:query"]["command"])[1:] == ["-P", "-m", "query_api"]


def test_no_secret_is_written_into_the_configuration(tmp_path: Path) -> None:
    clickhouse = ClickHouse.model_validate({"user": "reader", "password": "s3cret"})
    settings = Settings(data_dir=tmp_path, clickhouse=clickhouse)
    assert "s3cret" not in text(settings, Places.of(settings))


def test_processes_get_the_callers_settings_and_the_stack_s_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    given = {"PATH": "/bin", "SIGHTLINE_KAFKA__PORT": "1", "SIGHTLINE_DATA_DIR": "relative", "OMP_NUM_THREADS": "4"}
    found = variables(settings, Places.of(settings), given)
    assert found["SIGHTLINE_DATA_DIR"] == str(tmp_path)
    assert found["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path / "run" / "metrics")
    assert found["SIGHTLINE_KAFKA__PORT"] == "1"
    assert found["OMP_NUM_THREADS"] == "4", "what the user sets stays"
    assert found["MALLOC_ARENA_MAX"] == "2"


def test_the_socket_lies_with_the_stack_unless_its_path_is_too_long(tmp_path: Path) -> None:
    short, long = Settings(data_dir=Path("/srv/s")), Settings(data_dir=Path("/srv") / ("deep/" * 30))
    assert Places.of(short).socket == Path("/srv/s/run/supervisor.sock")
    socket = Places.of(long).socket
    assert len(str(socket)) < LONGEST_SOCKET_PATH
    assert socket == Places.of(long).socket
    assert socket != Places.of(Settings(data_dir=Path("/srv") / ("deep/" * 31))).socket


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:4004"), ("0.0.0.0", "http://127.0.0.1:4004"), ("::", "http://[::1]:4004")],
)
def test_a_service_on_all_addresses_is_asked_on_loopback(host: str, url: str) -> None:
    assert query_url(Settings(query=Query(host=host, auth=True))) == url
