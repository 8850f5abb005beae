from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from benchmarks import store
from benchmarks.compare import before, table
from benchmarks.rows import Goal, Row
from tests.unit.benchmarks.made import MACHINE, measured, record

OLD = record("2026-01-01", measured("kafka", Row("read", 50.0, "records/s")), measured("api", Row("list", 7.0, "r/s")))
NOW = record("2026-01-03", measured("kafka", Row("read", 100.0, "records/s"), Row("written", 5.0, "records/s")))


def test_what_is_saved_is_read_again_the_newest_first(tmp_path: Path) -> None:
    paths = [store.save(each, tmp_path) for each in (OLD, NOW)]
    assert paths[0].name == "2026-01-01T120000Z-abc1234.json"
    assert store.records(tmp_path) == [NOW, OLD]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert store.records(tmp_path / "none") == []


def test_each_figure_is_compared_with_its_last() -> None:
    between = record("2026-01-02", measured("api", Row("list", 9.0, "r/s")))
    then = before([NOW, between, OLD], NOW)
    assert then["kafka", "read"].value == 50.0
    assert then["api", "list"].value == 9.0


def test_a_run_is_compared_with_its_like_alone() -> None:
    short = record("2026-01-02", measured("kafka", Row("read", 1.0, "records/s")), short=True)
    elsewhere = replace(OLD, date="2026-01-02T13:00:00Z", machine=replace(MACHINE, cpu="Another"))
    later = replace(OLD, date="2026-01-04T12:00:00Z")
    assert before([later, elsewhere, short], NOW) == {}


def test_a_benchmark_that_failed_hides_no_earlier_figure() -> None:
    failed = record("2026-01-02", replace(measured("kafka"), error="why"))
    assert before([failed, OLD], NOW)["kafka", "read"].value == 50.0


def test_the_table_shows_then_now_and_the_change() -> None:
    lines = table(NOW.benchmarks[0], before([OLD], NOW))
    assert lines[1].split() == ["read", "50", "100", "+100%", "0%", "records/s"]
    assert lines[2].split() == ["written", "5", "0%", "records/s"]


def test_the_table_says_what_is_below_its_goal() -> None:
    missed = Row("read", 1.0, "records/s", ratio=0.5, goal=Goal("ratio", 0.9))
    assert table(measured("kafka", missed), {})[1].endswith("below its goal")
