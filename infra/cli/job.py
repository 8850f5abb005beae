"""One video through the stack: uploaded, submitted, waited for, fetched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from core.analytics import REGISTRY
from core.errors import ClientError, InvalidInput, UnsupportedMedia
from infra.cli.exits import StackDown
from infra.cli.progress import Meter, meter, time_left
from infra.cli.query_service import QueryService, Refused, TaskProgress

POLL_S = 0.4
PATIENCE_S = 60.0
MEGABYTE = 1_000_000


class TaskEnded(ClientError):
    """The task ended without a result."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be done with a video.

    Attributes:
        fps: frames a second to analyse; 0: every frame.
        labels: to follow; empty: all of the model's; ``("any",)``: whatever the label.
        model: detector's name; None: the service's.
    """

    fps: float = 10.0
    analytics: tuple[str, ...] = ("object_detection",)
    labels: tuple[str, ...] = ()
    model: str | None = None

    def __post_init__(self) -> None:
        for name in self.analytics:
            if name not in REGISTRY:
                raise InvalidInput(f"there is no analytic {name!r}; there are {', '.join(REGISTRY)}")
        if self.labels and not any(_takes_labels(name) for name in self.analytics):
            raise InvalidInput(f"--labels means nothing to {', '.join(self.analytics)}")

    def request(self, url: str) -> dict[str, Any]:
        """Body of ``POST /1/videosdk``."""
        labels: str | list[str] = "any" if self.labels == ("any",) else list(self.labels)
        body: dict[str, Any] = {
            "deferred_task": {"enable": 1},
            "video": {"url": url, "fps": self.fps},
            "analytics": [
                {
                    "analytic_name": name,
                    "parameters": {"parameters": {"labels": labels} if labels and _takes_labels(name) else {}},
                }
                for name in self.analytics
            ],
        }
        return body if self.model is None else {**body, "model": self.model}


class Job:
    """Runs videos through one query service.

    Args:
        console: where progress is shown.
        pause, clock: seconds to wait, and a clock of seconds.
    """

    def __init__(
        self,
        service: QueryService,
        console: Console,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._console = console
        self._pause = pause
        self._clock = clock

    def run(self, file: Path, options: Options, *, keep: bool = True) -> bytes:
        """The task's result as JSON; Ctrl-C cancels the task.

        Args:
            keep: False: the task is removed, with all that it left, however it ends.

        Raises:
            UnsupportedMedia, TaskEnded, Refused: there is no result, and why.
            StackDown: the service does not answer, for longer than a restart takes.
        """
        url = self._upload(file)
        task = self._service.submit(options.request(url))
        try:
            self._watch(task, f"Analysing {file.name}")
            return self._service.result(task)
        finally:
            if not keep:
                self._remove(task)

    def _upload(self, file: Path) -> str:
        size = file.stat().st_size
        if not size:
            raise UnsupportedMedia(f"{file.name} is empty")
        with meter(self._console, f"Uploading {file.name}") as shown:
            return self._service.upload(
                file, lambda sent: shown.show(sent / size, f"{sent / MEGABYTE:.1f} of {size / MEGABYTE:.1f} MB")
            ).url

    def _watch(self, task: str, title: str) -> None:
        try:
            with meter(self._console, title) as shown:
                self._wait(task, shown)
        except KeyboardInterrupt:
            self._cancel(task)
            raise

    def _wait(self, task: str, shown: Meter) -> None:
        heard_at = self._clock()
        while True:
            try:
                progress = self._service.task(task)
                heard_at = self._clock()
            except StackDown as error:
                if self._clock() - heard_at > PATIENCE_S:
                    raise StackDown(f"{error}; task {task} goes on where it stopped when the stack is up") from error
            else:
                shown.show(progress.progress, describe(progress))
                if progress.state == "done":
                    return
                if progress.state in {"failed", "cancelled"}:
                    raise TaskEnded(f"{progress.error or 'the task was ' + progress.state} (task {task})")
            self._pause(POLL_S)

    def _remove(self, task: str) -> None:
        try:
            self._service.remove_task(task)
        except (Refused, StackDown) as error:
            self._console.print(f"Task {task} could not be removed: {error}", markup=False)

    def _cancel(self, task: str) -> None:
        try:
            self._service.cancel(task)
        except (Refused, StackDown) as error:
            self._console.print(f"Task {task} could not be cancelled: {error}", markup=False)
        else:
            self._console.print(f"Task {task} is cancelled", markup=False)


def describe(progress: TaskProgress) -> str:
    """Frames done, frames/s and time left."""
    parts = [f"{progress.ledger.processed} frames done", f"{progress.frames_per_s:.1f} frames/s"]
    if progress.state == "pending":
        parts = ["waiting for a reader"]
    elif progress.state == "collecting":
        parts.append("storing")
    elif progress.state != "done":
        parts.append(time_left(progress.eta_s))
    return ", ".join(filter(None, parts))


def words(text: str | None) -> tuple[str, ...]:
    """The words of a list with commas."""
    return tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))


def _takes_labels(analytic: str) -> bool:
    return "labels" in REGISTRY[analytic].parameters.get("properties", {})
