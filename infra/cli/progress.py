"""How far something is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

LINE_EVERY_S = 3.0
BAR_WIDTH = 10


class Meter(Protocol):
    """Shows one step's progress; a context manager."""

    def show(self, part: float, says: str) -> None:
        """Show `part`, 0..1, of the step and what there is to say of it."""

    def __enter__(self) -> Meter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Bar:
    """A bar that is redrawn."""

    def __init__(self, console: Console, title: str) -> None:
        self._bar = Progress(
            _Title(),  # the only one that gives way when the terminal is narrow
            BarColumn(BAR_WIDTH, table_column=Column(no_wrap=True)),
            TextColumn("{task.percentage:>3.0f}%"),
            _Says(table_column=Column(no_wrap=True)),
            console=console,
        )
        self._task: TaskID = self._bar.add_task(title, total=1.0, says="")

    def show(self, part: float, says: str) -> None:
        """Redraw."""
        self._bar.update(self._task, completed=part, says=says)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class Lines:
    """A line every few seconds, and one for the last that was shown."""

    def __init__(self, console: Console, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._printed_at = -LINE_EVERY_S
        self._waiting: str | None = None

    def show(self, part: float, says: str) -> None:
        """Print, unless something was printed a moment ago."""
        line = f"{self._title}: {part:.0%} {says}".rstrip()
        if self._clock() - self._printed_at >= LINE_EVERY_S:
            self._print(line)
        else:
            self._waiting = line

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting is not None:
            self._print(self._waiting)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._printed_at = self._clock()
        self._waiting = None


class _Title(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The step's name, cut where there is no room for it."""
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Says(ProgressColumn):
    def render(self, task: Task) -> Text:
        """What `show` was told last."""
        return Text(str(task.fields["says"]))


def meter(console: Console, title: str) -> Meter:
    """A bar where there is a terminal, else lines."""
    return Bar(console, title) if console.is_terminal else Lines(console, title)


def time_left(seconds: float | None) -> str:
    """Such as `1:05 left`; empty when it is not known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{clock} left"
