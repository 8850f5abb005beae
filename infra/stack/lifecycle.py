"""Bringing the stack up, in order of readiness, and down, in the order that loses nothing."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from core.errors import SetupError
from core.settings import Settings
from infra.stack import checks, configuration, leftovers
from infra.stack.places import Places
from infra.stack.processes import MODEL_SERVER, Process, all_processes, query, servers, stop_order, workers
from infra.stack.readiness import Ready, probe
from infra.stack.supervisor import StoppedAnswering, Supervisor, last_words

POLL_S = 0.2
MOST_EXITS = 3
LEFTOVERS_S = 5.0


class Watch(Protocol):
    """Whoever is shown that it moves."""

    def waiting(self, what: str, seconds: float) -> None:
        """Still waiting for `what`."""
        ...

    def done(self, what: str, seconds: float) -> None:
        """`what` has taken so long."""
        ...


def up(settings: Settings, watch: Watch) -> bool:
    """Start what does not run yet; False when everything ran already.

    Raises:
        SetupError: something is missing or does not start; nothing is left running then. Or something was ready
            and has ended since: the rest runs.
        TransientError, FatalError: topics or schemas cannot be made.
    """
    places = Places.of(settings)
    supervisor = Supervisor(places)
    places.make()
    with _alone(places, watch):
        begun = not _any_running(supervisor)
        if not begun and _all_running(supervisor, settings):
            return False
        if begun:
            _clear(settings, places, supervisor, watch)
        try:
            if begun:
                _begin(settings, places, supervisor)
            steps = _start(settings, places, supervisor, watch)
        except BaseException:
            if begun:
                _end(settings, places, supervisor, watch)
            raise
    steps.look_again()
    return True


def down(settings: Settings, watch: Watch) -> bool:
    """Stop everything, whatever it was started by; False when nothing ran."""
    places = Places.of(settings)
    supervisor = Supervisor(places)
    if supervisor.gone():
        return leftovers.end(places, settings.stack.stop_timeout_s) > 0
    _end(settings, places, supervisor, watch)
    return True


def stop_some(settings: Settings, processes: Sequence[Process], watch: Watch) -> None:
    """Stop these processes of a stack that runs. Raises StoppedAnswering."""
    begun = time.monotonic()
    _stop(Supervisor(Places.of(settings)), [process.name for process in processes], watch)
    watch.done("stopping", time.monotonic() - begun)


def start_some(settings: Settings, processes: Sequence[Process], watch: Watch) -> None:
    """Start these processes of a stack that runs, and wait until they are ready. Raises SetupError."""
    places = Places.of(settings)
    steps = _Steps(settings, places, Supervisor(places), watch)
    steps.begin(processes)
    steps.wait(processes)


def migrate(settings: Settings, watch: Watch) -> None:
    """Topics and schemas of this version, in stores that run already.

    Raises:
        BrokerUnavailable, StoreUnavailable: a store does not answer.
        ConfigError: a store is of a newer version, or has other partitions.
    """
    prepare("topics", lambda: _topics(settings), watch)
    prepare("schemas", lambda: _schemas(settings), watch)


def prepare(what: str, action: Callable[[], None], watch: Watch) -> None:
    """Do something that takes a while."""
    begun = time.monotonic()
    watch.waiting(what, 0.0)
    action()
    watch.done(what, time.monotonic() - begun)


@contextmanager
def _alone(places: Places, watch: Watch) -> Iterator[None]:
    """One `up` at a time."""
    begun = time.monotonic()
    with (places.run / "up.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                watch.waiting("another `sightline up`", time.monotonic() - begun)
                time.sleep(POLL_S)
        yield


def _any_running(supervisor: Supervisor) -> bool:
    return supervisor.alive() and any(found.pid for found in supervisor.processes().values())


def _all_running(supervisor: Supervisor, settings: Settings) -> bool:
    found = supervisor.processes()
    names = [process.name for process in all_processes(settings)]
    return all(name in found and found[name].state == "RUNNING" for name in names)


def _clear(settings: Settings, places: Places, supervisor: Supervisor, watch: Watch) -> None:
    """Nothing is left from before, and everything is there that a start needs. Raises SetupError."""
    begun = time.monotonic()
    if supervisor.alive():  # it has nothing to watch, and was given other settings perhaps
        _end(settings, places, supervisor, watch)
    ended = leftovers.end(places, LEFTOVERS_S)
    if ended:
        watch.done(f"ending {ended} processes of a stack that was cut off", time.monotonic() - begun)
    checks.require(settings)


def _begin(settings: Settings, places: Places, supervisor: Supervisor) -> None:
    shutil.rmtree(places.metrics, ignore_errors=True)
    places.metrics.mkdir()
    places.config.write_text(configuration.text(settings, places))
    supervisor.begin(configuration.variables(settings, places, os.environ))


def _start(settings: Settings, places: Places, supervisor: Supervisor, watch: Watch) -> _Steps:
    """Servers first, together; what they keep; then whoever uses them, while the models are still loading."""
    steps = _Steps(settings, places, supervisor, watch)
    first = servers(settings)
    models = [server for server in first if server.name == MODEL_SERVER]
    rest = [*workers(settings), query(settings)]
    steps.begin(first)
    steps.wait([server for server in first if server not in models])
    migrate(settings, watch)
    steps.begin(rest)
    steps.wait([*models, *rest])
    return steps


def _topics(settings: Settings) -> None:
    from core.kafka import ensure_topics  # noqa: PLC0415 - heavy

    ensure_topics(settings.kafka)


def _schemas(settings: Settings) -> None:
    from warehouse.migrate import migrate  # noqa: PLC0415 - heavy

    migrate(settings)


def _end(settings: Settings, places: Places, supervisor: Supervisor, watch: Watch) -> None:
    """Until no process of the stack is left."""
    begun = time.monotonic()
    with suppress(StoppedAnswering):  # someone else has told it to end: it does, in the same order
        for names in stop_order(settings, supervisor.processes()):
            _stop(supervisor, names, watch)
        supervisor.end()
    most = time.monotonic() + settings.stack.stop_timeout_s * len(all_processes(settings))
    while not supervisor.gone() and time.monotonic() < most:
        watch.waiting("the supervisor to end", time.monotonic() - begun)
        time.sleep(POLL_S)
    leftovers.end(places, LEFTOVERS_S)
    places.socket.unlink(missing_ok=True)
    watch.done("stopping", time.monotonic() - begun)


def _stop(supervisor: Supervisor, names: Sequence[str], watch: Watch) -> None:
    """Stop these together; the supervisor itself kills what does not end in time."""
    begun = time.monotonic()
    for name in names:
        supervisor.stop(name)
    while left := [name for name, found in supervisor.processes().items() if name in names and found.pid]:
        watch.waiting(f"{', '.join(left)} to stop", time.monotonic() - begun)
        time.sleep(POLL_S)


class _Steps:
    """The steps of a start, each waited for and shown."""

    def __init__(self, settings: Settings, places: Places, supervisor: Supervisor, watch: Watch) -> None:
        self._settings = settings
        self._places = places
        self._supervisor = supervisor
        self._watch = watch
        self._begun: dict[str, float] = {}
        self._ready: dict[str, tuple[Process, float]] = {}

    def begin(self, processes: Sequence[Process]) -> None:
        """Start these together."""
        for process in processes:
            self._supervisor.start(process.name)
            self._begun[process.name] = time.monotonic()

    def wait(self, processes: Sequence[Process]) -> None:
        """Until each of these can be relied on."""
        for process in processes:
            self._wait(process, probe(process, self._settings))

    def _wait(self, process: Process, ready: Ready) -> None:
        begun = self._begun[process.name]
        exits: set[float] = set()
        while True:
            seconds = time.monotonic() - begun
            found = self._supervisor.processes()[process.name]
            if found.state in ("BACKOFF", "EXITED"):
                exits.add(found.began)
            if found.state == "FATAL" or len(exits) >= MOST_EXITS:
                raise SetupError(self._failure(process, "does not start"))
            if found.state == "RUNNING" and ready():
                self._watch.done(process.name, seconds)
                self._ready[process.name] = process, found.began
                return
            if seconds > self._settings.stack.start_timeout_s:
                limit = f"is not ready after {seconds:.0f} s (SIGHTLINE_STACK__START_TIMEOUT_S)"
                raise SetupError(self._failure(process, limit))
            self._watch.waiting(process.name, seconds)
            time.sleep(POLL_S)

    def look_again(self) -> None:
        """Whether all still run that were ready: one may meet what ends it with its first record. Raises SetupError."""
        running = self._supervisor.processes()
        for name, (process, began) in self._ready.items():
            found = running.get(name)
            if found is None or found.state != "RUNNING" or found.began != began:
                raise SetupError(self._failure(process, "was ready and has ended since; the rest of the stack runs"))

    def _failure(self, process: Process, what: str) -> str:
        log = self._places.log / f"{process.name}.log"
        return f"{process.name} {what}; the end of {log}:\n{last_words(log)}"
