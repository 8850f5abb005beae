"""The control database's tables."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    Uuid,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Big = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts by itself only in a column that is called INTEGER."""


class Base(DeclarativeBase):
    """Whose metadata the migrations are compared with."""


class Stream(Base):
    """A stream or task; `spec` and `extra` are JSON text, the rest repeats what is searched.

    `reference` is the address as it was given, which for an upload is not the one that is read; `node_num` says where
    it was registered.
    """

    __tablename__ = "streams"
    __table_args__ = (
        Index("streams_by_time", "created_ms", "stream_id"),
        Index("streams_by_account", "account_id"),
        Index("streams_by_media", "media_key"),
        Index("streams_by_node", "node_num"),
    )

    stream_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    engine_id: Mapped[str] = mapped_column(String(16), unique=True)
    name: Mapped[str] = mapped_column(Text())
    account_id: Mapped[str] = mapped_column(Text())
    task: Mapped[bool] = mapped_column(Boolean())
    ephemeral: Mapped[bool] = mapped_column(Boolean())
    desired: Mapped[str] = mapped_column(String(8))
    run: Mapped[int] = mapped_column(Integer())
    media_key: Mapped[str | None] = mapped_column(Text())
    spec: Mapped[str] = mapped_column(Text())
    extra: Mapped[str] = mapped_column(Text())
    created_ms: Mapped[int] = mapped_column(BigInteger())
    updated_ms: Mapped[int] = mapped_column(BigInteger())
    version: Mapped[int] = mapped_column(Integer())
    reference: Mapped[str] = mapped_column(Text(), server_default="")
    source: Mapped[str | None] = mapped_column(Text())
    event_source_group: Mapped[str | None] = mapped_column(Text())
    node_num: Mapped[int] = mapped_column(Integer(), server_default="0")


class Run(Base):
    """A run as last heard of; `status_ms` is the time of the newest status, 0 before the first.

    `imbalance` is how many frames its ledger was off by when it was checked; null before. `paused` is JSON text;
    `frame_ms` the time of the newest status that told of more frames.
    """

    __tablename__ = "runs"
    __table_args__ = (Index("runs_by_imbalance", "imbalance"),)

    stream_id: Mapped[UUID] = mapped_column(
        Uuid(), ForeignKey("streams.stream_id", ondelete="CASCADE"), primary_key=True
    )
    run: Mapped[int] = mapped_column(Integer(), primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16))
    created_ms: Mapped[int] = mapped_column(BigInteger())
    status_ms: Mapped[int] = mapped_column(BigInteger())
    started_ms: Mapped[int | None] = mapped_column(BigInteger())
    ended_ms: Mapped[int | None] = mapped_column(BigInteger())
    host: Mapped[str] = mapped_column(Text())
    counts: Mapped[str] = mapped_column(Text())
    video: Mapped[str | None] = mapped_column(Text())
    problems: Mapped[str] = mapped_column(Text())
    error: Mapped[str | None] = mapped_column(Text())
    total_frames: Mapped[int | None] = mapped_column(BigInteger())
    last_media_s: Mapped[float | None] = mapped_column(Float(53))
    imbalance: Mapped[int | None] = mapped_column(BigInteger())
    attempt: Mapped[int] = mapped_column(Integer(), server_default="0")
    attempt_ms: Mapped[int | None] = mapped_column(BigInteger())
    paused: Mapped[str] = mapped_column(Text(), server_default="[]")
    frame_ms: Mapped[int | None] = mapped_column(BigInteger())


class Receipt(Base):
    """A sink has stored everything of a run from a topic."""

    __tablename__ = "receipts"
    __table_args__ = (ForeignKeyConstraint(["stream_id", "run"], ["runs.stream_id", "runs.run"], ondelete="CASCADE"),)

    stream_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    run: Mapped[int] = mapped_column(Integer(), primary_key=True, autoincrement=False)
    sink: Mapped[str] = mapped_column(String(64), primary_key=True)
    topic: Mapped[str] = mapped_column(String(64), primary_key=True)
    recorded_ms: Mapped[int] = mapped_column(BigInteger())


class TaskEnd(Base):
    """A deferred task whose end is still to be told; `taken_until_ms` is 0 while nobody does."""

    __tablename__ = "task_ends"

    stream_id: Mapped[UUID] = mapped_column(
        Uuid(), ForeignKey("streams.stream_id", ondelete="CASCADE"), primary_key=True
    )
    taken_until_ms: Mapped[int] = mapped_column(BigInteger())


class Tombstone(Base):
    """A deleted stream."""

    __tablename__ = "tombstones"

    stream_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    deleted_ms: Mapped[int] = mapped_column(BigInteger(), index=True)
    swept_ms: Mapped[int | None] = mapped_column(BigInteger())


class Outbox(Base):
    """A record that is still to be published, written with the change that it tells of."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(Big, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(Text())
    value: Mapped[bytes | None] = mapped_column(LargeBinary())
    created_ms: Mapped[int] = mapped_column(BigInteger())


class StreamChange(Base):
    """A change of a stream that is still to be published, written with the change."""

    __tablename__ = "stream_changes"

    id: Mapped[int] = mapped_column(Big, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(Text())
    value: Mapped[bytes] = mapped_column(LargeBinary())


class Lease(Base):
    """Who does what only one process may do."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))
    until_ms: Mapped[int] = mapped_column(BigInteger())


class Upload(Base):
    """A video that was, or is being, uploaded."""

    __tablename__ = "uploads"
    __table_args__ = (Index("uploads_by_time", "created_ms", "upload_id"),)

    upload_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    name: Mapped[str] = mapped_column(Text())
    account_id: Mapped[str] = mapped_column(Text())
    state: Mapped[str] = mapped_column(String(16))
    size: Mapped[int | None] = mapped_column(BigInteger())
    received: Mapped[int] = mapped_column(BigInteger())
    created_ms: Mapped[int] = mapped_column(BigInteger())
    updated_ms: Mapped[int] = mapped_column(BigInteger())
    media_key: Mapped[str | None] = mapped_column(Text())


class Token(Base):
    """A bearer token or an API key; of its secret only the hash is here. `scopes` are words with blanks between."""

    __tablename__ = "tokens"

    token_id: Mapped[UUID] = mapped_column(Uuid(), primary_key=True)
    name: Mapped[str] = mapped_column(Text())
    kind: Mapped[str] = mapped_column(String(8))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    prefix: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[str] = mapped_column(Text())
    account_id: Mapped[str | None] = mapped_column(Text())
    created_ms: Mapped[int] = mapped_column(BigInteger())
    expires_ms: Mapped[int | None] = mapped_column(BigInteger())
    last_used_ms: Mapped[int | None] = mapped_column(BigInteger())
    revoked_ms: Mapped[int | None] = mapped_column(BigInteger())


class StreamLog(Base):
    """A change of a stream's state, or an error of it, in the order of `id`; gone with its stream."""

    __tablename__ = "stream_logs"
    __table_args__ = (
        Index("stream_logs_by_stream", "stream_id", "id"),
        Index("stream_logs_by_time", "log_ms"),
    )

    id: Mapped[int] = mapped_column(Big, primary_key=True, autoincrement=True)
    stream_id: Mapped[UUID] = mapped_column(Uuid(), ForeignKey("streams.stream_id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16))
    log_ms: Mapped[int] = mapped_column(BigInteger())
    error: Mapped[str | None] = mapped_column(Text())
    frame_ms: Mapped[int | None] = mapped_column(BigInteger())
    analytic_index: Mapped[int | None] = mapped_column(Integer())


class Property(Base):
    """What the whole installation has one of, such as its own id."""

    __tablename__ = "properties"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text())


class Node(Base):
    """An ingest host; its number is given when it is first heard of, `status` is JSON text."""

    __tablename__ = "nodes"

    node_num: Mapped[int] = mapped_column(Integer(), primary_key=True, autoincrement=False)
    host: Mapped[str] = mapped_column(Text(), unique=True)
    first_ms: Mapped[int] = mapped_column(BigInteger())
    heard_ms: Mapped[int] = mapped_column(BigInteger())
    status: Mapped[str] = mapped_column(Text())


class Configuration(Base):
    """What is configured while Sightline runs, as JSON text by name."""

    __tablename__ = "configuration"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(Text())
    updated_ms: Mapped[int] = mapped_column(BigInteger())


class CheckinKey(Base):
    """A key pair that a check-in accepts; of the secret only its hash is kept."""

    __tablename__ = "checkin_keys"

    access_key: Mapped[str] = mapped_column(String(128), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(Text())
    created_ms: Mapped[int] = mapped_column(BigInteger())


class SigningKey(Base):
    """A secret that signed tokens are made with and checked against."""

    __tablename__ = "signing_keys"

    key_id: Mapped[int] = mapped_column(Integer(), primary_key=True, autoincrement=False)
    secret: Mapped[bytes] = mapped_column(LargeBinary())
    created_ms: Mapped[int] = mapped_column(BigInteger())
