"""Schemas: made, made again, refused when newer; and tables over two servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import Popen

import pytest

from core.errors import ConfigError, NotFound
from core.ids import Run
from core.settings import ClickHouse, Settings
from tests.conftest import PARTS, ROOT, free_ports, listens
from tests.integration.warehouse import model
from tests.integration.warehouse.samples import events, frames, spec, stream_id, tracks
from warehouse.analytics import AnalyticsStore
from warehouse.clickhouse.client import Client
from warehouse.clickhouse.migration import Migration, all_migrations, apply
from warehouse.clickhouse.topology import TABLES, Topology
from warehouse.control import ControlStore
from warehouse.filters import Filter
from warehouse.migrate import migrate

pytestmark = pytest.mark.clickhouse


def tables_of(client: Client, database: str) -> dict[str, str]:
    columns = client.columns(
        "SELECT name, engine FROM system.tables WHERE database = {database:String}", {"database": database}
    )
    return dict(zip(*columns, strict=True))


def test_everything_is_migrated_twice(settings: Settings) -> None:
    migrate(settings)
    store, control = AnalyticsStore.connect(settings), ControlStore.connect(settings)
    store.write_frames(frames(stream_id(1), 3))
    control.create_stream(spec(stream_id(1)))
    migrate(settings)
    assert len(list(store.run_frames(stream_id(1), Run(1)))) == 3
    assert control.stream(stream_id(1)).spec == spec(stream_id(1))
    control.delete_stream(stream_id(1))
    with pytest.raises(NotFound):
        control.stream(stream_id(1))
    store.close()
    control.close()


def test_steps_run_once_and_in_order(settings: Settings) -> None:
    client, topology = Client(settings), Topology.of(settings.clickhouse)
    steps = all_migrations()
    assert [m.version for m in steps] == list(range(1, len(steps) + 1))
    assert apply(client, topology, steps[:1]) == ("0001_detections",)
    assert "events" not in tables_of(client, topology.database)
    assert apply(client, topology) == tuple(f"{m.version:04d}_{m.name}" for m in steps[1:])
    assert apply(client, topology) == ()
    assert set(TABLES) <= set(tables_of(client, topology.database))
    client.close()


def test_a_step_that_broke_off_is_repeated(settings: Settings) -> None:
    client, topology = Client(settings), Topology.of(settings.clickhouse)
    first = all_migrations()[0]
    for statement in first.statements(topology)[:1]:
        client.command(f"CREATE DATABASE IF NOT EXISTS {topology.database}")
        client.command(statement)
    assert apply(client, topology)[0] == "0001_detections"
    client.close()


def test_a_newer_or_another_schema_is_refused(settings: Settings) -> None:
    client, topology = Client(settings), Topology.of(settings.clickhouse)
    steps = all_migrations()
    apply(client, topology)
    with pytest.raises(ConfigError, match="does not know"):
        apply(client, topology, steps[:-1])
    with pytest.raises(ConfigError, match="another text"):
        apply(client, topology, (replace(steps[0], text=steps[0].text + "\n"), *steps[1:]))
    apply(client, topology, (*steps, Migration(len(steps) + 1, "more", "SELECT 1;\n")))
    with pytest.raises(ConfigError, match="does not know"):
        apply(client, topology)
    client.close()


HOST = """
import sys
from pathlib import Path
from infra.clickhouse.__main__ import arguments, serve
from infra.clickhouse.library import resolve
from core.settings import Settings, ClickHouse
folder, http, tcp, parts = sys.argv[1:]
settings = Settings(data_dir=Path(folder), clickhouse=ClickHouse(http_port=int(http), tcp_port=int(tcp)))
print(serve(resolve(Settings(data_dir=Path(parts))), arguments(settings, Path(folder) / "clickhouse" / "config.xml")))
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Settings]]:
    """Two servers that know each other as the shards of cluster `pair`."""
    from infra.clickhouse import config

    http_a, tcp_a, http_b, tcp_b = free_ports(4)
    shards = "".join(
        f"<shard><replica><host>127.0.0.1</host><port>{tcp}</port></replica></shard>" for tcp in (tcp_a, tcp_b)
    )
    both, hosts = [], []
    for http, tcp in ((http_a, tcp_a), (http_b, tcp_b)):
        folder = tmp_path_factory.mktemp("clickhouse")
        clickhouse = ClickHouse(http_port=http, tcp_port=tcp, cluster="pair", database="pair_test")
        settings = Settings(data_dir=folder, clickhouse=clickhouse)
        path = config.write(settings)
        text = path.read_text().replace(
            "</clickhouse>", f"<remote_servers><pair>{shards}</pair></remote_servers></clickhouse>"
        )
        path.write_text(text)
        hosts.append(Popen([sys.executable, "-c", HOST, str(folder), str(http), str(tcp), str(PARTS)], cwd=ROOT))
        both.append(settings)
    try:
        for settings, host in zip(both, hosts, strict=True):
            while not (listens(settings.clickhouse.http_port) and listens(settings.clickhouse.tcp_port)):
                assert host.poll() is None
        yield both[0], both[1]
    finally:
        for host in hosts:
            host.kill()
            host.wait()


def test_two_servers_share_the_rows_and_answer_as_one(pair: tuple[Settings, Settings]) -> None:
    topology = replace(Topology.of(pair[0].clickhouse), ddl_on_cluster=False)
    clients = [Client(settings) for settings in pair]
    for client in clients:
        apply(client, topology)
        assert apply(client, topology) == ()
        assert tables_of(client, topology.database)["detections"] == "Distributed"
    one, two = (AnalyticsStore(client, topology) for client in clients)
    streams = [stream_id(n) for n in range(8)]
    seen = [f for s in streams for f in frames(s, 40)]
    followed = [f for s in streams for f in tracks(s, 40)]
    stories = [story for s in streams for story in events(s, 6)]
    one.write_frames(seen)
    one.write_tracks(followed)
    one.write_events([phase for story in stories for phase in story])
    two.write_frames(seen[::2])  # replays through another server meet their rows
    two.write_tracks(followed[::2])
    two.write_events([story[0] for story in stories])
    for table in TABLES:
        here, there = (
            int(c.columns(f"SELECT uniqExact(stream_id) FROM {topology.local(table)}")[0][0]) for c in clients
        )
        assert here + there == len(streams)
        assert here
        assert there
    area = Filter(area=(0.2, 0.2, 0.5, 0.5))
    for store in (one, two):
        every = store.detections(Filter(), limit=100_000).items
        expected = model.detections(seen, Filter())
        assert [(d.ts_ms, d.stream_id, d.seq, d.label, d.box) for d in every] == [
            (d[0], d[1], d[3], d[6], d[8]) for d in expected
        ]
        found = [(t.stream_id, t.track_id, t.frames) for t in store.tracks(area, limit=1000).items]
        assert found == [(w.stream, w.track, len(w.points)) for w in model.tracks(followed, area)]
        assert any(t.image for t in store.tracks(Filter(), limit=1000).items)
        assert store.events(Filter(), limit=1000).items == tuple(model.events(stories, Filter()))
        counts = store.statistics(Filter(), metric="detections", group_by=("stream",))
        assert {r.stream_id: r.value for r in counts} == {s: sum(d[1] == s for d in expected) for s in streams}
        assert store.statistics(Filter(), metric="objects")[0].value == len(model.wholes(followed))
        assert store.statistics(Filter(), metric="visits")[0].value == len(model.wholes(followed))
        at_once = max(len(f.tracks) for f in followed)
        assert store.statistics(Filter(), metric="max_at_once")[0].value == at_once
        assert [f.objects for f in store.run_frames(streams[0], Run(1))] == [f.objects for f in seen[:40]]
        assert sum(len(batch) for batch in store.export("detections", Filter())) == len(expected)
    for store in (one, two):  # ON CLUSTER, which needs Keeper, would do both at once
        store.delete_stream(streams[0])
    for store in (one, two):
        left = store.detections(Filter(), limit=100_000).items
        assert {d.stream_id for d in left} == set(streams[1:])
    for client in clients:
        client.close()


def test_the_folder_of_migrations_is_what_is_shipped() -> None:
    folder = Path(__file__).parents[3] / "warehouse" / "clickhouse" / "migrations"
    assert len(all_migrations()) == len(list(folder.glob("*.sql")))
