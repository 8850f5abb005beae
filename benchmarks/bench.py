"""What a benchmark is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import Row

ROUNDS = 5
ROUNDS_SHORT = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how a benchmark runs.

    Attributes:
        short: the form of some minutes.
        shared: folder of test data.
        folder: of this benchmark alone, removed after it.
        say: shows a line of progress.
    """

    short: bool
    shared: Path
    folder: Path
    say: Callable[[str], None]

    @property
    def rounds(self) -> int:
        """How often each side is measured."""
        return ROUNDS_SHORT if self.short else ROUNDS

    @property
    def round_s(self) -> float:
        """How long a side that could go on for ever goes on."""
        return 3.0 if self.short else 10.0


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named measurement.

    Attributes:
        about: a sentence: what is measured, beside what.
    """

    name: str
    about: str
    run: Callable[[Bench], Sequence[Row]]


class Failed(Exception):
    """A benchmark cannot be run, or did not end as it should; the text says why."""
