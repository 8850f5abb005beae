"""How a command ends: 0, or 1 failed, 2 wrong use, 3 the stack is down, 130 interrupted; never with a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from core.errors import InvalidInput, SightlineError, TransientError

FAILED, WRONG_USE, STACK_DOWN, INTERRUPTED = 1, 2, 3, 130


class StackDown(TransientError):
    """Nothing answers where the stack should be; says what was asked."""


@contextmanager
def exits(screen: Console) -> Iterator[None]:
    """Turn an error into a sentence on `screen` and an exit code."""
    try:
        yield
    except InvalidInput as error:
        say(screen, str(error))
        raise typer.Exit(WRONG_USE) from error
    except StackDown as error:
        say(screen, f"The stack is down: {error}. Start it with `sightline up`.")
        raise typer.Exit(STACK_DOWN) from error
    except SightlineError as error:
        say(screen, str(error))
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def say(screen: Console, text: str) -> None:
    """A complaint."""
    screen.print(Text(text, "red"), soft_wrap=True)
