"""The runs of one partition, and how they are kept over a restart."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from importlib.metadata import version

from core.errors import SnapshotError
from core.ids import Run, StreamId
from streams_proc.run_state import RunState
from streams_proc.state_bytes import UNREADABLE, pickled, unpickled

FORMAT = f"sightline-analyse/3 trackers/{version('trackers')}".encode()
"""Raise the number when the state's classes change; a tracker of another version may differ inside."""

RUNS_REMEMBERED = 512
"""Ends of runs that are remembered, so that what is replayed after an end is passed over."""


class Memory:
    """The open run of each stream, and the last runs that ended."""

    def __init__(self) -> None:
        self._runs: dict[StreamId, RunState] = {}
        self._over: dict[StreamId, Run] = {}

    def run(self, stream: StreamId) -> RunState | None:
        """The stream's open run."""
        return self._runs.get(stream)

    def is_over(self, stream: StreamId, run: Run) -> bool:
        """Whether this run, or a later one of the stream, has ended."""
        return run <= self._over.get(stream, Run(0))

    def begin(self, state: RunState) -> None:
        """Open a run in place of the stream's former one."""
        self._runs[state.begin.stream_id] = state

    def end(self, stream: StreamId, run: Run) -> None:
        """Forget a run but for its end."""
        self._runs.pop(stream, None)
        self._over.pop(stream, None)
        self._over[stream] = run
        while len(self._over) > RUNS_REMEMBERED:
            del self._over[next(iter(self._over))]

    def forget_pictures(self, streams: Iterable[StreamId], media_keys: Collection[str]) -> None:
        """These pictures could not be taken."""
        for stream in streams:
            if stream in self._runs:
                self._runs[stream].forget_pictures(media_keys)

    def snapshot(self) -> bytes | None:
        """Everything, for `restore`; None when there is nothing."""
        if not self._runs and not self._over:
            return None
        return FORMAT + b"\n" + zlib.compress(pickled((self._runs, self._over)), 1)

    def restore(self, data: bytes) -> None:
        """Become what `snapshot` gave. Raises SnapshotError for another format or broken bytes."""
        head, _, body = data.partition(b"\n")
        if head != FORMAT:
            raise SnapshotError(
                f"the snapshot is of format {head[:80]!r} and this version reads {FORMAT!r}: start the stage "
                "without snapshots, so that it replays what `detections` still keeps"
            )
        try:
            self._runs, self._over = unpickled(zlib.decompress(body))
        except (zlib.error, *UNREADABLE) as error:
            raise SnapshotError(f"the snapshot cannot be read: {error}") from error


class Undo:
    """What a memory was, stream by stream, before a chunk of records touched it."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._over = dict(memory._over)
        self._runs: dict[StreamId, bytes] = {}

    @property
    def streams(self) -> Collection[StreamId]:
        """The streams that were touched."""
        return self._runs.keys()

    def keep(self, stream: StreamId) -> None:
        """Remember the stream's run as it is now; later calls of the same chunk change nothing."""
        if stream not in self._runs:
            self._runs[stream] = pickled(self._memory.run(stream))

    def back(self) -> None:
        """Make everything what it was."""
        self._memory._over = self._over
        for stream, data in self._runs.items():
            run = unpickled(data)
            if run is None:
                self._memory._runs.pop(stream, None)
            else:
                self._memory._runs[stream] = run
