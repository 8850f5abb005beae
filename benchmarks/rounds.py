"""Sides that are measured in turn: A B A B, so that what else the machine does meets both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.rows import Sample
from benchmarks.usage import Usage


@dataclass(frozen=True, slots=True)
class Work:
    """What one round of a side did.

    Attributes:
        cpu_s, memory_mb: of a round that measures its processes itself, by name, over all items.
    """

    items: float
    seconds: float
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    memory_mb: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """Something to measure.

    Attributes:
        run: does one round.
        processes: ids of those that take part, by name; asked at each round.
    """

    name: str
    run: Callable[[], Work]
    processes: Callable[[], Mapping[str, int]] = dict


def alternate(sides: Sequence[Side], rounds: int, say: Callable[[str], None]) -> dict[str, list[Sample]]:
    """Measure each side once a round, in their order.

    Returns:
        Each side's samples by its name; the value is items a second.
    """
    found: dict[str, list[Sample]] = {side.name: [] for side in sides}
    for number in range(1, rounds + 1):
        for side in sides:
            sample = measured(side)
            found[side.name].append(sample)
            say(f"round {number} of {rounds}, {side.name}: {sample.value:.4g} a second")
    return found


def measured(side: Side) -> Sample:
    """One round of a side."""
    with Usage(side.processes()) as used:
        work = side.run()
    seconds = {**used.cpu_s, **work.cpu_s}
    return Sample(
        work.items / work.seconds,
        {name: spent / work.items for name, spent in seconds.items()},
        {**used.memory_mb, **work.memory_mb},
    )
