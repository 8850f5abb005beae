"""Taking guards away in a copy of the checkout, and looking whether the tests notice."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.guards.guard import Guard

ROOT = Path(__file__).parents[2]
OPTIONS = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:schemathesis", "--hypothesis-seed=0")
TEST_S = 60
BROKER_TEST_S = 240


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a guard.

    Attributes:
        unnoticed: tests that do not fail without it.
        error: why nothing can be said; empty when something can.
    """

    guard: Guard
    unnoticed: tuple[str, ...]
    seconds: float
    error: str = ""

    @property
    def held(self) -> bool:
        """Whether every named test fails without the guard."""
        return not self.unnoticed and not self.error


class Copy:
    """A copy of the checkout's files, whose modules are the ones that are tested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, names.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        if (ROOT / "var").is_dir():
            (folder / "var").symlink_to(ROOT / "var")
        self._env = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",  # a change within a second and of equal length would go unseen
            "SIGHTLINE_SHARED": os.environ.get("SIGHTLINE_SHARED", str(ROOT.parent / "shared")),
        }
        self._check_origin()

    def _check_origin(self) -> None:
        """The project is installed from the checkout: the copy must come first all the same."""
        program = "import core, ingest, streams_proc, tests.guards as g; print(core.__file__, ingest.__file__,"
        program += " streams_proc.__file__, g.__file__, sep='\\n')"
        found = subprocess.run(
            [sys.executable, "-c", program], cwd=self.folder, env=self._env, capture_output=True, text=True, check=True
        )
        for file in found.stdout.split():
            if not Path(file).is_relative_to(self.folder):
                raise RuntimeError(f"{file} would be tested, not the copy in {self.folder}")

    def test(self, tests: Sequence[str], seconds: float) -> tuple[int, dict[str, bool], str]:
        """Run tests; pytest's exit code, by test whether it passed, and the end of what was printed."""
        report = self.folder / ".guards.xml"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", *OPTIONS, f"--timeout={seconds:.0f}", f"--junitxml={report}", *tests]
        done = subprocess.run(
            command, cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=seconds * 20, check=False
        )
        return done.returncode, _passed(report, tests), (done.stdout + done.stderr)[-3000:]

    @contextmanager
    def without(self, guard: Guard) -> Iterator[None]:
        """The copy without the guard. Raises ValueError."""
        path = self.folder / guard.file
        whole = path.read_text()
        changed = guard.removed_from(whole)
        ast.parse(changed, guard.file)
        path.write_text(changed)
        try:
            yield
        finally:
            path.write_text(whole)


def _passed(report: Path, tests: Sequence[str]) -> dict[str, bool]:
    """Whether each test passed, by its id; a test that did not run is left out."""
    found: dict[str, bool] = {}
    if not report.is_file():
        return found
    for case in ET.parse(report).iter("testcase"):
        name, of = case.get("name", ""), case.get("classname", "")
        failed = case.find("failure") is not None
        broken = case.find("error") is not None or case.find("skipped") is not None
        for test in tests:
            file, *parts = test.split("::")
            module = file.removesuffix(".py").replace("/", ".")
            if (of, name) == (".".join([module, *parts[:-1]]), parts[-1]) and not broken:
                found[test] = not failed
    return found


@contextmanager
def copied() -> Iterator[Copy]:
    """A copy that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="sightline-guards-", ignore_cleanup_errors=True) as folder:
        yield Copy(Path(folder).resolve())


def check_whole(copy: Copy, guards: Sequence[Guard]) -> str:
    """Why the tests cannot speak for the guards: they must pass while all are there; empty when they do."""
    tests = sorted({test for guard in guards for test in guard.tests})
    code, passed, said = copy.test(tests, BROKER_TEST_S)
    wrong = [test for test in tests if not passed.get(test, False)]
    return "" if code == 0 and not wrong else f"with every guard in place: {wrong or code}\n{said}"


def try_one(copy: Copy, guard: Guard) -> Finding:
    """Take one guard away and run its tests."""
    began = time.monotonic()
    try:
        with copy.without(guard):
            code, passed, said = copy.test(guard.tests, BROKER_TEST_S if guard.broker else TEST_S)
    except (ValueError, SyntaxError, subprocess.TimeoutExpired) as error:
        return Finding(guard, (), time.monotonic() - began, str(error))
    seconds = time.monotonic() - began
    if code not in (0, 1) or set(passed) != set(guard.tests):
        return Finding(guard, (), seconds, f"pytest ended with {code}: {said}")
    return Finding(guard, tuple(test for test, well in passed.items() if well), seconds)
