from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench import Failed
from benchmarks.report import section, write
from benchmarks.rows import Goal, Row
from benchmarks.tables import by_process, number
from tests.unit.benchmarks.made import measured, record

ORDER = ("model", "kafka", "api")
READ = Row(
    "read | all",
    1234.5,
    "records/s",
    rounds=(1234.5, 1000.0),
    spread=0.21,
    reference="bare",
    ratio=0.5,
    cpu_s={"client": 0.002, "kafka": 0.0005},
    memory_mb={"client": 50.0},
    goal=Goal("ratio", 0.9),
    note="why",
)


def test_a_figure_is_a_line_with_all_that_belongs_to_it() -> None:
    text = section([record("2026-01-02", measured("kafka", READ))], ORDER)
    assert (
        "| read / all (why) | 1 234 records/s | 0.50 of bare | ratio 0.9, **missed** | 21% "
        "| 2.5 (client 2, kafka 0.5) | 50 |"
    ) in text
    assert "What it is. 2026-01-02, commit abc1234, load 0.1 to 0.2." in text
    assert "A processor, 2 cores, 24 GiB" in text


def test_whatever_something_is_wanted_of_stands_in_one_table() -> None:
    found = record("2026-01-02", measured("kafka", READ, Row("written", 2.0, "r/s")), short=True)
    goals, rows = section([found], ORDER).split("### kafka")
    assert (
        "| kafka | read / all | 1 234 records/s | 0.50 of bare | ratio 0.9, **missed** | 2026-01-02, short form |"
    ) in goals
    assert "written" in rows
    assert "written" not in goals


def test_each_benchmark_is_shown_as_it_was_last_in_the_suites_order() -> None:
    first = record("2026-01-01", measured("api", Row("list", 7.0, "r/s")), measured("kafka", Row("read", 1.0, "r/s")))
    second = record("2026-01-02", measured("kafka", Row("read", 2.0, "r/s")))
    text = section([second, first], ORDER)
    assert "| read | 2 r/s |" in text
    assert "| read | 1 r/s |" not in text
    assert text.index("### kafka") < text.index("### api")


def test_the_short_form_stands_in_where_there_is_no_other() -> None:
    whole = record("2026-01-01", measured("kafka", Row("read", 1.0, "r/s")))
    short = record(
        "2026-01-02", measured("kafka", Row("read", 2.0, "r/s")), measured("api", Row("list", 3.0, "r/s")), short=True
    )
    text = section([short, whole], ORDER)
    assert "| read | 1 r/s |" in text
    assert text.count("short form") == 1


def test_what_no_run_is_kept_of_stays_as_it_is() -> None:
    before = section([record("2026-01-01", measured("kafka", READ), measured("api", Row("list", 7.0, "r/s")))], ORDER)
    text = section([record("2026-01-02", measured("api", Row("list", 8.0, "r/s")))], ORDER, before)
    both = section(
        [
            record("2026-01-02", measured("api", Row("list", 8.0, "r/s"))),
            record("2026-01-01", measured("kafka", READ), measured("api", Row("list", 7.0, "r/s"))),
        ],
        ORDER,
    )
    assert text == both


def test_without_a_result_there_is_no_report() -> None:
    with pytest.raises(Failed, match="make bench"):
        section([], ORDER)


def test_the_report_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Before\n<!-- bench -->\nold\n<!-- /bench -->\nAfter\n")
    write(page, r"new \1")
    write(page, r"newer \1")
    assert page.read_text() == "Before\n<!-- bench -->\nnewer \\1\n<!-- /bench -->\nAfter\n"


def test_a_page_without_a_place_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nothing here\n")
    with pytest.raises(Failed, match="one place"):
        write(page, "new")
    assert page.read_text() == "Nothing here\n"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.01234, "0.0123"), (99.96, "100"), (123456.7, "123 457"), (-250.0, "-250")]
)
def test_numbers_have_the_digits_that_mean_something(value: float, text: str) -> None:
    assert number(value) == text


def test_of_many_processes_the_largest_are_named() -> None:
    assert by_process({}, 1) == ""
    assert by_process({"a": 5.0}, 2) == "10"
    assert by_process({"a": 1.0, "b": 3.0, "c": 2.0}, 1, most=2) == "6 (b 3, c 2)"
