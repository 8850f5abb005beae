"""Rows as Arrow tables, with plain columns for every reader."""

from __future__ import annotations

from typing import Any

from warehouse.clickhouse.questions import EXPORTS, detection_question, event_question, track_question
from warehouse.clickhouse.topology import Topology
from warehouse.filters import Filter, Table

SORT_BYTES = 256 * 1024 * 1024


def export_sql(table: Table, filter_: Filter, topology: Topology) -> tuple[str, dict[str, Any]]:
    """A statement for all rows, and its parameters. Raises InvalidInput for a wrong filter."""
    spill = f" SETTINGS max_bytes_before_external_sort = {SORT_BYTES}"
    if table == "tracks":
        tracks = track_question(filter_, topology)
        columns = (
            "SELECT toString(stream_id) AS stream_id, run, track_id, toString(one_kind) AS kind, best_label AS label, "
            "best_score AS score, in_frames AS frames, min_ts AS first_ts, max_ts AS last_ts, min_s AS first_s, "
            "max_s AS last_s, min_seq AS first_seq, max_seq AS last_seq, min_index AS first_index, "
            "max_index AS last_index"
        )
        select = f"{columns} {tracks.select[tracks.select.index('FROM (') :]}"
        order = tracks.sort.order(False)
        return f"{select} {tracks.where.sql} ORDER BY {order}{spill}", tracks.where.parameters
    question = detection_question(filter_, topology) if table == "detections" else event_question(filter_, topology)
    select = EXPORTS[table].format(table=topology.table(table))
    return f"{select} {question.where.sql} ORDER BY {question.sort.order(False)}{spill}", question.where.parameters
