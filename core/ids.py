"""Ids, each a type of its own, and how they are derived.

Every id below a stream is deterministic: the same stream, run and position give the same id,
so a replay writes the same rows.
"""

from __future__ import annotations

from typing import NewType
from uuid import UUID, uuid4, uuid5

StreamId = NewType("StreamId", UUID)
"""A stream (camera, URL, file). A task's stream has the task's id."""

TaskId = NewType("TaskId", UUID)
"""A video task; equal to the id of the stream that runs it."""

Run = NewType("Run", int)
"""Number of a run within its stream, from 1. A restart or take-over continues the run."""

Seq = NewType("Seq", int)
"""Position of a read frame within its run, from 0, without gaps."""

TrackId = NewType("TrackId", int)
"""Number of a track within its run, from 1."""

EventId = NewType("EventId", UUID)
"""An event, the same through begin, updates and end."""

ViewId = NewType("ViewId", UUID)
"""One stored view of a track: its picture and its embedding."""

_NAMESPACE = UUID("6f1f1c1e-5a0e-5b7c-9d7e-51647a6c696e")


def new_stream_id() -> StreamId:
    """A random id for a new stream or task."""
    return StreamId(uuid4())


def event_id(stream: StreamId, run: Run, analytic_index: int, number: int) -> EventId:
    """Id of the `number`-th event (from 1) of one analytic in one run."""
    return EventId(uuid5(_NAMESPACE, f"event/{stream}/{run}/{analytic_index}/{number}"))


def view_id(stream: StreamId, run: Run, track: TrackId, seq: Seq, kind: str) -> ViewId:
    """Id of a track's view taken at frame `seq`; `kind` is the embedding's keyspace."""
    return ViewId(uuid5(_NAMESPACE, f"view/{stream}/{run}/{track}/{seq}/{kind}"))


def ce_id(event: EventId, phase: str, number: int) -> str:
    """CloudEvents id of one phase of an event: equal on a replay, different per phase."""
    return f"{event}/{phase}/{number}"


def media_key(stream: StreamId, run: Run, view: ViewId, suffix: str = "jpg") -> str:
    """Key of a picture in the media store; all keys of a stream share its prefix."""
    return f"{stream}/{run}/{view}.{suffix}"


def engine_stream_id(stream: StreamId) -> str:
    """The last 16 hex digits, by which the engine surface names a stream."""
    return stream.hex[-16:]
