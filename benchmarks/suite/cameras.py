"""As many RTSP cameras as the machine carries, for long."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from statistics import median

import httpx
from msgspec.structs import replace

from benchmarks import clips
from benchmarks.bench import Bench, Benchmark, Failed
from benchmarks.figures import percentile
from benchmarks.follow import Follower, Passed
from benchmarks.parts import Stack, stack
from benchmarks.rows import Goal, Row
from benchmarks.sockets import EventSocket
from benchmarks.usage import Usage, memory_mb
from core.ids import StreamId
from infra.cli.query_service import RunLedger
from tests.fixtures_cameras import packets_file, rtsp_camera

MODEL = "centernet-256"
FPS = 5.0
STEPS = (4, 8, 12, 16, 20)
LONG_S, LONG_SHORT_S = 3600.0, 120.0
LOOK_S = 10.0
CARRIED = 0.02
"""Cameras are carried while less than this share of their frames is dropped, or comes on top of what waits already."""

BUSY_EVERY = 5
STILL_S = 0.4
"""So long nothing moves in the street, before a car comes in; shown again and again."""

SETTLE_S = 90.0
ENDED_S = 120.0
FLAT = 1.05


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames of all cameras so far."""

    read: int
    gated: int
    dropped: int
    processed: int

    @classmethod
    def of(cls, ledgers: Sequence[RunLedger]) -> Counts:
        """Of all runs."""
        return cls(
            sum(each.read for each in ledgers),
            sum(each.gated for each in ledgers),
            sum(each.drops for each in ledgers),
            sum(each.processed for each in ledgers),
        )

    def since(self, earlier: Counts) -> Counts:
        """What came after."""
        return Counts(
            self.read - earlier.read,
            self.gated - earlier.gated,
            self.dropped - earlier.dropped,
            self.processed - earlier.processed,
        )

    @property
    def behind_share(self) -> float:
        """Part of what was read that was dropped or still waits."""
        return (self.read - self.gated - self.processed) / max(1, self.read)


def run(bench: Bench) -> Sequence[Row]:
    """More cameras step by step, then the most that are carried, for long."""
    with servers(bench) as urls, stack(bench.folder) as standing:
        wall = Wall(bench, standing, urls)
        rows: list[Row] = []
        carried = 0
        for count in STEPS:
            wall.have(count)
            found, used, seconds = wall.watch(6 * bench.round_s)
            rows.append(_step(count, found, used, seconds))
            bench.say(f"{count} cameras: {found}")
            if found.behind_share >= CARRIED:
                break
            carried = count
        if not carried:
            raise Failed(f"not even {STEPS[0]} cameras are carried")
        wall.have(carried)
        rows.append(Row("cameras carried", carried, "cameras", goal=Goal("value", STEPS[-1])))
        rows += wall.long(LONG_SHORT_S if bench.short else LONG_S)
        rows.append(wall.ended())
    return rows


def _step(count: int, found: Counts, used: Usage, seconds: float) -> Row:
    return Row(
        f"{count} cameras, frames looked at",
        found.read / seconds,
        "frames/s",
        reference=f"{count * FPS:g} frames/s asked for",
        ratio=found.read / seconds / (count * FPS),
        cpu_s={name: spent / max(1, found.read) for name, spent in used.cpu_s.items()},
        memory_mb=used.memory_mb,
        note=_shares(found),
    )


def _shares(found: Counts) -> str:
    read = max(1, found.read)
    return (
        f"{100 * found.gated / read:.0f} % held back by the gate, {100 * found.processed / read:.0f} % analysed, "
        f"{100 * found.dropped / read:.1f} % dropped"
    )


@contextmanager
def servers(bench: Bench) -> Iterator[list[str]]:
    """Two RTSP servers showing a street again and again, with cars and without; their addresses."""
    with ExitStack() as kept:
        urls = []
        for name, seconds in (("busy", math.inf), ("still", STILL_S)):
            packets = packets_file(bench.shared / clips.CARS, bench.folder / name, seconds)
            urls.append(kept.enter_context(rtsp_camera(packets)).url)
        yield urls


class Wall:
    """The cameras of a stack."""

    def __init__(self, bench: Bench, standing: Stack, urls: Sequence[str]) -> None:
        self._bench = bench
        self._standing = standing
        self._urls = urls
        self._cameras: list[StreamId] = []

    def have(self, count: int) -> None:
        """Add or remove cameras until there are so many, and all are followed."""
        service = self._standing.service
        while len(self._cameras) > count:
            service.remove_stream(self._cameras.pop())
        while len(self._cameras) < count:
            number = len(self._cameras)
            request = {"url": self._urls[number % BUSY_EVERY > 0], "name": f"camera {number}", "fps": FPS}
            request |= {"model": MODEL, "analytics": [{"name": "object_detection", "parameters": {"labels": "any"}}]}
            self._cameras.append(StreamId(service.add_stream(request).stream_id))
        self._settled()

    def watch(self, seconds: float) -> tuple[Counts, Usage, float]:
        """What becomes of the frames of so many seconds, what it takes, and how many seconds they were."""
        before, begun = Counts.of(self._ledgers()), time.monotonic()
        with Usage(self._standing.processes()) as used:
            time.sleep(seconds)
        return Counts.of(self._ledgers()).since(before), used, time.monotonic() - begun

    def long(self, seconds: float) -> list[Row]:
        """What becomes of the frames, how memory grows, and how late events are, over a long time."""
        before, begun = Counts.of(self._ledgers()), time.monotonic()
        looks: list[Mapping[str, float]] = []
        with Usage(self._standing.processes()) as used:
            while (passed := time.monotonic() - begun) < seconds:
                looks.append({name: memory_mb(pid) for name, pid in self._standing.processes().items()})
                if len(looks) % 30 == 0:
                    shown = Counts.of(self._ledgers()).since(before)
                    self._bench.say(f"{passed:.0f} s: {shown}, {sum(looks[-1].values()):.0f} MB")
                time.sleep(LOOK_S)
        took = time.monotonic() - begun
        found = Counts.of(self._ledgers()).since(before)
        whole = _step(len(self._cameras), found, used, took)
        named = replace(whole, name=f"{took / 60:.0f} minutes of {whole.name}")
        late = 100 * found.behind_share
        behind = Row(
            "of these dropped, or still waiting", late, "% of frames", "less", goal=Goal("value", 100 * CARRIED)
        )
        return [named, behind, _growth(looks), *self._delays()]

    def ended(self) -> Row:
        """Stop them all: what is not accounted for."""
        with httpx.Client(base_url=self._standing.service.base, timeout=60, trust_env=False) as http:
            for camera in self._cameras:
                http.patch(f"/2/streams/{camera}", params={"action": "stop"}).raise_for_status()
        until = time.monotonic() + ENDED_S
        while not all(each.finished for each in self._ledgers()):
            if time.monotonic() > until:
                raise Failed(f"not all runs have ended: {[each for each in self._ledgers() if not each.finished]}")
            time.sleep(1.0)
        ledgers = self._ledgers()
        wrong = [text for each in ledgers for text in each.differences]
        accounted = sum(e.processed + e.gated + e.drops + e.dead_lettered for e in ledgers)
        read = sum(each.read for each in ledgers)
        missing = read - accounted
        note = f"{read} read in {len(ledgers)} runs; {'; '.join(wrong) or 'every ledger sums'}"
        return Row("frames not accounted for", missing, "frames", "less", goal=Goal("value", 0.0), note=note)

    def _ledgers(self) -> list[RunLedger]:
        mine = set(self._cameras)
        return [each for each in self._standing.service.ledgers() if each.stream_id in mine]

    def _settled(self) -> None:
        until = time.monotonic() + SETTLE_S
        while (live := sum(each.processed > 0 for each in self._ledgers())) < len(self._cameras):
            if time.monotonic() > until:
                raise Failed(f"{live} of {len(self._cameras)} cameras came through within {SETTLE_S:.0f} s")
            time.sleep(1.0)
        time.sleep(2 * self._bench.round_s)

    def _delays(self) -> list[Row]:
        with ExitStack() as kept:
            follower = kept.enter_context(closing(Follower(self._standing.settings)))
            port = self._standing.settings.query.port
            sockets = [kept.enter_context(EventSocket(port, camera)) for camera in self._cameras]
            passed: Passed = follower.follow(self._cameras, 12 * self._bench.round_s)
            for socket in sockets:
                passed.told |= socket.told
        each = {"tracks": passed.whole(), "event": passed.to_events(), "WebSocket": passed.to_sockets()}
        if not all(each.values()):
            raise Failed(f"of {len(passed.frames)} frames came { ({name: len(d) for name, d in each.items()}) }")
        return [
            Row(
                f"{len(self._cameras)} cameras, frame to {name}",
                percentile(delays, 0.95),
                "ms p95",
                "less",
                note=f"{len(delays)} of them, p50 {percentile(delays, 0.5):.0f} ms, most {max(delays)} ms",
            )
            for name, delays in each.items()
        ]


def _growth(looks: Sequence[Mapping[str, float]]) -> Row:
    """The last quarter's memory beside the second's: in the first, caches and pools fill."""
    quarter = max(1, len(looks) // 4)
    early, late = looks[quarter : 2 * quarter], looks[-quarter:]
    if not early:
        raise Failed("too short to see how memory grows")
    grown = {name: _median(late, name) - _median(early, name) for name in looks[-1]}
    first, last = (sum(_median(part, name) for name in looks[-1]) for part in (early, late))
    most = sorted(grown.items(), key=lambda item: -item[1])[:3]
    note = ", ".join(f"{name} {more:+.0f} MB" for name, more in most)
    return Row(
        "memory, last quarter", last, "MB", "less", reference="second quarter", ratio=last / first,
        goal=Goal("ratio", FLAT), note=f"most: {note}",
    )  # fmt: skip


def _median(looks: Sequence[Mapping[str, float]], name: str) -> float:
    return median(look.get(name, 0.0) for look in looks)


BENCHMARK = Benchmark(
    "cameras",
    f"RTSP cameras over TCP (GStreamer's server on this machine; one in {BUSY_EVERY} shows a street with cars, the "
    f"others the same street empty) at {FPS:g} frames/s, {MODEL}, with the motion gate: more and more of them, until "
    f"more than {CARRIED:.0%} of the frames are dropped or fall behind; then as many as are carried, for an hour (two "
    "minutes in the short form).",
    run,
)
