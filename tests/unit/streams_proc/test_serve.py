from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from core.errors import ConfigError, GapError, SnapshotError
from streams_proc import app
from streams_proc.serve import run


def raising(error: BaseException) -> Callable[[asyncio.Event], Awaitable[None]]:
    async def main(stopping: asyncio.Event) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GapError("gap"), 1),
        (SnapshotError("old"), 1),
        (ValueError("bug"), 1),
        (ExceptionGroup("tasks", [ExceptionGroup("more", [GapError("gap")])]), 1),
        (TimeoutError(), 0),
    ],
)
def test_the_exit_code_says_whether_it_ended_well(error: BaseException, code: int) -> None:
    ended: list[int] = []
    assert run("stage", raising(error), lambda: ended.append(1)) == code
    assert len(ended) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_process_to_stop(number: signal.Signals) -> None:
    async def main(stopping: asyncio.Event) -> None:
        os.kill(os.getpid(), number)
        await stopping.wait()

    assert run("stage", main, lambda: pytest.fail("no error")) == 0


def test_an_unknown_process_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        app.main(["paint"])
    assert caught.value.code == 2
    assert "detect" in capsys.readouterr().err


def test_wrong_settings_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong() -> None:
        raise ConfigError("kafka.port: too large")

    monkeypatch.setattr(app, "load", wrong)
    assert app.main(["detect"]) == 1
    assert capsys.readouterr().err == "detect: kafka.port: too large\n"
