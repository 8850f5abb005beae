"""A process that answers: questions on its standard input, answers on its standard output, a JSON line each.

It ends with its input, so it does not outlive whoever asks.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.bench import Failed
from tests.conftest import ROOT

Answer = Callable[[dict[str, Any]], Mapping[str, Any]]
END_S = 20.0


class Child:
    """Runs `python -m module` and asks it; ready once it is made.

    Args:
        setup: what it is told first.
        log: where its own output goes.
        variables: beside this process's, of which those of the settings are left out.

    Raises (all methods):
        Failed: it has ended; with its last words.
    """

    def __init__(
        self, module: str, setup: Mapping[str, Any], log: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self._module, self._log = module, log
        env = {name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")}
        with log.open("wb") as output:
            # a session of its own: Ctrl-C is for whoever asks, who then ends it in order
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=ROOT,
                env={**env, **(variables or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        try:
            self.told = self.ask(**setup)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def ask(self, **question: Any) -> dict[str, Any]:
        """Its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            self.close()
            last = self._log.read_text(errors="replace")[-1500:]
            raise Failed(f"{self._module} has ended with {self._process.returncode}:\n{last}") from error
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it has ended already, with a question unread
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except BaseException as error:
            self._process.kill()
            self._process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
        finally:
            self._process.stdout.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # it may be in the midst of a round that nobody waits for
            self._process.kill()
        self.close()


def serve(make: Callable[[dict[str, Any]], tuple[Answer, Mapping[str, Any]]]) -> None:
    """Be such a process.

    Args:
        make: from the setup, what answers questions, and the first answer.
    """
    talk = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    lines: Iterable[str] = iter(sys.stdin.readline, "")
    answer: Answer | None = None
    for line in lines:
        question = json.loads(line)
        if answer is None:
            answer, said = make(question)
        else:
            said = answer(question)
        talk.write(json.dumps(said) + "\n")
        talk.flush()
