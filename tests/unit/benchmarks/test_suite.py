from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.bench import Failed
from benchmarks.rounds import Work
from benchmarks.suite import ALL
from benchmarks.suite.gate import compare, read, visits_of
from benchmarks.suite.ingest import beyond
from benchmarks.suite.pipeline import swing
from benchmarks.work import embedding
from core.ids import TrackId
from core.messages import Detection, Gate


def test_every_benchmark_has_a_name_of_its_own_and_a_sentence() -> None:
    assert len({benchmark.name for benchmark in ALL}) == len(ALL)
    assert all(benchmark.about.endswith(".") for benchmark in ALL)


def test_the_suite_is_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "--list"])
    assert main() == 0
    shown = capsys.readouterr().out
    assert all(f"{benchmark.name} " in shown for benchmark in ALL)


def test_missing_test_data_are_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "--only", "kafka"])
    monkeypatch.setenv("SIGHTLINE_SHARED", str(tmp_path / "none"))
    assert main() == 2
    said = capsys.readouterr().err
    assert said == f"benchmarks: the test data is not at {tmp_path / 'none'}: set SIGHTLINE_SHARED to its folder\n"


def test_full_swing_leaves_begin_and_end_out() -> None:
    points = [(0.0, 0), (5.0, 0), (6.0, 10), (7.0, 40), (9.0, 90), (20.0, 100)]
    assert swing(points) == pytest.approx((90 - 10) / (9.0 - 6.0))


def test_a_task_that_was_done_at_once_has_no_full_swing() -> None:
    with pytest.raises(Failed, match="too short"):
        swing([(0.0, 0), (1.0, 100)])


def test_starts_do_not_count_where_a_longer_file_is_compared_with_a_shorter() -> None:
    works = {Path("short"): Work(10, 3.0, {"reader": 2.0}), Path("long"): Work(110, 8.0, {"reader": 4.0})}
    assert beyond(works.__getitem__, (Path("short"), Path("long"))) == Work(100, 5.0, {"reader": 2.0})


def test_vectors_lie_around_their_middles() -> None:
    middles = embedding.centres([[1.0, 0.0, 2.0] * 300, [0.5, -1.0, 0.0] * 300])
    vectors = embedding.around(middles, 50, seed=2)
    assert middles.shape == (2, embedding.DIMENSION)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert (vectors @ middles.T).max(axis=1).min() > 0.8
    assert len(embedding.centres([])) > 100, "without real ones there are random ones"


def test_the_truth_is_what_a_whole_comparison_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PART", 7)
    middles = embedding.centres([])
    vectors, queries = embedding.around(middles, 100, seed=2), embedding.around(middles, 5, seed=3)
    likeness = queries @ vectors.T
    assert embedding.nearest(vectors, queries, 4, None) == np.argsort(-likeness, axis=1)[:, :4].tolist()
    allowed = embedding.kept_by_filter(100)
    likeness[:, ~allowed] = -np.inf
    assert embedding.nearest(vectors, queries, 4, allowed) == np.argsort(-likeness, axis=1)[:, :4].tolist()


def test_the_filter_lets_a_twentieth_through() -> None:
    assert embedding.kept_by_filter(1000).mean() == pytest.approx(0.05)


def test_recall_is_the_part_that_was_found_in_whatever_order() -> None:
    assert embedding.recall([[3, 1], [5, 6]], [[1, 3], [6, 7]]) == pytest.approx(0.75)


def test_a_visit_is_missed_where_nothing_of_it_was_seen() -> None:
    whole = {
        TrackId(1): frozenset({(0.0, 0), (0.2, 1), (0.4, 0)}),
        TrackId(2): frozenset({(3.0, 0), (3.2, 0)}),
        TrackId(3): frozenset({(5.0, 0), (5.2, None)}),
    }
    behind = {TrackId(7): frozenset({(0.4, 0), (0.6, 0)}), TrackId(8): frozenset({(5.0, 0), (5.2, 1)})}
    assert compare(whole, behind) == (1, 0.4)
    assert compare(whole, {}) == (3, 0.0)
    assert compare({}, behind) == (0, 0.0)


def test_what_a_benchmark_reads_behind_the_gate_is_a_part_of_what_it_reads_without(tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "smptebars=size=160x96:rate=5:duration=6"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    _, every, without = read(path, None)
    begin, some, counts = read(path, Gate())
    assert (len(every), without.gated) == (30, 0)
    assert (len(some), counts.gated) == (13, 17)
    seen = {frame.media_s: (Detection("car", 0.8, (0.1, 0.1, 0.3, 0.3)),) for frame in every}
    (visit,) = visits_of(begin, some, seen).values()
    assert len(visit) == 13
