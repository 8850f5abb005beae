from __future__ import annotations

import os

import pytest

from benchmarks.rounds import Side, Work, alternate, measured
from benchmarks.rows import Goal, Row, Sample, row
from benchmarks.usage import Usage, memory_mb, processor_s


def test_sides_are_measured_in_turn() -> None:
    order: list[str] = []

    def side(name: str, seconds: float) -> Side:
        def run() -> Work:
            order.append(name)
            return Work(10, seconds)

        return Side(name, run)

    said: list[str] = []
    found = alternate([side("a", 2.0), side("b", 5.0)], 3, said.append)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert [sample.value for sample in found["a"]] == [5.0] * 3
    assert [sample.value for sample in found["b"]] == [2.0] * 3
    assert said[0] == "round 1 of 3, a: 5 a second"


def test_what_a_side_measures_itself_is_for_each_item() -> None:
    sample = measured(Side("a", lambda: Work(4, 1.0, {"own": 2.0}, {"own": 7.0})))
    assert sample.cpu_s == {"own": 0.5}
    assert sample.memory_mb == {"own": 7.0}


def test_processes_of_a_side_are_watched() -> None:
    sample = measured(Side("a", lambda: Work(1, 1.0), lambda: {"me": os.getpid()}))
    assert sample.memory_mb["me"] > 1.0
    assert sample.cpu_s["me"] >= 0.0


def test_a_process_that_is_gone_uses_nothing() -> None:
    nobody = 2**22 + 1  # above every process id that Linux gives
    with Usage({"gone": nobody}) as used:
        pass
    assert used.cpu_s == {"gone": 0.0}
    assert memory_mb(nobody) == processor_s(nobody) == 0.0


def test_a_row_has_the_best_round_and_the_neighbours_ratio() -> None:
    mine = [
        Sample(8.0, {"p": 0.1}, {"p": 50.0}),
        Sample(9.0, {"p": 0.3}, {"p": 70.0}),
        Sample(4.0, {"p": 0.2}, {"q": 1.0}),
    ]
    made = row("what", mine, "items/s", against=("bare", [Sample(10.0), Sample(10.0), Sample(5.0)]))
    assert made.value == 9.0
    assert made.rounds == (8.0, 9.0, 4.0)
    assert made.ratio == pytest.approx(0.8)
    assert made.reference == "bare"
    assert made.cpu_s == {"p": pytest.approx(0.2)}
    assert made.memory_mb == {"p": 70.0, "q": 1.0}


def test_where_less_is_better_the_least_is_the_best() -> None:
    assert row("what", [Sample(8.0), Sample(3.0)], "s", better="less").value == 3.0


@pytest.mark.parametrize(
    ("better", "goal", "reached"),
    [
        ("more", None, None),
        ("more", Goal("value", 10.0), True),
        ("more", Goal("value", 10.1), False),
        ("less", Goal("value", 10.0), True),
        ("less", Goal("value", 9.9), False),
        ("more", Goal("ratio", 0.5), True),
        ("less", Goal("ratio", 0.4), False),
    ],
)
def test_a_goal_is_at_least_or_where_less_is_better_at_most(
    better: str, goal: Goal | None, reached: bool | None
) -> None:
    assert Row("what", 10.0, "s", better, ratio=0.5, goal=goal).reached is reached  # type: ignore[arg-type]


def test_a_goal_for_a_ratio_that_was_not_taken_is_not_judged() -> None:
    assert Row("what", 10.0, "s", goal=Goal("ratio", 0.5)).reached is None
