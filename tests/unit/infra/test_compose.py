"""The Compose file of the production parts, as far as it can be looked at without an engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings

FOLDER = Path(__file__).parents[3] / "infra/compose"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return document


def test_every_image_is_pinned(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        image, _, tag = service["image"].rpartition(":")
        assert image, name
        assert re.search(r"\d", tag), f"{name}: {tag}"


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name in service.get("environment", {}):
            if name.startswith("SIGHTLINE_"):
                section, _, field = name.removeprefix("SIGHTLINE_").lower().partition("__")
                assert section in Settings.model_fields, name
                if field:
                    assert field in type(getattr(Settings(), section)).model_fields, name


def test_nothing_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"


def test_every_dependency_and_volume_exists(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in compose["volumes"], f"{name}: {volume}"


def test_every_process_of_the_line_is_there(compose: dict[str, Any]) -> None:
    commands = [" ".join(service.get("command", ())) for service in compose["services"].values()]
    for stage in ("control", "detect", "analyse", "sink-clickhouse", "sink-lancedb", "sink-media", "notify"):
        assert f"python -m streams_proc {stage}" in commands
    assert {"python -m ingest", "python -m query_api", "sightline migrate"} <= set(commands)


def test_the_image_holds_every_room(compose: dict[str, Any]) -> None:
    recipe = (FOLDER / "Dockerfile").read_text()
    for room in ("core", "ingest", "inference", "streams_proc", "warehouse", "query_api", "infra"):
        assert f"COPY {room} {room}" in recipe
    assert compose["services"]["ingest"]["build"]["dockerfile"] == "infra/compose/Dockerfile"


def test_passwords_have_no_default(compose: dict[str, Any]) -> None:
    text = (FOLDER / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)(?!\w*:\?)", text)) <= {"CLICKHOUSE_PASSWORD", "POSTGRES_PASSWORD"}
    assert not re.findall(r"\$\{\w+\}", text)


def test_the_query_service_asks_for_tokens(compose: dict[str, Any]) -> None:
    environment = compose["services"]["query"]["environment"]
    assert environment["SIGHTLINE_QUERY__AUTH"] == "true"
    assert "SIGHTLINE_QUERY__TOKEN" not in environment
    for service in compose["services"].values():
        assert "network_mode" not in service, "on the host's network a service without auth would be reached by all"
