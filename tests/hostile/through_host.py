"""Mutants as tasks of a real ingest host on a real broker, with a good video played beside them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from core.messages import RunBegin, RunEnd
from tests.hostile.mutations import Mutant


@dataclass(slots=True)
class Seen:
    """What the host made of the mutants.

    Attributes:
        wrong: what does not add up, as sentences; empty as it must be.
    """

    outcomes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    frames: int = 0


def read_by_host(bench: Any, mutants: Sequence[Mutant], folder: Path, good: Path, *, timeout_s: float) -> Seen:
    """Publish all mutants as tasks, and `good` at its own pace, round and round; wait for the mutants' ends.

    Args:
        bench: `tests.integration.ingest.conftest.Bench`.
    """
    seen, began = Seen(), time.monotonic()
    specs = {}
    for mutant in mutants:
        path = folder / mutant.name
        path.write_bytes(mutant.data)
        specs[mutant] = bench.spec(path, fps=10.0)
    beside = bench.spec(good, lane="live", fps=10.0, realtime=True, loop=True)
    host = bench.host_process()
    bench.publish(beside)
    bench.until(lambda: bench.frames(beside), 60.0, "the good stream begins")
    (reader,) = psutil.Process(host.pid).children()
    bench.publish(*specs.values())
    bench.wait_ended(*specs.values(), timeout_s=timeout_s)
    if host.poll() is not None:
        seen.wrong.append(f"the host has ended with {host.returncode}")
    before = len(bench.frames(beside))
    bench.until(lambda: len(bench.frames(beside)) > before + 5, 30.0, "the good stream goes on")
    for mutant, spec in specs.items():
        _judge(seen, mutant.name, bench, spec)
        (folder / mutant.name).unlink()
    _judge_beside(seen, bench, beside)
    if psutil.Process(host.pid).children() != [reader]:
        seen.wrong.append("the good stream is not read by the reader that began it, or that is not the only one left")
    seen.seconds = round(time.monotonic() - began, 1)
    return seen


def _judge(seen: Seen, name: str, bench: Any, spec: Any) -> None:
    messages, frames, end = bench.messages[spec.stream_id], bench.frames(spec), bench.end(spec)
    counts = end.counts
    if end.state == "failure":
        outcome = "crashed, contained" if "the reader" in (end.error or "") else "refused"
        seen.reasons[name] = end.error or ""
    else:
        outcome = "ended early" if end.problems else "whole"
    seen.outcomes[outcome] = seen.outcomes.get(outcome, 0) + 1
    seen.frames += len(frames)
    holds = {
        "a run begins, and ends, once": isinstance(messages[0], RunBegin) and isinstance(messages[-1], RunEnd),
        "frames are numbered without a gap": [f.seq for f in frames] == list(range(len(frames))),
        "decoded = sampled_out + read": counts.decoded == counts.sampled_out + counts.read,
        "read = published + dropped": counts.read == counts.published + sum(counts.dropped.values()),
        "published frames are on the topic": counts.published == len(frames),
        "a failure has a reason": end.state == "done" or bool(end.error),
        "done has frames": end.state == "failure" or bool(frames) or bool(end.problems),
    }
    seen.wrong += [f"{name}: not {what}" for what, held in holds.items() if not held and outcome[:7] != "crashed"]


def _judge_beside(seen: Seen, bench: Any, beside: Any) -> None:
    """Its frames are numbered without a gap, and its source's frames follow each other."""
    frames = bench.frames(beside)
    if [f.seq for f in frames] != list(range(len(frames))):
        seen.wrong.append("the good stream lost a frame")
    begun = [m for m in bench.messages[beside.stream_id] if isinstance(m, RunBegin)]
    if len(begun) != 1:
        seen.wrong.append(f"the good stream began {len(begun)} times")
    if {s.state for s in bench.statuses[beside.stream_id]} - {"pending", "in_progress"}:
        seen.wrong.append("the good stream was disturbed")
