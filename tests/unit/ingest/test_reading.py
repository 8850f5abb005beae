"""The loop from decoded frames to a lane."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ingest_fakes import FakeClock, FakeDecoded, FakeSource, moving, spec

from core.messages import Analytic, Frame, Gate, IngestCounts
from core.settings import Ingest, Settings
from ingest.control import Control
from ingest.decoded import NotDecoded
from ingest.ledger import MAX_PROBLEMS, Ledger
from ingest.luma import Cells, Luma
from ingest.picture import Size
from ingest.reading import Reading, Resume, Shape
from ingest.sources import open_source

FROM_THE_START = Resume()


class ListLane:
    """Takes everything; orders `stop` at a number of frames."""

    def __init__(self, ledger: Ledger, control: Control, stop_at: int | None = None) -> None:
        self.frames: list[Frame] = []
        self._ledger = ledger
        self._control = control
        self._stop_at = stop_at

    def put(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._ledger.published()
        if len(self.frames) == self._stop_at:
            self._control.tell("stop")

    def pump(self) -> None:
        """Nothing waits."""

    def drain(self) -> None:
        """Nothing waits."""


def read(
    source: FakeSource,
    resume: Resume = FROM_THE_START,
    stop_at: int | None = None,
    before: IngestCounts | None = None,
    **more: Any,
) -> tuple[list[Frame], Ledger, Reading]:
    monotonic = FakeClock()
    control = Control(monotonic, lease_s=1e9)
    control.wait = lambda seconds: bool(setattr(monotonic, "now", monotonic.now + seconds)) or True  # type: ignore[method-assign]
    definition = spec(**more)
    ledger = Ledger(definition.lane, before or IngestCounts())
    lane = ListLane(ledger, control, stop_at)
    reading = Reading(
        definition,
        source,
        Ingest(),
        lane=lane,
        ledger=ledger,
        control=control,
        resume=resume,
        clock=lambda: 5_000.0 + monotonic.now,
        monotonic=monotonic,
    )
    reading.run()
    return lane.frames, ledger, reading


def test_every_frame_in_order_with_its_place_in_the_video() -> None:
    frames, ledger, reading = read(FakeSource(count=4))
    assert [(f.index, f.media_s, f.ts_ms) for f in frames] == [
        (0, 0.0, 1_000_000),
        (1, 0.1, 1_000_100),
        (2, 0.2, 1_000_200),
        (3, 0.3, 1_000_300),
    ]
    assert {(f.width, f.height, f.model, f.faces, f.ephemeral) for f in frames} == {(64, 48, "detector", False, False)}
    assert ledger.counts == IngestCounts(decoded=4, read=4, published=4)
    assert (reading.video.frames, reading.video.duration_s, reading.video.decoder) == (4, 0.4, "fake")


def test_faces_and_ephemeral_come_from_the_definition() -> None:
    frames, _, _ = read(
        FakeSource(count=1), analytics=(Analytic("people_count"), Analytic("face_detection")), ephemeral=True
    )
    assert frames[0].faces
    assert frames[0].ephemeral


def test_sampling_counts_what_it_leaves_out() -> None:
    frames, ledger, _ = read(FakeSource(count=30, fps=30), fps=10)
    assert [f.index for f in frames] == list(range(0, 30, 3))
    assert ledger.counts == IngestCounts(decoded=30, sampled_out=20, read=10, published=10)


def test_live_frames_carry_the_time_of_capture() -> None:
    frames, _, _ = read(FakeSource(count=2), lane="live")
    assert [f.ts_ms for f in frames] == [6_000_000, 6_000_000]


def test_a_file_at_its_own_pace_takes_its_own_time() -> None:
    frames, _, _ = read(FakeSource(count=21), lane="live", realtime=True)
    assert frames[-1].ts_ms - frames[0].ts_ms == 2000


def test_a_looped_file_goes_on_in_time_and_index() -> None:
    frames, _, _ = read(FakeSource(count=3), loop=True, stop_at=7)
    assert [f.index for f in frames] == list(range(7))
    assert [round(f.media_s, 3) for f in frames] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_an_empty_source_does_not_loop_for_ever() -> None:
    frames, _, _ = read(FakeSource(count=0), loop=True)
    assert frames == []


def test_an_order_ends_reading_at_once() -> None:
    frames, ledger, _ = read(FakeSource(count=100), stop_at=5)
    assert len(frames) == 5
    assert ledger.counts.decoded == 5


def test_damage_is_noted_where_it_is_and_reading_goes_on() -> None:
    frames, ledger, _ = read(FakeSource(count=10, damage={4: "torn"}))
    assert len(frames) == 10
    assert [(p.at_frame, p.at_s, p.reason) for p in ledger.problems] == [(4, 0.3, "torn")]


def test_damage_ends_reading_where_the_definition_says_so() -> None:
    frames, ledger, _ = read(FakeSource(count=10, damage={4: "torn"}), on_error="fail")
    assert len(frames) == 4
    assert len(ledger.problems) == 1


def test_a_flood_of_damage_is_kept_as_its_beginning_and_its_number() -> None:
    _, ledger, _ = read(FakeSource(count=100, damage=dict.fromkeys(range(100), "torn")))
    assert len(ledger.problems) == MAX_PROBLEMS + 1
    assert ledger.problems[-1].reason == "and 50 more damaged places after these"


def test_a_frame_that_fails_when_taken_is_not_counted() -> None:
    frames, ledger, _ = read(FakeSource(count=5, bad=frozenset({2})))
    assert ledger.counts == IngestCounts(decoded=4, read=4, published=4)
    assert [f.index for f in frames] == [0, 1, 2, 3]


@given(cut=st.integers(0, 40), fps=st.sampled_from([0.0, 3.0, 7.5, 10.0]))
def test_a_file_read_on_from_anywhere_gives_the_rest_of_the_undisturbed_run(cut: int, fps: float) -> None:
    whole, ledger, _ = read(FakeSource(count=40), fps=fps)
    cut = min(cut, len(whole))
    rest, counted, _ = read(
        FakeSource(count=40), Resume(published=cut, last=whole[cut - 1].index if cut else -1), fps=fps
    )
    assert [(f.index, f.media_s, f.jpeg) for f in rest] == [(f.index, f.media_s, f.jpeg) for f in whole[cut:]]
    assert counted.counts == ledger.counts


def test_frames_that_were_too_large_before_a_restart_stay_counted_and_nothing_comes_twice() -> None:
    frames, ledger, _ = read(FakeSource(count=10), Resume(published=4, last=6))
    assert [f.index for f in frames] == [7, 8, 9]
    assert ledger.counts == IngestCounts(decoded=10, read=10, published=7, dropped={"too_large": 3})


def test_a_live_file_goes_on_after_the_last_frame_with_its_counts() -> None:
    resume = Resume(behind=Fraction(1), index=11)
    frames, ledger, _ = read(
        FakeSource(count=15), resume, lane="live", realtime=True, before=IngestCounts(decoded=11, read=11, published=11)
    )
    assert [(f.index, f.media_s) for f in frames] == [(11, 1.1), (12, 1.2), (13, 1.3), (14, 1.4)]
    assert ledger.counts == IngestCounts(decoded=15, read=15, published=15)


def test_what_a_live_file_gave_before_is_not_decoded_again_where_the_file_can_be_entered() -> None:
    source = FakeSource(count=50, enter=10)
    given: list[int] = []
    real = source.frames

    def watched(*args: Any) -> Iterator[Any]:
        for frame in real(*args):
            given.append(frame.number)
            yield frame

    source.frames = watched  # type: ignore[method-assign]
    frames, _, _ = read(source, Resume(behind=Fraction("4.3"), index=44), lane="live")
    assert [f.index for f in frames] == [44, 45, 46, 47, 48, 49]
    assert given == [0, *range(40, 50)]


def test_a_looped_file_goes_on_within_its_loop() -> None:
    resume = Resume(behind=Fraction(1), index=11)
    frames, _, _ = read(FakeSource(count=4), resume, lane="live", loop=True, stop_at=3)
    assert [f.index for f in frames] == [11, 12, 13]


def rest_of(frame: Frame) -> tuple[int, float, bytes]:
    return (frame.index, frame.media_s, frame.jpeg)


def places(frames: list[Frame]) -> list[tuple[int, int, float, bytes]]:
    return [(seq, *rest_of(frame)) for seq, frame in enumerate(frames)]


@settings(max_examples=20, phases=(Phase.explicit, Phase.generate))
@given(
    bad=st.frozensets(st.integers(0, 15), min_size=1, max_size=6),
    fps=st.sampled_from([0.0, 3.0, 7.5]),
    gaps=st.lists(st.sampled_from([1, 1, 2, 5]), min_size=16, max_size=16),
)
def test_a_file_with_frames_that_cannot_be_converted_is_the_same_after_an_interruption_anywhere(
    bad: frozenset[int], fps: float, gaps: list[int]
) -> None:
    source = FakeSource(count=16, bad=bad, gaps=gaps)
    whole, ledger, _ = read(source, fps=fps)
    for cut in range(len(whole) + 1):
        last = whole[cut - 1].index if cut else -1
        rest, counted, _ = read(source, Resume(published=cut, last=last), fps=fps)
        assert [(cut + nth, *rest_of(f)) for nth, f in enumerate(rest)] == places(whole)[cut:]
        assert counted.counts == ledger.counts


def test_the_time_of_a_frame_that_fails_passes_all_the_same() -> None:
    frames, _, _ = read(FakeSource(count=4, bad=frozenset({0})), lane="live")
    assert [(f.index, f.media_s) for f in frames] == [(0, 0.1), (1, 0.2), (2, 0.3)]


@settings(max_examples=20, phases=(Phase.explicit, Phase.generate))
@given(
    bad=st.frozensets(st.integers(0, 7), min_size=1, max_size=4),
    fps=st.sampled_from([0.0, 3.0, 7.5]),
    gaps=st.lists(st.sampled_from([1, 1, 2, 5]), min_size=8, max_size=8),
    rounds=st.sampled_from([1, 3]),
    enter=st.sampled_from([0, 1, 3]),
)
def test_a_live_file_with_such_frames_is_the_same_after_an_interruption_anywhere(
    bad: frozenset[int], fps: float, gaps: list[int], rounds: int, enter: int
) -> None:
    source = FakeSource(count=8, bad=bad, gaps=gaps, enter=enter)
    once, _, _ = read(source, fps=fps, lane="live")
    stop = (len(once) - 1) * rounds
    if stop <= 0:
        return
    more = {"fps": fps, "lane": "live", "loop": True}
    whole, ledger, _ = read(source, stop_at=stop, **more)
    for cut in range(1, len(whole)):
        _, before, _ = read(source, stop_at=cut, **more)
        resume = Resume(behind=Fraction(repr(whole[cut - 1].media_s)), index=whole[cut - 1].index + 1)
        rest, counted, _ = read(source, resume, stop_at=stop - cut, before=before.counts, **more)
        assert [(cut + nth, *rest_of(f)) for nth, f in enumerate(rest)] == places(whole)[cut:]
        assert counted.counts == ledger.counts


GATE = Gate(recheck_s=2.0)


def told(frames: list[Frame]) -> list[tuple[int, int, float]]:
    return [(frame.index, frame.held, frame.held_s) for frame in frames]


def test_a_frame_that_is_held_back_is_read_and_told_of_by_the_next_that_is_not() -> None:
    frames, ledger, reading = read(FakeSource(count=65), gate=GATE)
    assert told(frames) == [*((i, 0, 0.0) for i in range(21)), (40, 19, 1.9), (60, 19, 1.9)]
    assert ledger.counts == IngestCounts(decoded=65, read=65, gated=42, published=23)
    assert (reading.video.frames, reading.video.duration_s) == (65, 6.5)


def test_what_sampling_leaves_out_is_not_the_gates() -> None:
    frames, ledger, _ = read(FakeSource(count=65), gate=GATE, fps=5)
    assert told(frames) == [*((i, 0, 0.0) for i in range(0, 26, 2)), (44, 9, 1.8), (64, 9, 1.8)]
    assert ledger.counts == IngestCounts(decoded=65, sampled_out=32, read=33, gated=18, published=15)


def test_a_frame_that_is_held_back_is_never_converted() -> None:
    class Counted(FakeDecoded):
        def rgb(self) -> Any:
            converted.append(self.number)
            return super().rgb()

    class Source(FakeSource):
        def frames(self, *args: Any) -> Iterator[Any]:
            for frame in super().frames(*args):
                yield Counted(frame.pts, frame.number, frame.good, frame.plane)

    converted: list[int] = []
    frames, _, _ = read(Source(count=65), gate=GATE)
    assert converted == [frame.index for frame in frames]


def test_motion_lets_the_frames_through() -> None:
    frames, ledger, _ = read(FakeSource(count=60, scene=moving(30, 31, 32, 33)), gate=GATE)
    assert told(frames)[20:22] == [(20, 0, 0.0), (30, 9, 0.9)]
    assert [f.index for f in frames] == [*range(21), *range(30, 54)]
    assert ledger.counts.gated == 15


def test_a_frame_that_cannot_be_looked_at_is_no_decoded_frame() -> None:
    class Unseen(FakeDecoded):
        def cells(self, luma: Luma) -> Cells:
            raise NotDecoded

    class Source(FakeSource):
        def frames(self, *args: Any) -> Iterator[Any]:
            for frame in super().frames(*args):
                yield Unseen(frame.pts, frame.number) if frame.number == 2 else frame

    frames, ledger, _ = read(Source(count=4), gate=GATE)
    assert [(f.index, f.media_s) for f in frames] == [(0, 0.0), (1, 0.1), (2, 0.3)]
    assert ledger.counts == IngestCounts(decoded=3, read=3, published=3)
    assert len(read(Source(count=4))[0]) == 4, "without a gate nobody looks"


def test_a_camera_that_goes_on_tells_of_what_was_held_back_before() -> None:
    resume = Resume(index=90, begin=Fraction(30), held=7, held_s=Fraction("1.4"))
    before = IngestCounts(decoded=90, read=90, gated=40, published=50)
    frames, ledger, _ = read(FakeSource(count=30), resume, lane="live", gate=GATE, before=before)
    assert told(frames) == [(90, 7, 1.4), *((i, 0, 0.0) for i in range(91, 111))]
    assert frames[0].media_s == 30.0
    assert ledger.counts == IngestCounts(decoded=120, read=120, gated=49, published=71)


@settings(max_examples=15, phases=(Phase.explicit, Phase.generate))
@given(
    moves=st.frozensets(st.integers(22, 89), max_size=20),
    bad=st.frozensets(st.integers(0, 89), max_size=8),
    fps=st.sampled_from([0.0, 3.0, 7.5]),
)
def test_a_file_with_a_gate_is_the_same_after_an_interruption_anywhere(
    moves: frozenset[int], bad: frozenset[int], fps: float
) -> None:
    source = FakeSource(count=90, bad=bad, scene=moving(*moves))
    whole, ledger, _ = read(source, fps=fps, gate=GATE)
    counts = ledger.counts
    assert counts.decoded == counts.sampled_out + counts.read
    assert counts.read == counts.gated + counts.published
    assert sum(frame.held for frame in whole) <= counts.gated
    for cut in range(0, len(whole) + 1, 3):
        last = whole[cut - 1].index if cut else -1
        rest, counted, _ = read(source, Resume(published=cut, last=last), fps=fps, gate=GATE)
        assert (places(rest), told(rest)) == ([(i, *rest_of(f)) for i, f in enumerate(whole[cut:])], told(whole[cut:]))
        assert counted.counts == counts


@settings(max_examples=15, phases=(Phase.explicit, Phase.generate))
@given(moves=st.frozensets(st.integers(22, 89), max_size=20), cut=st.integers(1, 60))
def test_a_live_file_with_a_gate_begins_anew_after_an_interruption_and_its_ledger_sums(
    moves: frozenset[int], cut: int
) -> None:
    source = FakeSource(count=90, scene=moving(*moves))
    first, _, _ = read(source, stop_at=cut, lane="live", gate=GATE)
    last = first[-1]
    gated = sum(frame.held for frame in first)
    before = IngestCounts(decoded=last.index + 1, read=last.index + 1, gated=gated, published=len(first))
    resume = Resume(behind=Fraction(repr(last.media_s)), index=last.index + 1)
    rest, ledger, _ = read(source, resume, lane="live", gate=GATE, before=before)
    counts = ledger.counts
    assert counts.decoded == counts.read == 90
    assert counts.read == counts.gated + counts.published
    if last.index < 89:
        assert told(rest)[0] == (last.index + 1, 0, 0.0), "it has seen nothing before"


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", ["-c:v", "libx264", "-pix_fmt", "yuv420p"]), ("a.mkv", ["-c:v", "ffv1", "-pix_fmt", "yuv420p10le"])],
)
def test_a_still_scene_of_a_real_file_is_held_back(tmp_path: Path, name: str, codec: list[str]) -> None:
    path = tmp_path / name
    still = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "smptebars=size=320x240:rate=10:duration=6"]
    subprocess.run([*still, *codec, str(path)], check=True)
    definition = spec(url=f"file:{path}", gate=Gate())
    source = open_source(definition, Settings(data_dir=tmp_path, ingest={"file_roots": [tmp_path]}))
    frames, ledger, _ = read(source, gate=Gate())  # type: ignore[arg-type]
    assert source.decoder == "pyav", "whoever reads it again must see the same"
    assert [frame.index for frame in frames] == list(range(21))
    assert ledger.counts == IngestCounts(decoded=60, read=60, gated=39, published=21)


@dataclass
class Camera(FakeSource):
    """A connection to a camera: pictures of a size of its own, that come at times of the test's clock."""

    lost: str | None = "it has closed the connection"
    times: str = "live"
    size: tuple[int, int] = (64, 48)
    begin: Fraction = Fraction(0)
    resized: dict[int, tuple[int, int]] = field(default_factory=dict)
    clock: FakeClock | None = None

    def frames(self, *args: Any) -> Iterator[Any]:
        for frame in super().frames(*args):
            if self.clock is not None:
                self.clock.now += 1 / self.fps
            width, height = self.resized.get(frame.number, self.size)
            shape = (height, width, 3)
            pts = None if frame.pts is None else frame.pts + self.begin
            yield SimpleNamespace(pts=pts, dts=pts, rgb=lambda shape=shape: np.zeros(shape, np.uint8))


class Again:
    """Hands out connections, each `outage_s` after the last."""

    def __init__(
        self, clock: FakeClock, *sources: FakeSource, outage_s: float = 0.0, open_for: int | None = None
    ) -> None:
        self.clock, self.sources, self.outage_s = clock, list(sources), outage_s
        self.given: list[FakeSource] = []
        self.frames = 0
        self.open_for = open_for
        self.rests = 0

    @property
    def shut(self) -> bool:
        return self.open_for is not None and self.frames == self.open_for

    def came(self) -> None:
        self.frames += 1

    def rest(self) -> bool:
        self.rests += 1
        self.frames += 1
        return self.sources == []

    def again(self, source: FakeSource) -> FakeSource | None:
        self.given.append(source)
        self.clock.now += self.outage_s
        return self.sources.pop(0) if self.sources else None


def watch(clock: FakeClock, first: FakeSource, again: Again, **more: Any) -> tuple[list[Frame], Ledger, Reading]:
    control = Control(clock, lease_s=1e9)
    definition = spec("live", **{"url": "rtsp://camera/1", **more})
    ledger = Ledger("live")
    lane = ListLane(ledger, control)
    reading = Reading(
        definition,
        first,
        Ingest(),
        lane=lane,
        ledger=ledger,
        control=control,
        resume=FROM_THE_START,
        clock=clock,
        monotonic=clock,
        connections=again,
    )
    reading.run()
    return lane.frames, ledger, reading


def test_a_camera_that_is_connected_to_again_goes_on_in_its_run() -> None:
    clock = FakeClock()
    one, two = Camera(count=5, clock=clock), Camera(count=3, clock=clock, begin=Fraction(4000))
    again = Again(clock, two, outage_s=30.0)
    frames, ledger, reading = watch(clock, one, again)
    assert [f.index for f in frames] == list(range(8))
    assert ledger.counts == IngestCounts(decoded=8, read=8, published=8)
    assert frames[5].media_s - frames[4].media_s == pytest.approx(30.1, abs=0.11), "what has passed has passed"
    assert [round(b.media_s - a.media_s, 3) for a, b in pairwise(frames[5:])] == [0.1, 0.1]
    assert again.given == [one, two]
    assert reading.source is two


def test_a_camera_that_drops_again_and_again_never_stands_still_in_time() -> None:
    clock = FakeClock()
    cameras = [Camera(count=4, clock=clock) for _ in range(20)]
    frames, _, _ = watch(clock, cameras[0], Again(clock, *cameras[1:], outage_s=0.5))
    assert len(frames) == 80
    assert all(a.media_s < b.media_s for a, b in pairwise(frames))
    assert frames[-1].media_s == pytest.approx(clock.now - 1000, abs=3)


def test_a_camera_that_is_set_to_another_size_is_followed() -> None:
    clock = FakeClock()
    camera = Camera(count=4, lost=None, resized={2: (1920, 1440), 3: (100, 40)})
    frames, _, _ = watch(clock, camera, Again(clock))
    assert [(f.width, f.height) for f in frames] == [(64, 48), (64, 48), (960, 720), (100, 40)]


def test_a_recording_keeps_the_size_that_it_begins_with() -> None:
    clock = FakeClock()
    camera = Camera(count=3, lost=None, times="recorded", resized={2: (100, 40)})
    frames, _, _ = watch(clock, camera, Again(clock))
    assert {(f.width, f.height) for f in frames} == {(64, 48)}


def test_pixels_that_are_not_square_stay_so_at_another_size() -> None:
    probe = replace(FakeSource().probe, shown=Size(96, 128), coded=Size(64, 96), rotation=90)
    shape = Shape.of(probe, Ingest(), follows=True)
    assert shape.aspect == 2
    shape.jpeg(np.zeros((192, 128, 3), np.uint8))
    assert shape.size == Size(192, 256)


@pytest.mark.parametrize(
    ("timestamps", "times", "expected"),
    [
        ("auto", "recorded", [0.0, 0.5, 1.0]),
        ("pts", "live", [0.0, 0.5, 1.0]),
        ("auto", "missing", [0.0, 0.1, 0.2]),
        ("server", "live", [0.0, 0.1, 0.2]),
        ("frame_rate", "live", [0.0, 0.1, 0.2]),
        ("dts", "live", [0.0, 0.5, 1.0]),
    ],
)
def test_times_come_from_where_the_definition_says(timestamps: str, times: str, expected: list[float]) -> None:
    clock = FakeClock()
    camera = Camera(count=3, gaps=[5, 5, 5], lost=None, times=times, clock=clock)
    frames, _, _ = watch(clock, camera, Again(clock), timestamps=timestamps)
    assert [round(f.media_s, 2) for f in frames] == expected


def test_a_cameras_own_time_is_not_believed_when_it_jumps() -> None:
    clock = FakeClock()
    camera = Camera(count=4, gaps=[1, 36_000, 1, 1], lost=None, clock=clock)
    frames, _, _ = watch(clock, camera, Again(clock))
    assert [round(f.media_s, 2) for f in frames] == [0.0, 0.1, 0.2, 0.3]
    frames, _, _ = watch(clock, camera, Again(clock), timestamps="pts")
    assert frames[-1].media_s > 3600, "where it is said to be right, it is"


def test_a_camera_is_left_outside_of_its_hours_and_a_file_waits() -> None:
    clock = FakeClock()
    one, two = Camera(count=9, clock=clock), Camera(count=2, clock=clock)
    again = Again(clock, two, open_for=4)
    frames, _, _ = watch(clock, one, again)
    assert (len(frames), again.given) == (6, [one, two])
    again = Again(clock, open_for=4)
    frames, _, _ = watch(clock, FakeSource(count=9), again, url="file:/clip.mp4")
    assert (len(frames), again.rests) == (9, 1)


def test_a_camera_does_not_loop_over_what_is_gone() -> None:
    clock = FakeClock()
    frames, _, _ = watch(clock, Camera(count=3), Again(clock), loop=True)
    assert len(frames) == 3
