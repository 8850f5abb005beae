"""The same migrations for one server, a cluster, and replicas."""

from __future__ import annotations

import re

import pytest

from core.errors import ConfigError
from core.settings import ClickHouse
from warehouse.clickhouse.migration import Migration, all_migrations
from warehouse.clickhouse.topology import SHARDING_KEY, TABLES, Topology

SINGLE = Topology.of(ClickHouse(database="d"))
SHARDED = Topology.of(ClickHouse(database="d", cluster="c"))
REPLICATED = Topology.of(ClickHouse(database="d", cluster="c", replicated=True))


def rendered(topology: Topology) -> list[str]:
    return [statement for step in all_migrations() for statement in step.statements(topology)]


def test_one_server_has_plain_tables_and_nothing_else() -> None:
    text = "\n".join(rendered(SINGLE))
    assert "ON CLUSTER" not in text
    assert "Distributed" not in text
    assert "Replicated" not in text
    assert "_local" not in text
    for table in TABLES:
        assert f"CREATE TABLE IF NOT EXISTS d.{table}\n" in text


def test_a_cluster_has_local_tables_under_distributed_ones() -> None:
    statements = rendered(SHARDED)
    assert all("ON CLUSTER c" in statement for statement in statements)
    for table in TABLES:
        assert any(s.startswith(f"CREATE TABLE IF NOT EXISTS d.{table}_local ON CLUSTER c\n") for s in statements)
        over = f"CREATE TABLE IF NOT EXISTS d.{table} ON CLUSTER c AS d.{table}_local ENGINE = "
        assert f"{over}Distributed(c, d, {table}_local, {SHARDING_KEY})" in statements
    view = next(s for s in statements if "MATERIALIZED VIEW" in s)
    assert "TO d.tracks_local" in view
    assert "FROM d.track_points_local" in view


def test_replicas_have_replicated_engines_with_the_same_arguments() -> None:
    text = "\n".join(rendered(REPLICATED))
    engines = re.findall(r"ENGINE = (\w+)\(([^\n]*)\)", text)
    kept = [(name, arguments) for name, arguments in engines if name != "Distributed"]
    assert len(kept) == len(TABLES)
    assert all(name.startswith("Replicated") for name, _ in kept)
    path = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"
    assert {arguments for _, arguments in kept} == {path, f"{path}, number"}


def test_every_statement_may_run_twice() -> None:
    for topology in (SINGLE, SHARDED, REPLICATED):
        for statement in rendered(topology):
            assert re.match(
                r"CREATE (TABLE|MATERIALIZED VIEW) IF NOT EXISTS |ALTER TABLE \S+ .*(IF NOT EXISTS|MODIFY COLUMN)",
                statement,
            )


def test_every_table_is_sharded_and_deleted_by_stream() -> None:
    keys = re.findall(r"ORDER BY \((\w+)", "\n".join(rendered(SINGLE)))
    assert keys == ["stream_id"] * len(TABLES)


@pytest.mark.parametrize("name", ["", "a-b", "a;b", "1a", "a b", "ü"])
def test_names_that_would_need_quoting_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="database"):
        Topology(name)
    if name:
        with pytest.raises(ConfigError, match="cluster"):
            Topology("d", name)


def test_comments_and_empty_statements_are_no_statements() -> None:
    step = Migration(1, "x", "-- a; comment;\nSELECT 1;\n\n{{ t.distributed('x') }};\nSELECT ';';\n")
    assert step.statements(SINGLE) == ["SELECT 1", "SELECT ';'"]
