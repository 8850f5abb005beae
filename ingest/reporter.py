"""While a run is read: a heartbeat and a checkpoint each second, and a line to the host."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock, now_ms, wall_clock
from core.errors import BrokerUnavailable
from core.log import get
from core.messages import StreamSpec, StreamStatus, VideoInfo
from ingest.control import Control
from ingest.lanes import Lane
from ingest.ledger import Ledger
from ingest.link import State
from ingest.progress import Checkpoint
from ingest.protocol import Report, encode
from ingest.publisher import Publisher

log = get(__name__)
TICK_S = 0.05
BEAT_S = 1.0


def to_host(report: Report) -> None:
    """Write a line to the host; one that is gone does not matter any more."""
    try:
        sys.stdout.buffer.write(encode(report))
        sys.stdout.buffer.flush()
    except (BrokenPipeError, ValueError):
        log.info("the host does not listen any more")


@dataclass(slots=True)
class Teller:
    """Makes the statuses and checkpoints of a run that is being read.

    Attributes:
        video: None until the source has been opened.
        state: what was said last; None until there is something to say.
        attempt, paused: as in `StreamStatus`.
    """

    spec: StreamSpec
    host: str
    publisher: Publisher
    ledger: Ledger
    video: VideoInfo | None = None
    clock: Clock = wall_clock
    state: State | None = None
    attempt: int = 0
    paused: tuple[int, ...] = ()

    def say(
        self,
        state: State,
        *,
        attempt: int = 0,
        error: str | None = None,
        paused: tuple[int, ...] = (),
        video: VideoInfo | None = None,
    ) -> None:
        """Say how the run stands, and keep saying it. Raises BrokerUnavailable."""
        self.state, self.attempt, self.paused = state, attempt, paused
        self.video = video or self.video
        self.publisher.status(self.status(heartbeat=False, error=error))

    def status(self, *, heartbeat: bool, error: str | None = None) -> StreamStatus:
        """How the run stands."""
        return StreamStatus(
            stream_id=self.spec.stream_id,
            run=self.spec.run,
            state=self.state or "pending",
            ts_ms=now_ms(self.clock),
            host=self.host,
            counts=self.ledger.counts,
            heartbeat=heartbeat,
            error=error,
            problems=() if heartbeat else self.ledger.problems,
            video=None if heartbeat else self.video,
            last_media_s=round(self.ledger.media_s, 3),
            total_frames=None if self.video is None else self.video.frames,
            ephemeral=self.spec.ephemeral,
            attempt=self.attempt,
            paused=self.paused,
        )

    def checkpoint(self) -> Checkpoint:
        """Where whoever takes over goes on."""
        reached = self.publisher.acknowledged
        return Checkpoint(
            stream_id=self.spec.stream_id,
            run=self.spec.run,
            lane=self.spec.lane,
            offset=reached.offset,
            next_seq=reached.next_seq,
            index=reached.index,
            media_s=reached.media_s,
            counts=self.ledger.counts,
            video=self.video,
            problems=self.ledger.problems,
            ephemeral=self.spec.ephemeral,
            gated=reached.gated,
            reached_s=round(self.ledger.media_s, 6),
        )


class Reporter:
    """A thread that tells how a run stands, and keeps its lane moving while no frame comes.

    An error of the broker ends the run's reading by an order to suspend; `error` has it then.
    """

    def __init__(
        self, teller: Teller, lane: Lane, control: Control, report: Callable[[Report], None] = to_host
    ) -> None:
        self._teller = teller
        self._lane = lane
        self._control = control
        self._report = report
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self.error: BrokerUnavailable | None = None

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        ticks = 0
        while not self._done.wait(TICK_S):
            ticks += 1
            try:
                self._lane.pump()
                self._teller.publisher.poll()
                if ticks % round(BEAT_S / TICK_S) == 0:
                    self.tell()
            except BrokerUnavailable as error:
                self.error = error
                self._control.tell("suspend")
                return

    def tell(self) -> None:
        """One heartbeat and one checkpoint, once there is something to say of the run. Raises BrokerUnavailable."""
        if self._teller.state is not None:
            self._teller.publisher.status(self._teller.status(heartbeat=True))
            self._teller.publisher.checkpoint(self._teller.checkpoint())
        self._report(Report(self._control.beat, self._teller.ledger.counts.decoded))
