"""Embeddings: written once, found again, and gone when deleted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import lancedb
import msgspec
import numpy as np
import pytest

from core.errors import ConfigError, FatalError, InvalidInput, StoreUnavailable
from core.ids import Run, Seq, StreamId
from core.messages import FrameTracks, View
from core.settings import LanceDb, Settings
from tests.integration.warehouse.samples import START_MS, stream_id, view
from warehouse import lance
from warehouse.embeddings import EmbeddingStore

A, B, C = stream_id(1), stream_id(2), stream_id(3)
Rows = list[tuple[FrameTracks, View]]


def rows(stream: StreamId, count: int, *, keyspace: str = "appearance", dimension: int = 32) -> Rows:
    made = []
    for seq in range(count):
        frame = FrameTracks(stream, Run(1), Seq(seq), seq, seq / 10, START_MS + seq * 100, 960, 540, ())
        made.append(
            (
                frame,
                view(
                    stream, 1, 1 + seq % 5, seq, random=Random(f"{stream}{seq}"), keyspace=keyspace, dimension=dimension
                ),
            )
        )
    return made


def nearest(kept: Rows, vector: tuple[float, ...]) -> list[tuple[str, float]]:
    """Brute force: view and similarity, the most alike first."""
    matrix = np.array([v.embedding for _, v in kept], dtype=np.float32)
    query = np.array(vector, dtype=np.float32)
    cosine = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    order = np.argsort(-cosine)
    return [(str(kept[i][1].view_id), max(0.0, float(cosine[i]))) for i in order]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, lancedb=LanceDb(index_after_rows=1000, keep_versions_s=3600))


@pytest.fixture
def store(settings: Settings) -> Iterator[EmbeddingStore]:
    yield EmbeddingStore.connect(settings)


def test_an_empty_keyspace_finds_nothing(store: EmbeddingStore) -> None:
    assert store.search("face", [1.0, 0.0], limit=5) == []
    assert store.count("face") == 0
    store.maintain()
    store.delete_stream(A)
    store.write([])


def test_a_view_is_found_as_it_was_written(store: EmbeddingStore) -> None:
    kept = rows(A, 20)
    store.write(kept)
    frame, wanted = kept[7]
    first = store.search("appearance", wanted.embedding, limit=1)[0]
    assert first.similarity == pytest.approx(1.0, abs=1e-5)
    assert (first.view_id, first.stream_id, first.run, first.track_id) == (wanted.view_id, A, 1, wanted.track_id)
    assert (first.seq, first.ts_ms, first.media_s) == (frame.seq, frame.ts_ms, frame.media_s)
    assert (first.label, first.score, first.box) == (wanted.label, wanted.score, wanted.box)
    assert (first.media_key, first.model) == (wanted.media_key, wanted.model)


def test_a_table_of_an_older_version_is_read_and_written_on(store: EmbeddingStore, settings: Settings) -> None:
    older, newer = rows(A, 2)
    store.write([older])
    lancedb.connect(settings.lancedb_uri).open_table("appearance").drop_columns(["view"])
    store.write([newer])
    for frame, kept in (older, newer):
        (found,) = store.search("appearance", kept.embedding, limit=1)
        assert (found.view_id, found.stream_id, found.track_id) == (kept.view_id, frame.stream_id, kept.track_id)
        assert (found.seq, found.box, found.media_key) == (frame.seq, kept.box, kept.media_key)


def test_the_same_views_again_change_nothing(store: EmbeddingStore, settings: Settings) -> None:
    kept = rows(A, 50)
    store.write(kept)
    store.write(kept[10:30] + kept[10:30])
    store.maintain()
    EmbeddingStore.connect(settings).write(kept)
    assert store.count("appearance") == 50
    found = store.search("appearance", kept[0][1].embedding, limit=500)
    assert len(found) == len({n.view_id for n in found}) == 50


def test_keyspaces_are_apart(store: EmbeddingStore) -> None:
    store.write([*rows(A, 10), *rows(A, 4, keyspace="face", dimension=8)])
    assert (store.count("appearance"), store.count("face")) == (10, 4)
    assert len(store.search("face", [1.0] * 8, limit=100)) == 4


def test_views_without_embedding_and_of_immediate_analyses_are_left_out(store: EmbeddingStore) -> None:
    (frame, first), (_, second) = rows(A, 2)
    bare = msgspec.structs.replace(first, embedding=())
    store.write([(frame, bare), (msgspec.structs.replace(frame, ephemeral=True), second)])
    assert store.count("appearance") == 0


@pytest.mark.parametrize("indexed", [False, True])
def test_searches_are_those_of_brute_force(store: EmbeddingStore, indexed: bool) -> None:
    kept = [row for stream in (A, B, C) for row in rows(stream, 500)]
    store.write(kept)
    if indexed:
        store.maintain()
        late = rows(stream_id(4), 20)  # not in the index yet
        store.write(late)
        kept += late
    random, hits = Random(1), 0
    for _ in range(20):
        vector = tuple(random.gauss(0, 1) for _ in range(32))
        expected = nearest(kept, vector)[:10]
        found = store.search("appearance", vector, limit=10)
        hits += len({str(n.view_id) for n in found} & {v for v, _ in expected})
        assert [n.similarity for n in found] == sorted((n.similarity for n in found), reverse=True)
        assert found[0].similarity == pytest.approx(expected[0][1], abs=1e-5)
    assert hits >= 196


def test_filters_are_applied_before_the_nearest_are_taken(store: EmbeddingStore) -> None:
    kept = [row for stream in (A, B, C) for row in rows(stream, 400)]
    store.write(kept)
    store.maintain()
    vector = kept[0][1].embedding
    asked = {"stream_ids": [B, C], "from_ms": START_MS + 1000, "to_ms": START_MS + 3000}
    inside = [r for r in kept if r[0].stream_id != A and 1000 <= r[0].ts_ms - START_MS < 3000]
    found = store.search("appearance", vector, limit=100, **asked)
    assert {str(n.view_id) for n in found} == {v for v, _ in nearest(inside, vector)[:100]}
    assert len(found) == 40
    least = found[9].similarity
    assert len(store.search("appearance", vector, limit=100, threshold=least, **asked)) == 10
    assert store.search("appearance", vector, limit=9, stream_ids=[]) == []
    assert store.search("appearance", vector, limit=9, model="other") == []
    assert len(store.search("appearance", vector, limit=9, model="appearance")) == 9


def test_a_filter_finds_what_lies_in_far_partitions(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "PARTITION_ROWS", 40)
    axes = np.eye(32)
    kept: Rows = []
    for number in range(32):  # each stream's views point where no other's do
        for frame, made in rows(stream_id(1 + number), 40):
            near = axes[number] + 0.01 * np.array(made.embedding)
            kept.append((frame, msgspec.structs.replace(made, embedding=tuple(near.tolist()))))
    store.write(kept)
    store.maintain()
    for number in range(32):
        asked = {"stream_ids": [stream_id(1 + (number + 16) % 32)], "limit": 10}
        found = store.search("appearance", tuple(axes[number].tolist()), **asked)
        assert len(found) == 10, "none of them lies in the partitions that are nearest"


def test_vectors_that_point_apart_are_not_alike(store: EmbeddingStore) -> None:
    kept = rows(A, 1)
    store.write(kept)
    opposite = [-v * 3 for v in kept[0][1].embedding]
    assert store.search("appearance", opposite, limit=1)[0].similarity == 0.0
    assert store.search("appearance", opposite, limit=1, threshold=0.1) == []


def test_another_dimension_is_refused(store: EmbeddingStore) -> None:
    store.write(rows(A, 3))
    with pytest.raises(ConfigError, match="32 dimensions and the model gives 16"):
        store.write(rows(B, 3, dimension=16))
    with pytest.raises(ConfigError, match="dimensions"):
        store.write([*rows(B, 3, keyspace="face", dimension=4), *rows(C, 3, keyspace="face", dimension=8)])
    with pytest.raises(InvalidInput, match="32 dimensions") as caught:
        store.search("appearance", [1.0] * 16, limit=1)
    assert caught.value.field == "vector"
    assert store.count("appearance") == 3


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"vector": [float("nan")] * 32}, "vector"),
        ({"vector": [0.0] * 32}, "vector"),
        ({"vector": [[1.0]]}, "vector"),
        ({"limit": 0}, "limit"),
        ({"limit": 10**6}, "limit"),
        ({"threshold": 1.5}, "threshold"),
        ({"model": "x' OR '1'='1"}, "model"),
        ({"model": ""}, "model"),
        ({"stream_ids": [A] * 10_001}, "stream_ids"),
    ],
)
def test_wrong_questions_are_refused(store: EmbeddingStore, wrong: dict[str, object], field: str) -> None:
    store.write(rows(A, 2))
    with pytest.raises(InvalidInput) as caught:
        store.search("appearance", **({"vector": [1.0] * 32, "limit": 5} | wrong))
    assert caught.value.field == field


def test_nothing_but_an_id_gets_into_a_condition(store: EmbeddingStore) -> None:
    store.write(rows(A, 2))
    with pytest.raises(AttributeError):
        store.search("appearance", [1.0] * 32, limit=5, stream_ids=["x') OR ('1'='1"])
    with pytest.raises(ValueError, match="invalid literal"):
        store.search("appearance", [1.0] * 32, limit=5, from_ms="0 OR 1=1")


@pytest.mark.parametrize("indexed", [False, True])
def test_deletion_is_complete_in_every_version(store: EmbeddingStore, settings: Settings, indexed: bool) -> None:
    kept = [*rows(A, 1200), *rows(B, 100)]
    for at in range(0, len(kept), 200):
        store.write(kept[at : at + 200])
    store.write(rows(B, 5, keyspace="face"))
    if indexed:
        store.maintain()
    target = kept[-1][1]
    assert store.search("appearance", target.embedding, limit=1)[0].view_id == target.view_id
    store.delete_stream(B)
    for reader in (store, EmbeddingStore.connect(settings)):
        found = reader.search("appearance", target.embedding, limit=2000)
        assert {n.stream_id for n in found} == {A}
        assert reader.search("appearance", target.embedding, limit=10, stream_ids=[B]) == []
        assert (reader.count("appearance", B), reader.count("face", B), reader.count("appearance")) == (0, 0, 1200)
    for keyspace in ("appearance", "face"):
        table = store.open()._table(keyspace)
        for version in table.list_versions():
            table.checkout(version["version"])
            assert table.count_rows(f"stream_id = '{B}'") == 0
        table.checkout_latest()
    store.maintain()
    store.delete_stream(B)
    assert store.count("appearance") == 1200


def test_old_versions_are_cleaned_away(settings: Settings) -> None:
    store = EmbeddingStore.connect(settings.model_copy(update={"lancedb": LanceDb(keep_versions_s=0.001)}))
    kept = rows(A, 200)
    for at in range(0, 200, 10):
        store.write(kept[at : at + 10])
    assert len(store.open()._table("appearance").list_versions()) > 20
    store.maintain()
    assert len(store.open()._table("appearance").list_versions()) <= 2
    assert store.open()._table("appearance").stats()["fragment_stats"]["num_fragments"] == 1


def test_writers_and_deletion_at_once(settings: Settings) -> None:
    EmbeddingStore.connect(settings).write(rows(A, 10))

    def write(stream: StreamId) -> None:
        store = EmbeddingStore.connect(settings)
        kept = rows(stream, 60)
        for at in range(0, 60, 20):
            store.write(kept[at : at + 20])

    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(write, stream) for stream in (B, C)]
        done.append(threads.submit(EmbeddingStore.connect(settings).delete_stream, A))
        for each in done:
            each.result()
    store = EmbeddingStore.connect(settings)
    assert [store.count("appearance", stream) for stream in (A, B, C)] == [0, 60, 60]


def test_errors_are_of_the_tree(store: EmbeddingStore, settings: Settings, monkeypatch) -> None:
    tried = []

    def failing(error: Exception):
        def call() -> None:
            tried.append(1)
            raise error

        return call

    with pytest.raises(StoreUnavailable, match="disk"):
        lance._again(failing(OSError("disk")))
    assert len(tried) == lance.TRIES
    with pytest.raises(FatalError, match="LanceDB"):
        lance._again(failing(ValueError("schema")))
    with pytest.raises(InvalidInput):
        lance._again(failing(InvalidInput("x")))
    monkeypatch.setattr(store.open(), "_database", type("D", (), {"open_table": failing(ValueError("other"))})())
    with pytest.raises(TypeError):
        store.count("face")
