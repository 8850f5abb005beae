"""Pictures: made once for all who wish the same, never waited for by anybody, and gone with the last viewer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
import simplejpeg

from core import metrics
from core.errors import BrokerUnavailable
from core.ids import StreamId
from core.messages import RunBegin, encode_frame
from core.partitions import partition_of
from core.settings import Kafka, Settings
from query_api.refusals import Busy
from query_api.watching import pictures
from query_api.watching.pictures import Picture, Wish
from query_api.watching.watches import Watches
from tests.unit.query_api.conftest import VIDEO, frame, picture, show
from tests.unit.query_api.fakes import Parts
from tests.unit.query_api.watching import STREAM, TOPICS, create, follow, until

SMALL = Wish(height=10, quality=60)
DRAWN = Wish(height=0, quality=90, analytic="object_detection")
WAIT_S = 20.0


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())


def limited(settings: Settings, **query: Any) -> Settings:
    return settings.model_copy(update={"query": settings.query.model_copy(update=query)})


def counted(outcome: str) -> float:
    value: float = metrics.counter("sightline_viewed_pictures_total").labels(outcome)._value.get()
    return value


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Wish]:
    """Every picture that was made, as it was wished for."""
    found: list[Wish] = []
    real = pictures.picture_of

    def noted(shot: Any, wish: Wish, max_pixels: int) -> Picture | None:
        found.append(wish)
        return real(shot, wish, max_pixels)

    monkeypatch.setattr(pictures, "picture_of", noted)
    return found


def test_who_wish_the_same_share_one_picture_and_all_share_one_reader(
    settings: Settings, parts: Parts, made: list[Wish]
) -> None:
    row = create(parts)

    async def test() -> None:
        watches = Watches(settings, parts.tails, linger_s=0)
        viewers = [await watches.view(row, wish) for wish in (SMALL, SMALL, SMALL, Wish(20, 60))]
        for seq in range(2):
            show(parts, STREAM, seq, ts_ms=seq)
            got = await asyncio.gather(*(viewer.next(WAIT_S) for viewer in viewers))
            assert {one.ts_ms for one in got if one} == {seq}
            assert got[0] is got[1] is got[2]
            assert [simplejpeg.decode_jpeg_header(one.jpeg)[0] for one in got if one] == [10, 10, 10, 20]
        assert sorted(wish.height for wish in made) == [10, 10, 20, 20]
        assert len(parts.tails.opened) == 1
        for viewer in viewers[:3]:
            viewer.close()
        assert parts.tails.running, "one still watches"
        viewers[3].close()
        viewers[3].close()
        assert not parts.tails.running

    run(test)


def test_a_slow_viewer_misses_pictures_and_holds_up_nobody(settings: Settings, parts: Parts) -> None:
    row = create(parts)

    async def test() -> None:
        watches = Watches(settings, parts.tails, linger_s=0)
        slow, quick = [await watches.view(row, Wish()) for _ in range(2)]
        before = counted("skipped")
        for seq in range(10):
            show(parts, STREAM, seq, ts_ms=seq)
            got = await quick.next(WAIT_S)
            assert got is not None
            assert got.ts_ms == seq
            if seq == 0:
                assert await slow.next(WAIT_S) == got
        late = await slow.next(WAIT_S)
        assert late is not None
        assert late.ts_ms == 9, "the newest, and only that"
        assert counted("skipped") - before == 8
        assert await slow.next(0) is None

    run(test)


def test_a_rate_is_kept_to(settings: Settings, parts: Parts) -> None:
    row = create(parts)

    async def test() -> None:
        viewer = await Watches(settings, parts.tails, linger_s=0).view(row, Wish(), fps=1)
        viewer._gap_s = 1000.0
        show(parts, STREAM, 0)
        assert await viewer.next(WAIT_S) is not None
        show(parts, STREAM, 1)
        assert await viewer.next(0.01) is None
        viewer._due = 0.0
        assert await viewer.next(0.01) is not None

    run(test)


def test_a_frame_passes_as_it_is_unless_something_smaller_is_wished(
    settings: Settings, parts: Parts, made: list[Wish]
) -> None:
    row = create(parts)

    async def test() -> None:
        watches = Watches(settings, parts.tails, linger_s=0)
        shown = show(parts, STREAM)
        for wish in (Wish(), Wish(30, 100), Wish(2000, 90)):
            got = await (await watches.view(row, wish)).next(WAIT_S)
            assert got is not None
            assert got.jpeg == shown.jpeg
        assert not made
        for wish in (Wish(0, 10), Wish(29, 100)):
            got = await (await watches.view(row, wish)).next(WAIT_S)
            assert got is not None
            assert got.jpeg != shown.jpeg
        assert len(made) == 2

    run(test)


def test_boxes_are_drawn_once_they_are_known_and_lines_with_them(settings: Settings, parts: Parts) -> None:
    row = create(parts)
    grey = picture(320, 240)

    async def test() -> None:
        watches = Watches(settings, parts.tails, linger_s=0)
        drawn = await watches.view(row, DRAWN)
        counting = await watches.view(row, Wish(0, 90, "people_count"))
        plain = await watches.view(row, Wish())
        show(parts, STREAM, 0, jpeg=grey)
        assert await plain.next(WAIT_S) is not None, "who wants no boxes does not wait for them"
        assert await drawn.next(0) is None
        follow(parts, 0)
        pixels = simplejpeg.decode_jpeg((await drawn.next(WAIT_S)).jpeg)
        assert np.ptp(pixels) > 60, "a box was drawn"
        assert np.ptp(pixels[100:140, 140:180]) < 20, "and nothing into its middle"
        counted_ = simplejpeg.decode_jpeg((await counting.next(WAIT_S)).jpeg)
        assert np.ptp(counted_[:20, :]) > 60, "its area was drawn"

    run(test)


def test_tracks_may_come_before_their_frame(settings: Settings, parts: Parts) -> None:
    row = create(parts)

    async def test() -> None:
        viewer = await Watches(settings, parts.tails, linger_s=0).view(row, DRAWN)
        follow(parts, 0)
        show(parts, STREAM, 0, ts_ms=7)
        got = await viewer.next(WAIT_S)
        assert got is not None
        assert got.ts_ms == 7

    run(test)


def test_a_frame_whose_tracks_do_not_come_is_shown_without(
    settings: Settings, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = create(parts)

    async def test() -> None:
        viewer = await Watches(settings, parts.tails, linger_s=0).view(row, DRAWN)
        monkeypatch.setattr(viewer.watch._pairing, "_wait_s", 0.01)
        show(parts, STREAM, 0, ts_ms=7)
        got = await viewer.next(WAIT_S)
        assert got is not None
        assert got.ts_ms == 7

    run(test)


def test_a_still_scene_is_seen_at_once_by_whoever_comes(settings: Settings, parts: Parts) -> None:
    """The motion gate may hold frames back for long; the last one is shown, with what was tracked in it."""
    row = create(parts)
    number = partition_of(str(STREAM).encode(), Kafka().partitions)
    neighbour = next(
        one for one in iter(lambda: StreamId(uuid4()), None)
        if partition_of(str(one).encode(), Kafka().partitions) == number
    )  # fmt: skip
    other = create(parts, neighbour)
    show(parts, STREAM, 0, ts_ms=1)
    show(parts, STREAM, 1, ts_ms=2)
    show(parts, neighbour, 0, ts_ms=3)

    async def test() -> None:
        watches = Watches(settings, parts.tails, linger_s=0)
        first = await watches.view(row, Wish())
        got = await first.next(0)
        assert got is not None
        assert got.ts_ms == 2, "only the newest of what was there before"
        second = await watches.view(other, Wish())
        got = await second.next(0)
        assert got is not None
        assert got.ts_ms == 3
        follow(parts, 1)
        third = await watches.view(row, DRAWN)
        got = await third.next(WAIT_S)
        assert got is not None
        assert got.ts_ms == 2
        assert len(parts.tails.opened) == 1

    run(test)


def test_a_run_that_begins_makes_what_was_before_old(settings: Settings, parts: Parts) -> None:
    row = create(parts)
    show(parts, STREAM, 0)
    parts.tails.say(TOPICS.frames_live, STREAM, encode_frame(RunBegin(STREAM, row.spec.run, row.spec, VIDEO)))

    async def test() -> None:
        viewer = await Watches(settings, parts.tails, linger_s=0).view(row, Wish())
        assert await viewer.next(0) is None

    run(test)


def test_a_frame_that_cannot_be_shown_is_passed_over(settings: Settings, parts: Parts) -> None:
    row = create(parts)

    async def test() -> None:
        viewer = await Watches(settings, parts.tails, linger_s=0).view(row, SMALL)
        before = counted("unreadable")
        parts.tails.say(TOPICS.frames_live, STREAM, b"no message")
        parts.tails.say(TOPICS.frames_live, STREAM, encode_frame(frame(StreamId(UUID(int=7)), 0)))
        show(parts, STREAM, 1, jpeg=b"no jpeg")
        assert await viewer.next(0.01) is None
        await until(lambda: counted("unreadable") - before == 3)
        show(parts, STREAM, 2, ts_ms=5)
        got = await viewer.next(WAIT_S)
        assert got is not None
        assert got.ts_ms == 5

    run(test)


def test_there_is_room_for_so_many(settings: Settings, parts: Parts) -> None:
    row, other = create(parts), create(parts, StreamId(uuid4()))

    async def test() -> None:
        watches = Watches(limited(settings, viewers=2, viewers_per_stream=1), parts.tails, linger_s=0)
        first = await watches.view(row, Wish())
        with pytest.raises(Busy, match="this stream"):
            await watches.view(row, SMALL)
        second = await watches.view(other, Wish())
        with pytest.raises(Busy, match="2 viewers"):
            await watches.view(create(parts, StreamId(uuid4())), Wish())
        first.close()
        assert await watches.view(row, SMALL)
        second.close()

    run(test)


def test_a_broker_that_is_down_takes_no_room(settings: Settings, parts: Parts) -> None:
    row = create(parts)

    async def test() -> None:
        watches = Watches(limited(settings, viewers=1), parts.tails, linger_s=0)
        parts.tails.down = True
        for _ in range(3):
            with pytest.raises(BrokerUnavailable):
                await watches.view(row, Wish())
        parts.tails.down = False
        show(parts, STREAM)
        assert await (await watches.view(row, Wish())).next(WAIT_S) is not None

    run(test)


def test_when_the_reader_ends_so_do_its_viewers_and_the_next_begins_another(settings: Settings, parts: Parts) -> None:
    row = create(parts)

    async def test() -> None:
        watches = Watches(settings, parts.tails, linger_s=0)
        viewer = await watches.view(row, Wish())
        waiting = asyncio.create_task(viewer.next(WAIT_S))
        await asyncio.sleep(0)
        parts.tails.fail()
        assert await waiting is None
        assert viewer.closed
        show(parts, STREAM)
        again = await watches.view(row, Wish())
        assert await again.next(WAIT_S) is not None
        assert len(parts.tails.opened) == 2

    run(test)


def test_a_reader_lingers_for_whoever_comes_back(settings: Settings, parts: Parts) -> None:
    row = create(parts)
    show(parts, STREAM)

    async def test() -> None:
        watches = Watches(settings, parts.tails, linger_s=1000)
        for _ in range(3):
            viewer = await watches.view(row, Wish())
            assert await viewer.next(0) is not None
            viewer.close()
        assert len(parts.tails.opened) == len(parts.tails.running) == 1

    run(test)
