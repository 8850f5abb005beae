"""The load: tasks on the batch lane, files at their own pace on the live lane, submitted and waited for as users do."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx

from core.ids import StreamId

T = TypeVar("T")
PATIENCE_S = 300.0
RECHECK_S = 1.0
"""A gate lets a frame through so often, whatever moves: the suite sees by them that the line works again."""
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Clip:
    """A video and how it is analysed.

    Attributes:
        file: below the folder of test data; or a camera's address.
        fps: 0: every frame.
        parameters: of `object_detection`.
        seconds: how long it plays once, or a camera is watched; 0 where nobody asks.
        times: played so often in a row, as one file.
        min_area: share of the picture that must have changed for the motion gate to open; None: there is no gate.
    """

    file: str
    fps: float = 0.0
    parameters: tuple[tuple[str, Any], ...] = ()
    analytics: tuple[str, ...] = ("object_detection",)
    seconds: float = 0.0
    times: int = 1
    min_area: float | None = None

    @property
    def endless(self) -> bool:
        """Whether it is a camera, which goes on until it is stopped."""
        return "://" in self.file

    @property
    def lasts_s(self) -> float:
        """How long it plays."""
        return self.seconds * self.times

    @property
    def name(self) -> str:
        """Shown in reports."""
        return Path(self.file).stem

    def task(self, url: str) -> dict[str, Any]:
        """Body of ``POST /1/videosdk``."""
        return {
            "deferred_task": {"enable": 1},
            "video": {"url": url, "fps": self.fps},
            "analytics": [
                {"analytic_name": name, "parameters": {"parameters": self._of(name)}} for name in self.analytics
            ],
        }

    def stream(self, url: str) -> dict[str, Any]:
        """Body of ``POST /query/v1/streams``."""
        return {
            "url": url,
            "name": self.name,
            "fps": self.fps,
            "realtime": True,
            "gate": False if self.min_area is None else {"min_area": self.min_area, "recheck_s": RECHECK_S},
            "analytics": [{"name": name, "parameters": self._of(name)} for name in self.analytics],
        }

    def _of(self, analytic: str) -> dict[str, Any]:
        return dict(self.parameters) if analytic == "object_detection" else {}


ANY = (("labels", "any"),)
CARS = "data/videos/intel/car-detection.mp4"
TASKS = (
    Clip(CARS, parameters=ANY),
    Clip("data/videos/intel/preview/person-bicycle-car-detection.gif"),
    Clip("data/videos/intel/preview/worker-zone-detection.gif", analytics=("object_detection", "people_count")),
)
STREAMS = (
    Clip(CARS, fps=5.0, parameters=ANY, seconds=30.2),
    Clip("data/videos/intel/bottle-detection.mp4", fps=5.0, parameters=ANY, seconds=39.8),
    Clip("data/videos/iscc/demo.mkv", fps=5.0, parameters=ANY, seconds=60.1),
)
LONG_STREAMS = tuple(replace(clip, fps=2.0, times=times) for clip, times in zip(STREAMS, (12, 9, 6), strict=True))
"""For some six minutes, so that a round has many faults, and at a third of what two cores can do: what an outage has
held up is caught up with in what is left above the streams themselves, beside the tasks and the suite."""
WATCHED_S = 360.0
"""For as long as they play, a camera."""


def camera(url: str, seconds: float) -> Clip:
    """A camera that shows cars, watched for so long; its gate opens for those that are near."""
    return Clip(url, fps=2.0, parameters=ANY, seconds=seconds, min_area=0.05)


def played(file: Path, times: int, folder: Path) -> Path:
    """The video so often in a row, its packets as they are."""
    target = folder / file.name
    command = ["ffmpeg", "-nostdin", "-v", "error", "-stream_loop", str(times - 1), "-i", str(file), "-c", "copy"]
    subprocess.run([*command, "-an", str(target)], check=True)
    return target


class Service:
    """The query service, asked again while it does not answer."""

    def __init__(self, url: str, shared: Path) -> None:
        self._http = httpx.Client(base_url=url, timeout=20.0, trust_env=False)
        self._shared = shared

    def upload(self, clip: Clip) -> str:
        """The video's address; it goes with the task or stream that used it."""
        file = self._shared / clip.file
        with tempfile.TemporaryDirectory() as folder:
            content = (file if clip.times == 1 else played(file, clip.times, Path(folder))).read_bytes()
        headers = {"Content-Type": "application/octet-stream"}
        send = partial(
            self._http.post, "/query/v1/videos", params={"name": file.name}, content=content, headers=headers
        )
        url: str = self._insist(send).json()["url"]
        return url

    def submit(self, clip: Clip) -> StreamId:
        """Begin a task."""
        answer = self._insist(partial(self._http.post, "/1/videosdk", json=clip.task(self.upload(clip))))
        return StreamId(UUID(answer.json()["task_id"]))

    def watch(self, clip: Clip) -> StreamId:
        """Begin a stream."""
        url = clip.file if clip.endless else self.upload(clip)
        answer = self._insist(partial(self._http.post, "/query/v1/streams", json=clip.stream(url)))
        return StreamId(UUID(answer.json()["stream_id"]))

    def stop(self, stream: StreamId) -> None:
        """End a stream's run; what it left stays."""
        self._insist(partial(self._http.patch, f"/2/streams/{stream}", params={"action": "stop"}))

    def task(self, task: StreamId) -> dict[str, Any]:
        """How far it is."""
        found: dict[str, Any] = self._insist(lambda: self._http.get(f"/query/v1/tasks/{task}")).json()
        return found

    def ledgers(self, streams: Sequence[StreamId]) -> list[dict[str, Any]]:
        """The ledger of every run of these."""
        params = {"stream_ids": ",".join(map(str, streams)), "limit": "200"}
        found: list[dict[str, Any]] = self._insist(lambda: self._http.get("/query/v1/ledger", params=params)).json()[
            "items"
        ]
        return found

    def forget(self, tasks: Sequence[StreamId], streams: Sequence[StreamId]) -> None:
        """Delete them and what they left."""
        for kind, ids in (("tasks", tasks), ("streams", streams)):
            for each in ids:
                self._insist(partial(self._http.delete, f"/query/v1/{kind}/{each}"), (404,))

    def alive(self) -> bool:
        """Whether it answers now."""
        try:
            return self._http.get("/ready", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _insist(self, send: Callable[[], httpx.Response], fine: tuple[int, ...] = ()) -> httpx.Response:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = send()
                if answer.is_success or answer.status_code in fine:
                    return answer
                said = f"{answer.status_code} {answer.text[:300]}"
                if not answer.is_server_error:
                    raise AssertionError(said)
            except httpx.HTTPError as error:
                said = repr(error)
            assert time.monotonic() < until, f"the query service does not answer for {PATIENCE_S:.0f} s: {said}"
            time.sleep(POLL_S)


def until(done: Callable[[], T | None], what: str, seconds: float = PATIENCE_S) -> T:
    """The first answer that is not None or False."""
    end = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(POLL_S)
