"""How a command ends: 0, or 1 failed, 2 wrong use, 3 the stack is down, 130 interrupted; never with a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from core.errors import InvalidInput, SightlineError, TransientError

FAILED, WRONG_USE, STACK_DOWN, INTERRUPTED = 1, 2, 3, 130


class StackDown(TransientError):
    """Nothing answers where the stack should be; says what was asked."""


def running_though() -> str | None:
    """What to say of a stack that runs though it was not reached; None: none runs."""
    from core.settings import load  # noqa: PLC0415 - for this sentence only
    from infra.stack.elsewhere import running_though as look  # noqa: PLC0415

    return look(load())


@contextmanager
def exits(screen: Console, look: Callable[[], str | None] = running_though) -> Iterator[None]:
    """Turn an error into a sentence on `screen` and an exit code."""
    try:
        yield
    except InvalidInput as error:
        say(screen, str(error))
        raise typer.Exit(WRONG_USE) from error
    except StackDown as error:
        though = look()
        if though is None:
            say(screen, f"The stack is down: {error}. Start it with `sightline up`.")
        else:
            say(screen, f"The stack runs, but {error}: {though}.")
        raise typer.Exit(STACK_DOWN) from error
    except SightlineError as error:
        say(screen, str(error))
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def say(screen: Console, text: str) -> None:
    """A complaint."""
    screen.print(Text(text, "red"), soft_wrap=True)
