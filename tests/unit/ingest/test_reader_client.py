"""A reader's own producer."""

from __future__ import annotations

from typing import Any

import pytest
from ingest_fakes import FakeClock, spec

from core.settings import Settings
from ingest import reader
from ingest.control import Control
from ingest.protocol import Start


def test_a_readers_producer_gives_no_frame_up_and_sends_none_behind_one_that_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(reader.clients, "producer", lambda *_, **more: made.append(more))
    reader.Reader(Start(spec(), 0, "host", {}), Settings(), Control(FakeClock()))
    (settings,) = made
    assert settings["delivery.timeout.ms"] == 0, "a frame that is given up is a hole, because the next arrives"
    assert settings["enable.gapless.guarantee"] is True
    assert settings["queue.buffering.max.kbytes"] <= 32 * 1024
