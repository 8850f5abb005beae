"""Streams, tasks, runs, receipts, uploads and tombstones, in SQLite or PostgreSQL."""

from warehouse.control.store import ControlStore

__all__ = ["ControlStore"]
