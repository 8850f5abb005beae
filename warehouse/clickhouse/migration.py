"""Bringing ClickHouse's schema forward, one numbered file after the other.

A migration is a template of statements, each of which may be run again without harm (``IF NOT
EXISTS``), so one that broke off half-way is simply repeated.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from core.errors import ConfigError
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.topology import Topology

_FILE = re.compile(r"(\d{4})_([a-z_]+)\.sql")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
# Statements, not pages: nothing here is shown in a browser.
_templates = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step.

    Attributes:
        text: template of statements, divided by semicolons at the end of a line.
    """

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the template; an applied migration must not change."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, topology: Topology) -> list[str]:
        """What is run, in order, on such a server or cluster."""
        text = _COMMENT.sub("", _templates.from_string(self.text).render(t=topology))
        return [s.strip() for s in re.split(r";\s*$", text, flags=re.MULTILINE) if s.strip()]


def all_migrations() -> tuple[Migration, ...]:
    """The steps of this version, in order. Raises ConfigError when numbers are missing or doubled."""
    found = []
    for file in files("warehouse.clickhouse.migrations").iterdir():
        if match := _FILE.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    found.sort(key=lambda m: m.version)
    if [m.version for m in found] != list(range(1, len(found) + 1)):
        raise ConfigError("the numbers of ClickHouse's migrations are not 1, 2, 3 ...")
    return tuple(found)


def _preparation(topology: Topology) -> list[str]:
    return [
        f"CREATE DATABASE IF NOT EXISTS {topology.database}{topology.on_cluster}",
        f"CREATE TABLE IF NOT EXISTS {topology.database}.schema_migrations{topology.on_cluster} "
        "(version UInt32, name String, checksum String, applied DateTime64(3, 'UTC')) "
        f"ENGINE = {topology.engine('ReplacingMergeTree')} ORDER BY version",
    ]


def apply(client: Client, topology: Topology, migrations: tuple[Migration, ...] | None = None) -> tuple[str, ...]:
    """Run what has not been run; returns the names of the steps that were.

    Raises:
        ConfigError: the database knows a step that this version does not, or another text of one.
        StoreUnavailable: the server does not answer, or refused for now.
    """
    steps = all_migrations() if migrations is None else migrations
    for statement in _preparation(topology):
        client.command(statement)
    applied = _applied(client, topology)
    _check(applied, steps)
    done = []
    for step in steps:
        if step.version in applied:
            continue
        for statement in step.statements(topology):
            client.command(statement)
        client.command(
            f"INSERT INTO {topology.database}.schema_migrations (version, name, checksum, applied) "  # plain names
            "SELECT {version:UInt32}, {name:String}, {checksum:String}, now64(3)",
            {"version": step.version, "name": step.name, "checksum": step.checksum},
        )
        done.append(f"{step.version:04d}_{step.name}")
    return tuple(done)


def _applied(client: Client, topology: Topology) -> dict[int, str]:
    rows = client.columns(f"SELECT version, checksum FROM {topology.database}.schema_migrations FINAL")  # noqa: S608
    return dict(zip(*rows, strict=True)) if rows else {}


def _check(applied: dict[int, str], steps: tuple[Migration, ...]) -> None:
    known = {step.version: step.checksum for step in steps}
    for version, checksum in sorted(applied.items()):
        if version not in known:
            raise ConfigError(f"ClickHouse's schema has step {version}, which this version of Sightline does not know")
        if known[version] != checksum:
            raise ConfigError(f"step {version} of ClickHouse's schema was applied with another text than it has now")
