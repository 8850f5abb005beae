"""What a benchmark finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from msgspec import Struct

from benchmarks import figures

Better = Literal["more", "less"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One round.

    Attributes:
        cpu_s: seconds of processor time of each item, by process.
        memory_mb: most proportional set size, by process.
    """

    value: float
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    memory_mb: Mapping[str, float] = field(default_factory=dict)


class Goal(Struct, frozen=True):
    """What DESIGN wants: a ratio or value of at least, or where less is better at most, so much."""

    of: Literal["value", "ratio"]
    limit: float


class Row(Struct, frozen=True, omit_defaults=True):
    """One figure.

    Attributes:
        value: the best round's, unless the note says otherwise.
        ratio: to the reference, the median over neighbouring rounds.
        spread: how far the rounds lie apart, as a part of their median.
        cpu_s: seconds of processor time of each item, by process.
        memory_mb: peak of the proportional set size, by process.
    """

    name: str
    value: float
    unit: str
    better: Better = "more"
    rounds: tuple[float, ...] = ()
    spread: float = 0.0
    reference: str = ""
    ratio: float | None = None
    cpu_s: dict[str, float] = {}
    memory_mb: dict[str, float] = {}
    goal: Goal | None = None
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None when there is none, or nothing to hold against it."""
        found = None if self.goal is None else self.value if self.goal.of == "value" else self.ratio
        if self.goal is None or found is None:
            return None
        return found <= self.goal.limit if self.better == "less" else found >= self.goal.limit


def row(
    name: str,
    samples: Sequence[Sample],
    unit: str,
    *,
    better: Better = "more",
    against: tuple[str, Sequence[Sample]] | None = None,
    goal: Goal | None = None,
    note: str = "",
) -> Row:
    """The rounds of one side as a row.

    Args:
        against: the reference's name and its rounds, neighbours of these.
    """
    rounds = tuple(sample.value for sample in samples)
    return Row(
        name,
        max(rounds) if better == "more" else min(rounds),
        unit,
        better,
        rounds,
        figures.spread(rounds),
        "" if against is None else against[0],
        None if against is None else figures.ratio(rounds, [sample.value for sample in against[1]]),
        _over(median, [sample.cpu_s for sample in samples]),
        _over(max, [sample.memory_mb for sample in samples]),
        goal,
        note,
    )


def _over(fold: Callable[[Sequence[float]], float], tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: fold([table[name] for table in tables if name in table]) for name in names}
