"""One file read by the product's own reader, in a process that may die of it.

The process is a fork of one that has loaded everything; it runs `ingest.reader.Reader` from opening
the file to the outcome of its run, with a producer that acknowledges at once in place of the broker.
"""

from __future__ import annotations

import faulthandler
import functools
import multiprocessing
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from core.ids import Run, new_stream_id
from core.messages import Analytic, Frame, RunBegin, RunEnd, Source, StreamSpec, decode_frames
from core.settings import Settings
from core.topics import Topics
from ingest.backlog import Backlog
from ingest.control import Control
from ingest.ledger import Ledger
from ingest.protocol import Start
from ingest.publisher import Acknowledged, Publisher
from ingest.reader import Outcome, Reader, bound_memory
from ingest.reader_process import prepare
from ingest.recover import Standing

FPS = 10.0
MEBI = 1024**2


class Result(msgspec.Struct, frozen=True):
    """What became of a file.

    Attributes:
        outcome: ``whole``, ``early`` (with problems), ``refused``, ``crashed`` (of the process),
            ``hung`` or ``over_memory``.
        why: its reason, or what ended the process.
        wrong: what does not add up; empty as it must be.
        digest: of all frames sent, for comparing with an undisturbed run.
    """

    outcome: str
    why: str = ""
    decoded: int = 0
    read: int = 0
    published: int = 0
    dropped: int = 0
    seconds: float = 0.0
    peak_mb: int = 0
    wrong: str = ""
    digest: str = ""


class NoBacklog:
    """Nothing waits: there is no detector."""

    record_bytes: float | None = None

    def count(self) -> int:
        """None."""
        return 0

    def close(self) -> None:
        """Nothing to leave."""


@dataclass(slots=True)
class AtOnce:
    """A producer whose records arrive when they are polled for; frames are counted and forgotten."""

    waiting: list[Callable[..., None]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    digest: int = 0
    at: int = 0

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, on_delivery: Callable[..., None]) -> None:
        """Take a record; it must be a message of its topic."""
        if topic.endswith("frames.batch"):
            message = decode_frames(value)
            if isinstance(message, Frame):
                assert message.seq == self.kinds.count("frame"), "frames are numbered without a gap"
                assert message.jpeg.startswith(b"\xff\xd8")
                self.digest = hash_of(self.digest, message.jpeg)
            self.kinds.append({RunBegin: "begin", Frame: "frame", RunEnd: "end"}[type(message)])
        self.waiting.append(on_delivery)

    def poll(self, _: float) -> int:
        """Everything has arrived."""
        arrived, self.waiting = self.waiting, []
        for delivered in arrived:
            self.at += 1
            delivered(None, self)
        return len(arrived)

    def flush(self, timeout: float) -> int:
        """Nothing waits on return."""
        self.poll(timeout)
        return 0

    def offset(self) -> int:
        """Of the newest record."""
        return self.at


def hash_of(before: int, data: bytes) -> int:
    """A digest that goes on from frame to frame."""
    import zlib

    return zlib.crc32(data, before)


_processes = multiprocessing.get_context("forkserver")


class WithoutBroker(Reader):
    """The product's reader; only what talks to a broker is replaced."""

    def __init__(self, start: Start, settings: Settings, control: Control) -> None:
        self._start = start
        self._spec = start.spec
        self._settings = settings
        self._control = control
        self._topics = Topics.of(settings.kafka)
        self._frames_topic = self._topics.frames_batch
        self._producer: Any = AtOnce()

    def _backlog(self) -> Backlog:
        return Backlog(NoBacklog(), 2**40, time.monotonic)

    def read(self) -> tuple[Outcome, Ledger, AtOnce]:
        """From opening the source to the run's end."""
        ledger = Ledger("batch")
        publisher = Publisher(
            self._producer,
            self._topics,
            stream=self._spec.stream_id,
            partition=0,
            frames_topic=self._frames_topic,
            standing=Acknowledged(),
            on_published=ledger.published,
        )
        outcome = self._read(publisher, ledger, Standing())
        assert outcome is not None
        publisher.end(self._end(outcome, ledger))
        publisher.flush()
        return outcome, ledger, self._producer


def spec_of(path: Path, fps: float = FPS) -> StreamSpec:
    """A task that reads `path`."""
    return StreamSpec(
        stream_id=new_stream_id(),
        run=Run(1),
        name=path.name,
        lane="batch",
        source=Source(url=f"file:{path}", fps=fps),
        analytics=(Analytic("object_detection"),),
        model="detector",
        started_ms=1_700_000_000_000,
        task=True,
    )


def settings_of(folder: Path) -> Settings:
    """Settings that let `folder` be read."""
    return Settings(data_dir=folder / "var", ingest={"file_roots": [folder]})


def read_here(path: Path, settings: Settings, *, careful: bool = False) -> Result:
    """Read a file in this process."""
    control = Control(time.monotonic, lease_s=1e9)
    start = Start(spec_of(path), 0, "hostile", {}, careful=careful)
    outcome, ledger, sent = WithoutBroker(start, settings, control).read()
    counts = ledger.counts
    dropped = sum(counts.dropped.values())
    if outcome.error is not None:
        kind, why = "refused", outcome.error
    elif ledger.problems:
        kind, why = "early", ledger.problems[0].reason
    else:
        kind, why = "whole", ""
    wrong = [
        said
        for said, holds in {
            "decoded = sampled_out + read": counts.decoded == counts.sampled_out + counts.read,
            "read = published + dropped": counts.read == counts.gated + counts.published + dropped,
            "published frames are on the topic": sent.kinds.count("frame") == counts.published,
            "begin, frames, end": sent.kinds == ["begin", *["frame"] * counts.published, "end"],
            "a refusal has a reason": kind != "refused" or bool(why.strip()),
            "what is not refused has frames or a problem": kind == "refused" or counts.decoded > 0 or bool(why),
        }.items()
        if not holds
    ]
    return Result(
        kind,
        why,
        counts.decoded,
        counts.read,
        counts.published,
        dropped,
        wrong="; ".join(wrong),
        digest=f"{counts.published}/{sent.digest:08x}",
    )


def read_as_host(path: Path, settings: Settings, *, limit_s: float, limit_mb: int) -> tuple[Result, str]:
    """Read a file as a host does: once more, carefully, when the reader dies of it.

    Returns:
        What became of it, and what ended the first reader; empty when nothing did.
    """
    first = read_apart(path, settings, limit_s=limit_s, limit_mb=limit_mb)
    if first.outcome != "crashed":
        return first, ""
    return read_apart(path, settings, limit_s=limit_s, limit_mb=limit_mb, careful=True), first.why


def read_apart(path: Path, settings: Settings, *, limit_s: float, limit_mb: int, careful: bool = False) -> Result:
    """Read a file in a process of its own, which is ended after `limit_s` seconds.

    Args:
        limit_mb: resident memory, beyond which the file is called hostile to it.
    """
    prepare()
    here, there = _processes.Pipe(duplex=False)
    read = functools.partial(_read_forked, path, settings, limit_s, limit_mb, careful=careful)
    nursery = _processes.Process(target=_nurse, args=(there, read))
    nursery.start()
    there.close()
    result: Result = here.recv()
    nursery.join()
    return result


def _nurse(answer: Connection, read: Callable[[], Result]) -> None:
    """In a process without threads: a fork of one that has them, such as a test's, may wait for ever for a lock."""
    answer.send(read())


def _read_forked(path: Path, settings: Settings, limit_s: float, limit_mb: int, *, careful: bool) -> Result:
    incoming, outgoing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _read_and_exit(path, settings, outgoing, careful=careful)
    os.close(outgoing)
    said, hung = _hear(incoming, child, limit_s)
    os.close(incoming)
    _, status, used = os.wait4(child, 0)
    seconds = round(time.monotonic() - began, 3)
    peak = used.ru_maxrss // 1024
    if hung:
        return Result("hung", f"not done after {limit_s:.0f} s", seconds=seconds, peak_mb=peak)
    if peak > limit_mb:
        return Result("over_memory", f"{peak} MiB", seconds=seconds, peak_mb=peak)
    if os.WIFSIGNALED(status):
        why = f"signal {signal.Signals(os.WTERMSIG(status)).name}"
        return Result("crashed", why, seconds=seconds, peak_mb=peak)
    if os.WEXITSTATUS(status) != 0 or not said:
        why = said.decode("utf-8", "replace") or f"exit code {os.WEXITSTATUS(status)}"
        return Result("crashed", why, seconds=seconds, peak_mb=peak)
    result = msgspec.json.decode(said, type=Result)
    return msgspec.structs.replace(result, seconds=seconds, peak_mb=peak)


def _hear(pipe: int, child: int, limit_s: float) -> tuple[bytes, bool]:
    """What the child wrote until it ended, and whether it had to be ended."""
    until, said = time.monotonic() + limit_s, b""
    while (left := until - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            piece = os.read(pipe, 65536)
            if not piece:
                return said, False
            said += piece
    os.kill(child, signal.SIGKILL)
    return said, True


def _read_and_exit(path: Path, settings: Settings, pipe: int, *, careful: bool) -> None:
    """In the child: never returns."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        bound_memory(settings.ingest.reader_memory_mb)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        faulthandler.disable()  # pytest's writes elsewhere, and a crash here is expected
        os.write(pipe, msgspec.json.encode(read_here(path, settings, careful=careful)))
        code = 0
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        os.write(pipe, f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})".encode()[:2000])
    finally:
        os._exit(code)
