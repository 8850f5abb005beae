"""Settings: where they come from, what is refused, what is hidden."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import settings
from core.errors import ConfigError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith("SIGHTLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


def test_defaults_hold_without_file_or_variables() -> None:
    loaded = settings.load()
    assert loaded.kafka.address == "127.0.0.1:9092"
    assert loaded.models.addresses == ("127.0.0.1:8500",)
    assert loaded.models_dir == Path("var/models")
    assert loaded.lancedb_uri == "var/lancedb"
    assert loaded.media_url == "var/media"
    assert loaded.control_url == "sqlite:///var/control.db"
    assert loaded.clickhouse_url == "http://127.0.0.1:8123"


def test_a_variable_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "here.toml"
    file.write_text('[kafka]\nport = 1111\nprefix = "x."\n')
    monkeypatch.setenv("SIGHTLINE_CONFIG", str(file))
    monkeypatch.setenv("SIGHTLINE_KAFKA__PORT", "2222")
    loaded = settings.load()
    assert (loaded.kafka.port, loaded.kafka.prefix) == (2222, "x.")


def test_the_file_of_the_working_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "sightline.toml").write_text("[query]\nport = 4444\n")
    assert settings.load().query.port == 4444


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SIGHTLINE_KAFKA__PORT", "70000", "kafka.port"),
        ("SIGHTLINE_KAFKA__PROT", "9092", "kafka.prot"),
        ("SIGHTLINE_KAFFKA__PORT", "9092", "SIGHTLINE_KAFFKA__PORT"),
        ("SIGHTLINE_DETECT__IN_FLIGHT", "1", "detect.in_flight"),
        ("SIGHTLINE_INGEST__JPEG_QUALITY", "much", "ingest.jpeg_quality"),
        ("SIGHTLINE_QUERY__HOST", "0.0.0.0", "query.auth"),
        ("SIGHTLINE_QUERY__ALLOWED_HOSTS", '["https://cams.example"]', "query.allowed_hosts"),
        ("SIGHTLINE_TOKEN", "slt_x", "SIGHTLINE_TOKEN is no setting"),
        ("SIGHTLINE_CONFIG", "/nowhere/at/all.toml", "no file"),
    ],
)
def test_what_cannot_work_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=says):
        settings.load()


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sightline.toml").write_text("port = = 1")
    with pytest.raises(ConfigError, match=r"sightline\.toml"):
        settings.load()


def test_an_open_address_is_allowed_with_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_QUERY__HOST", "0.0.0.0")
    monkeypatch.setenv("SIGHTLINE_QUERY__AUTH", "true")
    assert settings.load().query.auth


def test_addresses_of_production_replace_the_local_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_KAFKA__BOOTSTRAP", "a:1,b:2")
    monkeypatch.setenv("SIGHTLINE_CLICKHOUSE__URL", "https://ch:8443")
    monkeypatch.setenv("SIGHTLINE_MODELS__SERVERS", '["gpu1:8500","gpu2:8500"]')
    monkeypatch.setenv("SIGHTLINE_MODELS__DIR", "/models")
    monkeypatch.setenv("SIGHTLINE_LANCEDB__URI", "s3://bucket/vectors")
    monkeypatch.setenv("SIGHTLINE_MEDIA__URL", "s3://bucket/media")
    loaded = settings.load()
    assert loaded.kafka.address == "a:1,b:2"
    assert loaded.clickhouse_url == "https://ch:8443"
    assert loaded.models.addresses == ("gpu1:8500", "gpu2:8500")
    assert loaded.models_dir == Path("/models")
    assert (loaded.lancedb_uri, loaded.media_url) == ("s3://bucket/vectors", "s3://bucket/media")


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CLICKHOUSE__PASSWORD", "hush-1")
    monkeypatch.setenv("SIGHTLINE_CONTROL__URL", "postgresql://u:hush-2@db/s")
    monkeypatch.setenv("SIGHTLINE_QUERY__TOKEN", "hush-4")
    monkeypatch.setenv("SIGHTLINE_KAFKA__SECURITY", '{"sasl.password":"hush-3","sasl.username":"me"}')
    loaded = settings.load()
    text = json.dumps(settings.masked(loaded)) + repr(loaded.clickhouse) + repr(loaded.control) + repr(loaded.query)
    assert "hush-1" not in text
    assert "hush-2" not in text
    assert "hush-3" not in text
    assert "hush-4" not in text
    assert settings.masked(loaded)["kafka"]["security"]["sasl.username"] == "me"
    assert "hush-2" in loaded.control_url
