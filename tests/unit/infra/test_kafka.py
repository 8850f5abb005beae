"""The local broker's properties, its command line, and the Java it wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SetupError
from core.settings import Kafka, Settings
from infra.kafka.__main__ import prepare
from infra.kafka.broker import Layout, format_command, java, properties, serve_command
from infra.kafka.jars import POM, lib_dir, resolve
from infra.parts import STAMP, is_settled


def put_program(folder: Path, name: str, script: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def a_settled_lib(settings: Settings) -> None:
    import hashlib

    lib_dir(settings).mkdir(parents=True)
    (lib_dir(settings) / STAMP).write_text(hashlib.sha256(POM.read_bytes()).hexdigest())


def read(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_node_listens_on_its_own_address_only(tmp_path: Path) -> None:
    settings = Settings(kafka=Kafka(host="127.0.0.1", port=19092, controller_port=19093))
    values = read(properties(settings, tmp_path))
    assert values["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert values["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19092"
    assert values["controller.quorum.voters"] == "1@127.0.0.1:19093"
    assert values["log.dirs"] == str(tmp_path)


def test_limits_come_from_the_settings(tmp_path: Path) -> None:
    settings = Settings(kafka=Kafka(partitions=7, max_message_bytes=1_000_000))
    values = read(properties(settings, tmp_path))
    assert (values["num.partitions"], values["message.max.bytes"]) == ("7", "1000000")


def test_the_heap_is_the_settings(tmp_path: Path) -> None:
    layout = Layout.of(Settings(data_dir=tmp_path))
    command = serve_command("/usr/bin/java", layout, 384)
    assert "-Xmx384m" in command
    assert "-Xms128m" in command
    assert command[-2:] == ["kafka.Kafka", str(tmp_path / "kafka" / "server.properties")]
    assert "-Xms64m" in serve_command("java", layout, 64)


def test_each_cluster_has_an_id_that_kafka_takes(tmp_path: Path) -> None:
    layout = Layout.of(Settings(data_dir=tmp_path))
    ids = set()
    for _ in range(200):
        command = format_command("java", layout)
        ids.add(command[command.index("--cluster-id") + 1])
    assert len(ids) == 200
    assert all(len(cluster) == 22 and not cluster.startswith("-") for cluster in ids)


def test_without_java_the_command_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"Java is missing.*: apt-get install default-jre-headless"):
        java()


@pytest.mark.parametrize("said", ['openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_201"', "nonsense"])
def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    put_program(tmp_path, "java", f"echo '{said}' >&2")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="older than Java 17"):
        java()


def test_a_newer_java_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = put_program(tmp_path, "java", "echo 'openjdk version \"21.0.1\" 2023-10-17' >&2")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java() == str(program)


def test_an_empty_folder_is_formatted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    a_settled_lib(settings)
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    calls = tmp_path / "calls"
    # stands for the Java that formats: says its version, or writes what Kafka's tool writes
    put_program(
        tmp_path,
        "java",
        f"""case "$1" in
          -version) echo 'openjdk version "17.0.1"' >&2 ;;
          *) echo "$@" >> {calls}; echo x > {meta} ;;
        esac""",
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    first = prepare(settings)
    assert prepare(settings) == first
    assert len(calls.read_text().splitlines()) == 1
    assert "kafka.tools.StorageTool format --cluster-id" in calls.read_text()


def test_a_folder_that_cannot_be_formatted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    a_settled_lib(settings)
    script = "case \"$1\" in -version) echo 'version \"17\"' >&2 ;; *) echo 'no space left' >&2; exit 1 ;; esac"
    put_program(tmp_path, "java", script)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"cannot format .*no space left"):
        prepare(settings)


def test_jars_need_maven_only_when_they_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data_dir=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"Maven is missing.*: apt-get install maven"):
        resolve(settings)
    assert not is_settled(lib_dir(settings), POM.read_bytes())
    a_settled_lib(settings)
    assert resolve(settings) == lib_dir(settings)
