"""Which frames are chosen, and where they stand in time."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.sampling import Sampler, Timeline, tolerance


def chosen(sampler: Sampler, times: list[Fraction]) -> list[int]:
    taken = []
    for number, time in enumerate(times):
        if sampler.wants(time):
            sampler.chosen(time)
            taken.append(number)
    return taken


def regular(fps: Fraction | int, count: int) -> list[Fraction]:
    return [Fraction(n) / fps for n in range(count)]


def test_zero_reads_every_frame() -> None:
    assert chosen(Sampler(0), regular(30, 50)) == list(range(50))


def test_an_even_divisor_takes_every_nth_frame() -> None:
    assert chosen(Sampler(10), regular(30, 31)) == list(range(0, 31, 3))


def test_an_uneven_rate_takes_the_first_frame_at_or_past_each_due_time() -> None:
    assert chosen(Sampler(10), regular(25, 26)) == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25]


def test_a_source_slower_than_the_rate_gives_each_frame_once() -> None:
    assert chosen(Sampler(30), regular(10, 20)) == list(range(20))


def test_a_gap_gives_no_burst() -> None:
    times = [Fraction(n, 10) for n in (0, 1, 2, 53, 54, 55, 56)]
    assert chosen(Sampler(5), times) == [0, 2, 3, 4, 6]


def test_frames_before_the_start_are_not_read_and_the_grid_begins_there() -> None:
    assert chosen(Sampler(2, start_s=1.25), regular(4, 12)) == [5, 7, 9, 11]


def test_rounded_stamps_lose_no_frame_of_the_sources_own_rate() -> None:
    """Matroska counts milliseconds: 33, 67, 100; some writers cut: 33, 66, 100. GIF counts hundredths."""
    for tick in (Fraction(1, 1000), Fraction(1, 100)):
        rounded = [round(Fraction(n, 30) / tick) * tick for n in range(300)]
        assert chosen(Sampler(30, slack=tolerance(tick)), rounded) == list(range(300))
    cut = [Fraction(n * 1000 // 30, 1000) for n in range(300)]
    assert chosen(Sampler(30, slack=tolerance(Fraction(1, 1000))), cut) == list(range(300))
    assert chosen(Sampler(15, slack=tolerance(Fraction(1, 1000))), cut) == list(range(0, 300, 2))


def test_tolerance_is_at_most_half_a_tick_of_a_coarse_time_base() -> None:
    assert tolerance(Fraction(1, 90000)) == Fraction(1, 90000)
    assert tolerance(Fraction(1, 25)) == Fraction(1, 50)
    assert tolerance(Fraction(1, 1000)) == Fraction(1, 1000)


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=200),
    fps=st.floats(0.1, 120, allow_nan=False),
)
def test_chosen_frames_keep_the_rate_and_the_first_past_each_due_time_is_among_them(
    gaps: list[int], fps: float
) -> None:
    times, now = [], Fraction(0)
    for gap in [0, *gaps]:
        now += Fraction(gap, 1000)
        times.append(now)
    taken = [times[n] for n in chosen(Sampler(fps), times)]
    rate = Fraction(repr(fps))
    slots = [int(time * rate) for time in taken]
    assert len(set(slots)) == len(slots), "one frame a slot of the grid"
    for slot in range(int(times[-1] * rate) + 1):
        first = next((t for t in times if t >= slot / rate), None)
        assert first is None or first in taken


def test_media_time_begins_at_zero_whatever_the_container_says() -> None:
    line = Timeline(Fraction(1, 30))
    assert [line.advance(Fraction(n, 30) + 7) for n in range(3)] == [0, Fraction(1, 30), Fraction(2, 30)]
    assert line.end == Fraction(3, 30)


def test_a_missing_or_repeated_time_is_one_frame_on() -> None:
    line = Timeline(Fraction(1, 10))
    stamps = [None, None, Fraction(5), Fraction(5), Fraction("5.1"), Fraction("5.3")]
    assert [float(line.advance(stamp)) for stamp in stamps] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.6]


def test_a_jump_back_goes_on_from_there() -> None:
    line = Timeline(Fraction(1, 10), begin=Fraction(100))
    stamps = [Fraction(0), Fraction(1), Fraction(0), Fraction(1)]
    assert [float(line.advance(stamp)) for stamp in stamps] == [100.0, 101.0, 101.1, 102.1]


def test_looking_ahead_changes_nothing() -> None:
    line = Timeline(Fraction(1, 10))
    line.advance(Fraction(3))
    assert line.at(Fraction(9)) == 6
    assert line.at(Fraction(4)) == 1
    assert line.advance(Fraction(4)) == 1


def test_a_line_without_frames_ends_at_zero() -> None:
    assert Timeline(Fraction(1, 10)).end == 0


@given(st.lists(st.one_of(st.none(), st.integers(-10_000, 10_000)), max_size=100))
def test_media_time_always_rises(stamps: list[int | None]) -> None:
    line = Timeline(Fraction(1, 25))
    times = [line.advance(None if s is None else Fraction(s, 100)) for s in stamps]
    assert all(a < b for a, b in pairwise(times))


def moments(line: Timeline, *frames: tuple[object, object]) -> list[float]:
    """Media seconds of (presentation time, when it came)."""
    return [
        float(line.advance(None if pts is None else Fraction(str(pts)), Fraction(str(came)))) for pts, came in frames
    ]


def test_a_cameras_jump_ahead_is_not_believed() -> None:
    line = Timeline(Fraction(1, 10))
    assert moments(line, (7, 50), ("7.1", "50.1"), (10_000, "50.2"), ("10000.1", "50.3")) == [0.0, 0.1, 0.2, 0.3]


def test_a_camera_may_send_what_it_has_kept() -> None:
    line = Timeline(Fraction(1, 10))
    assert moments(line, (0, 50), (1, "50.01"), (9, "50.02"), ("9.1", "58.5")) == [0.0, 1.0, 9.0, 9.1]


def test_a_camera_that_sets_its_clock_back_goes_on_by_what_has_really_passed() -> None:
    line = Timeline(Fraction(1, 10))
    assert moments(line, (500, 50), (501, 51), (0, 54), (1, 55)) == [0.0, 1.0, 4.0, 5.0]


def test_without_times_frames_stand_where_they_came() -> None:
    line = Timeline(Fraction(1, 25))
    assert moments(line, (None, 50), (None, "50.2"), (None, "50.2"), (None, "50.6")) == [0.0, 0.2, 0.201, 0.601]


def test_a_gap_passes_and_what_follows_has_times_of_its_own() -> None:
    line = Timeline(Fraction(1, 10))
    moments(line, (100, 50), (101, 51))
    line.gap(Fraction(30), Fraction(1, 5))
    assert moments(line, (7, 81), (8, 82)) == [31.0, 32.0]
    line.gap(Fraction(0), Fraction(1, 5))
    assert moments(line, (8, 82)) == [32.2], "a frame is shown before the next one comes"
    first = Timeline(Fraction(1, 10))
    first.gap(Fraction(30), Fraction(1, 10))
    assert moments(first, (5, 0)) == [0.0], "nothing had begun"


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(-10_000, 10_000)), st.integers(0, 2000)), max_size=60))
def test_a_cameras_media_time_always_rises_and_never_runs_away(frames: list[tuple[int | None, int]]) -> None:
    line, came, times = Timeline(Fraction(1, 25)), Fraction(0), []
    for stamp, step in frames:
        came += Fraction(step, 100)
        times.append((line.advance(None if stamp is None else Fraction(stamp), came), came))
    for (a, came_a), (b, came_b) in pairwise(times):
        assert a < b <= a + (came_b - came_a) + 10 + Fraction(1, 1000)
