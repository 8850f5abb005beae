"""What a guard is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guard:
    """A few lines that keep a trap shut.

    Attributes:
        name: short, for the table.
        trap: what happens without it.
        file: where it stands, from the root of the checkout.
        old: its text, which occurs there exactly once.
        new: the same place without the guard; still a program.
        also: more such places of the file, where one guard stands behind another.
        tests: ids of tests that fail then, each of them.
        broker: the tests start a broker and workers.
    """

    name: str
    trap: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    broker: bool = False
    also: tuple[tuple[str, str], ...] = ()

    def removed_from(self, text: str) -> str:
        """The file's text without the guard. Raises ValueError when it is not there exactly once."""
        for old, new in ((self.old, self.new), *self.also):
            if (count := text.count(old)) != 1:
                raise ValueError(f"{self.name}: its text occurs {count} times in {self.file}")
            text = text.replace(old, new)
        return text
