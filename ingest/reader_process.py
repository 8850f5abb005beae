"""A host's hold on one reader: its process, its reports, and the orders to it."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection

import msgspec

from core.log import get
from core.messages import StreamSpec
from core.process import be_called, die_with_parent
from ingest.control import ALIVE, ANALYTICS, LEAVE
from ingest.protocol import EXIT_ENDED, EXIT_RETRY, EXIT_SUSPENDED, Report, Start, decode_report, encode

log = get(__name__)
Program = Callable[[int], int]
"""Reads orders from a descriptor, writes reports to standard output, returns the exit code."""

# a fork of a process that has loaded a reader's libraries begins at once; loading them takes seconds
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["ingest.reader_template"])


def prepare() -> None:
    """Start the process that readers are forked from, so that the first one need not wait for it."""
    forkserver.ensure_running()


def read(orders: int) -> int:
    """A reader."""
    from ingest.reader import main  # noqa: PLC0415 - the host itself never decodes

    return main(orders)


def _run(program: Program, orders: Connection, reports: Connection) -> None:
    die_with_parent()  # two readers of one camera must never be
    host = multiprocessing.parent_process()
    if host is None or not host.is_alive():  # it ended before that was said
        return
    be_called("reader")
    os.dup2(reports.fileno(), sys.stdout.fileno())
    reports.close()
    sys.exit(program(orders.fileno()))


@dataclass(frozen=True, slots=True)
class Death:
    """How a reader's process ended.

    Attributes:
        ended: the run is over, and everything about it is acknowledged.
        crash: what ended the process against its will, as a sentence; None when nothing did.
        decoded: frames it had decoded by its last report.
    """

    ended: bool
    crash: str | None
    decoded: int


class ReaderProcess:
    """A reader that was started; `poll` it from one thread."""

    def __init__(
        self,
        start: Start,
        stall_s: float,
        program: Program = read,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec: StreamSpec = start.spec
        self.partition = start.partition
        self._now = now
        self._stall_s = stall_s
        self._lock = threading.Lock()
        self._report = Report(0)
        self._got_on_at = now()
        self._stalled = False
        self._ordered: str | None = None
        orders, say = _processes.Pipe(duplex=False)
        hear, reports = _processes.Pipe(duplex=False)
        self._orders = os.fdopen(os.dup(say.fileno()), "wb")
        self._reports = os.fdopen(os.dup(hear.fileno()), "rb")
        self._process = _processes.Process(target=_run, args=(program, orders, reports), daemon=True)
        self._process.start()
        for end in (orders, say, hear, reports):
            end.close()
        self._listener = threading.Thread(target=self._listen, name="reports", daemon=True)
        self._listener.start()
        self._say(encode(start))

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def ordered(self) -> str | None:
        """The last order given, ``stop`` or ``suspend``."""
        return self._ordered

    def order(self, order: str) -> None:
        """Tell it to ``stop`` or to ``suspend``, once."""
        if self._ordered not in {order, "stop"}:
            self._ordered = order
            self._say(order.encode() + b"\n")

    def define(self, spec: StreamSpec) -> None:
        """Tell it the analytics of a definition that has changed in nothing else."""
        self.spec = spec
        self._say(ANALYTICS.encode() + msgspec.json.encode(spec.analytics) + b"\n")

    def leave(self) -> None:
        """Have it end without sending what it has."""
        self._say(f"{LEAVE}\n".encode())

    def alive(self) -> None:
        """Renew its lease, and end it when it gets no further."""
        self._say(ALIVE.encode() + b"\n")
        with self._lock:
            silent = self._now() - self._got_on_at
        if silent > self._stall_s and not self._stalled:
            self._stalled = True
            log.error("a reader gets no further and is ended", stream=str(self.spec.stream_id), seconds=round(silent))
            self._process.kill()

    def poll(self) -> Death | None:
        """How it ended; None while it runs."""
        return None if self._process.exitcode is None else self._death()

    def end(self, timeout_s: float) -> Death:
        """Wait for its end, and force it after `timeout_s`."""
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        return self._death()

    def _death(self) -> Death:
        self._listener.join(5.0)
        for pipe in (self._orders, self._reports):
            _close(pipe.close)
        with self._lock:
            report = self._report
        return Death(report.ended is not None, self._crash(), report.decoded)

    def _crash(self) -> str | None:
        code = self._process.exitcode
        assert code is not None
        if self._stalled:
            return f"got no further for {self._stall_s:.0f} s"
        if code in {EXIT_ENDED, EXIT_SUSPENDED, EXIT_RETRY}:
            return None
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _listen(self) -> None:
        for line in self._reports:
            report = decode_report(line)
            if report is None:
                continue
            with self._lock:
                if report.beat != self._report.beat:
                    self._got_on_at = self._now()
                self._report = report

    def _say(self, line: bytes) -> None:
        try:
            self._orders.write(line)
            self._orders.flush()
        except (BrokenPipeError, ValueError, OSError):
            return


def _close(close: Callable[[], None]) -> None:
    """Close a pipe whose other end may be gone."""
    try:
        close()
    except OSError:
        return
