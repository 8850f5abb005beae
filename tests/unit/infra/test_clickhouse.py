"""The local ClickHouse's configuration and where its library comes from."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest

from core.errors import ConfigError, SetupError
from core.settings import ClickHouse, Settings
from infra.clickhouse import config, library
from infra.clickhouse.__main__ import arguments, server_command


def written(tmp_path: Path, **clickhouse: object) -> ElementTree.Element:
    settings = Settings(data_dir=tmp_path, clickhouse=ClickHouse.model_validate(clickhouse))
    return ElementTree.parse(config.write(settings)).getroot()


def test_the_password_is_kept_as_its_hash(tmp_path: Path) -> None:
    root = written(tmp_path, user="reader", password="s3cret")
    assert root.findtext("users/reader/password_sha256_hex") == hashlib.sha256(b"s3cret").hexdigest()
    file = tmp_path / "clickhouse" / "config.xml"
    assert "s3cret" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nobody_gets_in_without_the_password(tmp_path: Path) -> None:
    root = written(tmp_path, user="reader", password="s3cret")
    default = root.find("users/default")
    assert default is not None
    assert default.find("access_management") is None
    assert [grant.text for grant in default.iterfind("grants/query")] == [
        "GRANT SYSTEM LISTEN ON *.*",
        "GRANT SELECT ON system.numbers",
    ]


def test_the_default_user_cannot_have_a_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give the user another name"):
        written(tmp_path, password="s3cret")


def test_users_come_from_loopback(tmp_path: Path) -> None:
    root = written(tmp_path)
    assert [ip.text for ip in root.iterfind("users/default/networks/ip")] == ["::1", "127.0.0.1"]
    assert root.findtext("users/default/access_management") == "1"


def test_memory_is_bounded_as_the_settings_say(tmp_path: Path) -> None:
    root = written(tmp_path, memory_mb=512)
    assert root.findtext("max_server_memory_usage") == str(512 * 1024**2)
    assert int(root.findtext("profiles/default/max_memory_usage") or 0) < 512 * 1024**2
    assert int(root.findtext("mark_cache_size") or 0) == 32 * 1024**2


def test_the_library_is_told_ports_and_address(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, clickhouse=ClickHouse(http_port=18123, tcp_port=19000))
    words = arguments(settings, tmp_path / "config.xml")
    assert words[words.index("--http_port") + 1] == "18123"
    assert words[words.index("--tcp_port") + 1] == "19000"
    assert words[words.index("--listen_host") + 1] == "127.0.0.1"
    assert words[words.index("--path") + 1] == str(tmp_path / "clickhouse" / "data")
    assert words[-1].startswith("SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; SELECT")


def test_a_binary_is_used_with_the_same_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "clickhouse"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert library.binary() == str(own)
    assert server_command(str(own), tmp_path / "c.xml")[:3] == [str(own), "server", f"--config-file={tmp_path}/c.xml"]


def test_the_lock_file_pins_by_hash_and_names_no_address() -> None:
    lock = json.loads(library.LOCK.read_text())
    (package,) = [entry for name, entry in lock["packages"].items() if name]
    assert package["integrity"].startswith("sha512-")
    assert "resolved" not in package
    assert "://" not in library.LOCK.read_text()


def test_without_npm_the_command_that_installs_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(SetupError, match=r"npm is missing.*: apt-get install npm"):
        library.resolve(Settings(data_dir=tmp_path))


def test_a_processor_without_a_library_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SetupError, match=r"riscv64.*SIGHTLINE_CLICKHOUSE__URL"):
        library.resolve(Settings(data_dir=tmp_path))
