"""What the control database answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from uuid import UUID

from core import states
from core.ids import Run, StreamId
from core.messages import IngestCounts, StreamProblem, StreamSpec, VideoInfo

RunState: TypeAlias = states.State
TaskState = Literal["pending", "in_progress", "collecting", "done", "failed", "cancelled"]
UploadState = Literal["open", "complete"]
ENDED = states.ENDED


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run of a stream as last heard of.

    Attributes:
        started_ms: first `in_progress`; ended_ms: of the state that ended it.
        updated_ms: time of the newest status that was recorded.
        imbalance: frames by which its ledger did not sum when it was last checked; None before.
        attempt: restarts in a row since frames last came; attempt_ms: when the last of them was.
        paused: positions of the analytics that are outside of their schedules, while it is in progress.
        frame_ms: time of the newest status that told of more frames; None before the first.
    """

    stream_id: StreamId
    run: Run
    state: RunState
    created_ms: int
    updated_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    host: str = ""
    counts: IngestCounts = field(default_factory=IngestCounts)
    video: VideoInfo | None = None
    problems: tuple[StreamProblem, ...] = ()
    error: str | None = None
    total_frames: int | None = None
    last_media_s: float | None = None
    imbalance: int | None = None
    attempt: int = 0
    attempt_ms: int | None = None
    paused: tuple[int, ...] = ()
    frame_ms: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be read."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream and its current run.

    Attributes:
        version: grows with every change; `ControlStore.update_stream` can insist on it.
        current: the run that `spec.run` names.
        node_num: the node where it was registered, whichever runs it now.
    """

    stream_id: StreamId
    engine_id: str
    spec: StreamSpec
    extra: dict[str, Any]
    created_ms: int
    updated_ms: int
    version: int
    current: RunRow
    node_num: int = 0

    @property
    def shown(self) -> RunState:
        """The state of the stream, which its users see."""
        return states.shown(self.current.state, self.current.paused, self.spec.desired)

    @property
    def items(self) -> Mapping[states.Place, RunState]:
        """The state of each of its analytics."""
        return states.items(self.current.state, len(self.spec.analytics), self.current.paused, self.spec.desired)


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """Streams for which everything given holds.

    Attributes:
        states: of their runs; shown: of the streams, as their users see them.
        stream_id_from: included; stream_id_to: not.
        references: addresses as they were given.
        sources, event_source_groups: what the profile calls them.
    """

    task: bool | None = None
    account_id: str | None = None
    stream_ids: tuple[StreamId, ...] | None = None
    names: tuple[str, ...] = ()
    desired: Literal["run", "stop"] | None = None
    states: tuple[RunState, ...] = ()
    created_from_ms: int | None = None
    created_to_ms: int | None = None
    ephemeral: bool | None = False
    node_num: int | None = None
    shown: tuple[RunState, ...] = ()
    stream_id_from: StreamId | None = None
    stream_id_to: StreamId | None = None
    references: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    event_source_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamLogRow:
    """One change of a stream's state, or an error of it.

    Attributes:
        log_ms: when it was so; frame_ms: wall time of the last frame that was read by then.
        analytic_index: position of the analytic whose state it is; None of a stream that has none.
    """

    stream_id: StreamId
    status: RunState
    log_ms: int
    error: str | None = None
    frame_ms: int | None = None
    analytic_index: int | None = None


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Entries for which everything given holds."""

    account_id: str | None = None
    stream_ids: tuple[StreamId, ...] | None = None
    statuses: tuple[RunState, ...] = ()
    analytic_indexes: tuple[int, ...] = ()
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A record of topic `streams` that is to be published; None deletes the key."""

    id: int
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A video that was, or is being, uploaded.

    Attributes:
        size: bytes in all, None while unknown.
        received: bytes that are safely kept.
        media_key: where it lies in the media store once complete.
    """

    upload_id: UUID
    name: str
    state: UploadState
    received: int
    created_ms: int
    updated_ms: int
    size: int | None = None
    media_key: str | None = None
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deleted stream whose rows must not come back."""

    stream_id: StreamId
    deleted_ms: int
    swept_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """A task's state, derived from its run and the sinks' receipts.

    Attributes:
        run: the run that the task consists of.
        missing: receipts still awaited, as (sink, topic without prefix).
        read_fraction: 0..1 of the source that ingest has read; None when its length is unknown.
        ended_ms: when it was over: for a task that is done, when the last sink had stored everything.
    """

    state: TaskState
    run: RunRow
    missing: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    read_fraction: float | None = None
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret for signed tokens; never shown."""

    key_id: int
    secret: bytes = field(repr=False)
