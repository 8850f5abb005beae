"""A stream's event channel, read as any client reads it."""

from __future__ import annotations

import json
import threading
import time
from types import TracebackType

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.follow import Phase
from core.ids import StreamId, engine_stream_id

MOST_BYTES = 2**24


class EventSocket:
    """Reads within the block.

    Attributes:
        told: when each phase of an event was received, milliseconds of the wall clock.
    """

    def __init__(self, port: int, stream: StreamId) -> None:
        self.told: dict[Phase, int] = {}
        address = f"ws://127.0.0.1:{port}/event_channel/0/{engine_stream_id(stream)}"
        self._socket = connect(address, proxy=None, max_size=MOST_BYTES)
        self._reading = threading.Thread(target=self._read, name="event socket", daemon=True)

    def __enter__(self) -> EventSocket:
        self._reading.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._reading.join()

    def _read(self) -> None:
        while True:
            try:
                text = self._socket.recv()
            except ConnectionClosed:
                return
            at = round(time.time() * 1000)
            data = json.loads(text)["pipeline_data"]
            self.told.setdefault((data["event_id"], data["number"]), at)
