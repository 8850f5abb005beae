"""What `up` refuses, and what it says then."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from core.errors import SetupError
from core.settings import ClickHouse, Kafka, Models, Settings, Stack
from infra.clickhouse import library
from infra.kafka import jars
from infra.parts import STAMP
from infra.stack import checks

KAFKA = Kafka(bootstrap="kafka:9092")
CLICKHOUSE = ClickHouse(url="http://clickhouse:8123")
MODELS = Models(servers=("serving:8500",))


def settle(folder: Path, definition: Path) -> None:
    folder.mkdir(parents=True)
    (folder / STAMP).write_text(hashlib.sha256(definition.read_bytes()).hexdigest())


def missing(settings: Settings) -> dict[str, str]:
    return {check.what: check.sentence for check in checks.machine(settings) if check.missing}


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def put(programs: Path, name: str, script: str = "") -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def test_parts_that_run_elsewhere_need_nothing_here(tmp_path: Path, no_programs: Path) -> None:
    assert missing(Settings(data_dir=tmp_path, kafka=KAFKA, clickhouse=CLICKHOUSE, models=MODELS)) == {}


def test_a_bare_machine_is_told_each_command(tmp_path: Path, no_programs: Path) -> None:
    found = missing(Settings(data_dir=tmp_path / "var"))
    assert found["Java"].endswith(": apt-get install default-jre-headless")
    assert found["Kafka's jars"].endswith(": apt-get install maven")
    assert found["ClickHouse's library"].endswith(": apt-get install npm")
    assert found["models"].endswith(": sightline models fetch")


def test_parts_not_yet_fetched_are_fetched_by_the_set_up(tmp_path: Path, no_programs: Path) -> None:
    put(no_programs, "mvn")
    put(no_programs, "npm")
    put(no_programs, "java", "echo 'openjdk version \"17.0.1\"' >&2")
    found = missing(Settings(data_dir=tmp_path / "var"))
    assert found["Kafka's jars"].endswith(": make setup")
    assert found["ClickHouse's library"].endswith(": make setup")
    assert "Java" not in found


def test_fetched_parts_need_neither_maven_nor_npm(tmp_path: Path, no_programs: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var", models=Models(servers=("a:1",)))
    settle(jars.lib_dir(settings), jars.POM)
    settle(library.lib_dir(settings), library.LOCK)
    put(no_programs, "java", "echo 'openjdk version \"17.0.1\"' >&2")
    assert missing(settings) == {}


def test_a_clickhouse_of_the_machine_s_own_is_enough(tmp_path: Path, no_programs: Path) -> None:
    put(no_programs, "clickhouse")
    assert "ClickHouse's library" not in missing(Settings(data_dir=tmp_path / "var"))


def test_the_models_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "zoo" / "mine").mkdir(parents=True)
    (tmp_path / "zoo" / "mine" / "card.json").write_text(
        '{"name": "mine", "version": 1, "kind": "detector", "input_size": 256, "licence": "MIT", "source": "here"}'
    )
    found = missing(Settings(data_dir=tmp_path, models=Models(dir=tmp_path / "zoo", detector="mine", embedder="other")))
    assert "lacks facemesh-detection, faceres, other" in found["models"]


def test_a_full_disk_is_refused_in_numbers(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "new", stack=Stack(min_free_mb=10**9), kafka=KAFKA, clickhouse=CLICKHOUSE, models=MODELS
    )
    with pytest.raises(SetupError, match=r"MiB of free disk, and 1000000000 MiB are needed"):
        checks.require(settings)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = missing(Settings(data_dir=tmp_path / "file" / "var", kafka=KAFKA, clickhouse=CLICKHOUSE, models=MODELS))
    (sentence,) = found.values()
    assert sentence.endswith(": set SIGHTLINE_DATA_DIR")


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, no_programs: Path) -> None:
    with pytest.raises(SetupError) as refused:
        checks.require(Settings(data_dir=tmp_path / "var", stack=Stack(min_free_mb=10**9)))
    assert len(str(refused.value).splitlines()) >= 4
