"""decord reads what it counts as the packets show, and what could stand decoded in memory."""

from __future__ import annotations

from array import array
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ingest_fakes import FakeSource

from ingest import decode_decord
from ingest.probe import Probe

PACKETS = 10


class FakeReader:
    def __init__(self, frames: int) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return self._frames


def opened(monkeypatch: pytest.MonkeyPatch, frames: int, **more: Any) -> Any:
    fake = SimpleNamespace(VideoReader=lambda *_, **__: FakeReader(frames), cpu=lambda _: None)
    monkeypatch.setattr(decode_decord, "decord", fake)
    probe: Probe = replace(FakeSource().probe, times=array("q", range(PACKETS)), pixels="yuv420p", codec="h264", **more)
    return decode_decord.open_checked("clip.mp4", probe)


@pytest.mark.parametrize("frames", [0, 5, PACKETS - 1, PACKETS + 1, 12])
def test_a_file_that_decord_counts_otherwise_is_not_its_to_read(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    assert opened(monkeypatch, frames) is None


def test_a_file_that_decord_counts_as_its_packets_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(monkeypatch, PACKETS) is not None


def test_a_file_that_decord_could_decode_ahead_beyond_bounds_is_not_its_to_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coded = FakeSource().probe.coded
    whole = 3 * coded.width * coded.height * PACKETS
    monkeypatch.setattr(decode_decord, "MOST_DECODED", whole)
    assert opened(monkeypatch, PACKETS) is not None
    monkeypatch.setattr(decode_decord, "MOST_DECODED", whole - 1)
    assert opened(monkeypatch, PACKETS) is None
