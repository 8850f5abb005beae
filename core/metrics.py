"""Every metric's name, kind and meaning, in one list, as Prometheus' text shows them.

Processes of one machine share ``PROMETHEUS_MULTIPROC_DIR`` (set by the stack), so the query
service's ``/metrics`` answers for all of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 1000, 10_000)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's definition."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCY_S


DEFINITIONS = (
    Metric(
        "sightline_ingest_frames_total",
        "counter",
        "Frames at ingest by outcome: decoded, sampled_out, read, gated (no motion), published.",
        ("lane", "outcome"),
    ),
    Metric(
        "sightline_ingest_dropped_total",
        "counter",
        "Read frames that were dropped before Kafka, by reason.",
        ("lane", "reason"),
    ),
    Metric(
        "sightline_ingest_unreadable_total",
        "counter",
        "Records of ingest's own topics that were passed over because they cannot be read.",
        ("topic",),
    ),
    Metric("sightline_ingest_readers", "gauge", "Streams being read now.", ("lane",)),
    Metric(
        "sightline_stage_messages_total",
        "counter",
        "Messages a stage has finished, by outcome: done, replayed, dead_lettered, expired (deleted unread).",
        ("stage", "outcome"),
    ),
    Metric(
        "sightline_stage_retries_total",
        "counter",
        "Attempts of a stage that failed for now and were made again, by the error's kind.",
        ("stage", "kind"),
    ),
    Metric("sightline_stage_commits_total", "counter", "Offsets a stage has committed, by partition cut.", ("stage",)),
    Metric("sightline_stage_snapshot_bytes", "gauge", "Bytes of a stage's last snapshot.", ("stage",)),
    Metric("sightline_detect_batch_size", "histogram", "Frames in one call of the detector.", ("model",), BATCH),
    Metric(
        "sightline_detect_seconds", "histogram", "Seconds of one call of the detector, queueing included.", ("model",)
    ),
    Metric(
        "sightline_analyse_latency_seconds",
        "histogram",
        "Seconds from a frame's publishing to its tracks and events.",
        ("lane",),
    ),
    Metric(
        "sightline_views_total",
        "counter",
        "Pictures of tracks by outcome: taken, frame_gone, bad_frame, bad_crop, too_large.",
        ("keyspace", "outcome"),
    ),
    Metric(
        "sightline_events_total", "counter", "Event messages published, by analytic and phase.", ("analytic", "phase")
    ),
    Metric("sightline_sink_rows_total", "counter", "Rows written, by store and table.", ("store", "table")),
    Metric("sightline_sink_seconds", "histogram", "Seconds of one write, by store.", ("store",)),
    Metric(
        "sightline_model_requests_total",
        "counter",
        "Calls of the model server by model and outcome.",
        ("model", "outcome"),
    ),
    Metric("sightline_model_breaker_state", "gauge", "Circuit breaker: 0 closed, 1 half open, 2 open.", ("address",)),
    Metric(
        "sightline_dead_letters_total",
        "counter",
        "Messages sent to the dead letters, by stage and reason.",
        ("stage", "reason"),
    ),
    Metric(
        "sightline_stage_halted",
        "gauge",
        "1 while a stage stands still because too many of its records became dead letters.",
        ("stage",),
    ),
    Metric(
        "sightline_analytics_left_out_total",
        "counter",
        "Analytics that a run goes on without: refused when it began, or a plugin that broke within it.",
        ("analytic", "reason"),
    ),
    Metric(
        "sightline_run_transitions_refused_total",
        "counter",
        "Statuses of runs that contradict what is known, such as work after an end, by the states before and after.",
        ("before", "after"),
    ),
    Metric(
        "sightline_callbacks_total",
        "counter",
        "Callbacks finished, by type and outcome: delivered, or why they were given up.",
        ("type", "outcome"),
    ),
    Metric(
        "sightline_callback_seconds",
        "histogram",
        "Seconds from taking what is told to the receiver's having taken it, by type.",
        ("type",),
    ),
    Metric(
        "sightline_ledger_imbalance",
        "gauge",
        "Frames by which ledgers of finished runs do not sum, over all runs that are kept; 0 is right.",
        (),
    ),
    Metric(
        "sightline_http_requests_total",
        "counter",
        "Requests answered, by surface, method and status.",
        ("surface", "method", "status"),
    ),
    Metric("sightline_http_seconds", "histogram", "Seconds to answer, by surface.", ("surface",)),
    Metric(
        "sightline_http_refused_total",
        "counter",
        "Requests refused for who sent them, by reason: missing, unknown, expired or revoked token, its scope or "
        "account; host or page where no token is asked for.",
        ("reason",),
    ),
    Metric("sightline_viewers", "gauge", "Who watch pictures now.", ()),
    Metric(
        "sightline_viewed_pictures_total",
        "counter",
        "Pictures for viewers by outcome: sent, repeated (nothing new had come), skipped (a newer one came before the "
        "viewer took it), rendered (scaled or drawn into, once for all who ask for the same), unreadable.",
        ("outcome",),
    ),
    Metric("sightline_sockets", "gauge", "WebSockets open now.", ("surface",)),
    Metric("sightline_socket_messages_total", "counter", "Messages sent over WebSockets, by surface.", ("surface",)),
    Metric("sightline_sockets_closed_total", "counter", "WebSockets closed by the service, by close code.", ("code",)),
)
_BY_NAME = {metric.name: metric for metric in DEFINITIONS}
_made: dict[str, Counter | Gauge | Histogram] = {}
_registry = CollectorRegistry()


def counter(name: str) -> Counter:
    """The counter of this name. Raises KeyError for a name that is not in the list."""
    made = _make(name)
    assert isinstance(made, Counter)
    return made


def gauge(name: str) -> Gauge:
    """The gauge of this name; over processes, the live ones' sum."""
    made = _make(name)
    assert isinstance(made, Gauge)
    return made


def histogram(name: str) -> Histogram:
    """The histogram of this name."""
    made = _make(name)
    assert isinstance(made, Histogram)
    return made


def _make(name: str) -> Counter | Gauge | Histogram:
    if name not in _made:
        m = _BY_NAME[name]
        match m.kind:
            case "counter":
                _made[name] = Counter(m.name, m.help, m.labels, registry=_registry)
            case "gauge":
                _made[name] = Gauge(m.name, m.help, m.labels, registry=_registry, multiprocess_mode="livesum")
            case "histogram":
                _made[name] = Histogram(m.name, m.help, m.labels, registry=_registry, buckets=m.buckets)
    return _made[name]


def exposition() -> bytes:
    """Prometheus' text of all processes that share the folder, else of this one."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder:
        _forget_dead(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped in the library
        return generate_latest(registry)
    for metric in DEFINITIONS:
        _make(metric.name)
    return generate_latest(_registry)


def _forget_dead(folder: Path) -> None:
    """What a process that has ended said last of how things stand is no longer so; what it counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not _lives(int(pid)):
            mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]  # untyped in the library


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
