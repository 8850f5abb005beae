"""The query service as the command line uses it: upload, submit, watch, fetch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn, TypeVar
from uuid import UUID

import httpx
import msgspec
from msgspec import Struct
from pydantic import SecretStr

from core.errors import BadMessage, ClientError, InvalidInput
from core.settings import LOOPBACK, Query
from infra.cli.exits import StackDown

PIECE = 1024 * 1024
ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 addresses that a service listens on, not one to talk to
ATTEMPTS = 8
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
HOW_TO_ASK = "; `sightline token create` makes one, and SIGHTLINE_QUERY__TOKEN names the one that is sent"
T = TypeVar("T")
TaskState = Literal["pending", "in_progress", "collecting", "done", "failed", "cancelled"]


class Refused(ClientError):
    """The service refused a request; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Upload(Struct, frozen=True):
    """An uploaded video; `url` is what a task names."""

    video_id: str
    url: str
    complete: bool = False


class Submitted(Struct, frozen=True):
    """A task that was taken."""

    task_id: str


class Counts(Struct, frozen=True):
    """The part of a task's ledger that shows how far it is."""

    decoded: int = 0
    read: int = 0
    processed: int = 0


class TaskFacts(Struct, frozen=True):
    """What is known of the task's video."""

    frames: int | None = None


class TaskProgress(Struct, frozen=True):
    """How far a task is: `progress` 0..1 over all, frames analysed, and how fast."""

    state: TaskState
    progress: float = 0.0
    frames_per_s: float = 0.0
    eta_s: float | None = None
    error: str | None = None
    ledger: Counts = Counts()
    video: TaskFacts | None = None


class Stream(Struct, frozen=True):
    """A stream that is watched; secrets in `url` are masked."""

    stream_id: UUID
    name: str
    url: str
    state: str
    fps: float


class FlightPlaces(Struct, frozen=True):
    """Where a run's frames in flight are; all but `awaiting_analyse` sum to what is in flight."""

    ingest: int = 0
    detect: int = 0
    sink: int = 0
    missing: int = 0
    unlocated: int = 0
    awaiting_analyse: int | None = None


class RunLedger(Struct, frozen=True):
    """Where every frame of a run went, or is; `differences` says what does not sum."""

    stream_id: UUID
    run: int
    name: str
    state: str
    decoded: int
    sampled_out: int
    read: int
    processed: int
    gated: int
    dropped: dict[str, int]
    dead_lettered: int
    in_flight: int
    finished: bool = False
    imbalance: int = 0
    differences: tuple[str, ...] = ()
    places: FlightPlaces | None = None

    @property
    def drops(self) -> int:
        """Dropped frames, whatever the reason."""
        return sum(self.dropped.values())


class FramePlace(Struct, frozen=True):
    """A frame in flight, and its record where it is on Kafka."""

    seq: int
    place: str
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


class _Ledgers(Struct, frozen=True):
    items: tuple[RunLedger, ...]
    next_cursor: str | None = None


class _LedgerFrames(Struct, frozen=True):
    frames: tuple[FramePlace, ...]
    next_after: int | None = None


class _Streams(Struct, frozen=True):
    items: tuple[Stream, ...]
    next_cursor: str | None = None


class _Refusal(Struct, frozen=True):
    detail: str = ""
    title: str = ""
    desc: str = ""
    field: str = ""


Told = Callable[[int], None]


class QueryService:
    """A client of one query service.

    Args:
        base: its address.
        transport: another way to it, for tests.
        pause: waits so many seconds between attempts.
        token: sent with every request, unless it is empty.

    Raises (all methods):
        StackDown: nothing answers.
        Refused: the service says no, and why.
    """

    def __init__(
        self,
        base: str,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        token: SecretStr | None = None,
    ) -> None:
        self.base = base
        secret = token.get_secret_value().strip() if token is not None else ""
        if not (secret.isascii() and secret.isprintable()):
            raise InvalidInput("query.token has letters that no token has")
        self._http = httpx.Client(
            base_url=base,
            timeout=TIMEOUT,
            trust_env=False,
            transport=transport,
            headers={"Authorization": f"Bearer {secret}"} if secret else None,
        )
        self._pause = pause

    def check(self) -> None:
        """Make sure that somebody answers."""
        self._send("GET", "/health")

    def upload(self, path: Path, told: Told = lambda sent: None) -> Upload:
        """Send the file; a connection that breaks is taken up where the service stands.

        Args:
            told: hears how many bytes the service has been sent.
        """
        size = path.stat().st_size
        params = {"name": path.name[-255:], "partial": "true", "size": str(size)}
        made = _read(self._send("POST", "/query/v1/videos", params=params, content=b""), Upload)
        try:
            with path.open("rb") as file:
                self._send_rest(made.video_id, file, size, told)
        except BaseException:
            self._forget(made.video_id)
            raise
        return made

    def submit(self, request: Mapping[str, Any]) -> str:
        """Begin a deferred task; its id."""
        return _read(self._send("POST", "/1/videosdk", json=request), Submitted).task_id

    def task(self, task_id: str) -> TaskProgress:
        """How far a task is."""
        return _read(self._send("GET", f"/query/v1/tasks/{task_id}"), TaskProgress)

    def result(self, task_id: str) -> bytes:
        """Everything that a task found, as JSON."""
        return self._send("GET", f"/query/v1/tasks/{task_id}/result").content

    def cancel(self, task_id: str) -> None:
        """Stop a task."""
        self._send("POST", f"/query/v1/tasks/{task_id}/cancel")

    def remove_task(self, task_id: str) -> None:
        """Remove a task, all that it left, and its video unless another reads it."""
        self._send("DELETE", f"/query/v1/tasks/{task_id}")

    def picture(self, key: str) -> bytes | None:
        """A picture's bytes; None when it is not there."""
        try:
            return self._send("GET", f"/query/v1/media/{key}").content
        except Refused:
            return None

    def add_stream(self, request: Mapping[str, Any]) -> Stream:
        """Begin to watch a stream."""
        return _read(self._send("POST", "/query/v1/streams", json=request), Stream)

    def streams(self) -> Iterator[Stream]:
        """Every stream, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = _read(self._send("GET", "/query/v1/streams", params={"limit": "200", **cursor}), _Streams)
            yield from page.items
            if page.next_cursor is None:
                return
            cursor = {"cursor": page.next_cursor}

    def ledgers(self, stream_id: UUID | None = None, run: int | None = None) -> Iterator[RunLedger]:
        """Every run's ledger, page by page."""
        asked = {"limit": "200"}
        if stream_id is not None:
            asked["stream_ids"] = str(stream_id)
        if run is not None:
            asked["run"] = str(run)
        while True:
            page = _read(self._send("GET", "/query/v1/ledger", params=asked), _Ledgers)
            yield from page.items
            if page.next_cursor is None:
                return
            asked["cursor"] = page.next_cursor

    def frames_in_flight(self, stream_id: UUID, run: int | None = None) -> Iterator[FramePlace]:
        """A run's frames in flight, page by page; of the current run unless one is named."""
        asked = {"limit": "200"} if run is None else {"limit": "200", "run": str(run)}
        while True:
            page = _read(self._send("GET", f"/query/v1/ledger/{stream_id}", params=asked), _LedgerFrames)
            yield from page.frames
            if page.next_after is None:
                return
            asked["after"] = str(page.next_after)

    def remove_stream(self, stream_id: UUID) -> None:
        """Remove a stream and everything that it left."""
        self._send("DELETE", f"/query/v1/streams/{stream_id}")

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def _send_rest(self, video: str, file: BinaryIO, size: int, told: Told) -> None:
        offset = 0
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(min(8.0, 0.25 * 2**attempt))
                offset = self._received(video)
            if self._append(video, file, offset, size, told):
                return
        raise StackDown(f"the upload broke off {ATTEMPTS} times, at {offset} of {size} bytes")

    def _append(self, video: str, file: BinaryIO, offset: int, size: int, told: Told) -> bool:
        """Whether the service now has the whole file."""
        file.seek(offset)
        headers = {"Upload-Offset": str(offset), "Content-Length": str(size - offset)}
        headers["Content-Type"] = "application/offset+octet-stream"
        try:
            answer = self._http.patch(
                f"/query/v1/videos/{video}", headers=headers, content=_pieces(file, offset, size, told)
            )
        except httpx.TransportError:
            return False
        if answer.status_code == httpx.codes.CONFLICT:
            return self._whole(video)
        if answer.is_server_error and answer.status_code != httpx.codes.INSUFFICIENT_STORAGE:
            return False
        _check(answer)
        return True

    def _received(self, video: str) -> int:
        answer = self._send("HEAD", f"/query/v1/videos/{video}")
        try:
            return int(answer.headers["Upload-Offset"])
        except (KeyError, ValueError):
            raise BadMessage("the query service does not say how much of the upload it has") from None

    def _whole(self, video: str) -> bool:
        """Whether its bytes can be had, which they can once all are there."""
        try:
            return self._http.get(f"/query/v1/videos/{video}", headers={"Range": "bytes=0-0"}).is_success
        except httpx.TransportError:
            return False

    def _forget(self, video: str) -> None:
        try:
            self._http.delete(f"/query/v1/videos/{video}")
        except httpx.TransportError:
            return  # it expires by itself

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise StackDown(f"nothing answers at {self.base} ({error})") from error
        _check(answer)
        return answer


def service_of(query: Query) -> QueryService:
    """The query service of these settings, asked with their token."""
    return QueryService(address(query), token=query.token)


def address(query: Query) -> str:
    """Where the query service of these settings is."""
    host = LOOPBACK[0] if query.host in ANYWHERE else query.host
    return f"http://[{host}]:{query.port}" if ":" in host else f"http://{host}:{query.port}"


def _pieces(file: BinaryIO, offset: int, size: int, told: Told) -> Iterator[bytes]:
    told(offset)
    while offset < size:
        piece = file.read(min(PIECE, size - offset))
        if not piece:
            raise InvalidInput(f"the file became shorter while it was read: {offset} of {size} bytes")
        yield piece
        offset += len(piece)
        told(offset)


def _check(answer: httpx.Response) -> None:
    if answer.status_code in {httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT}:
        raise StackDown(f"the query service is not ready: {_reason(answer)}")
    if not answer.is_success:
        _refuse(answer)


def _refuse(answer: httpx.Response) -> NoReturn:
    hint = HOW_TO_ASK if answer.status_code == httpx.codes.UNAUTHORIZED else ""
    raise Refused(f"{_reason(answer)}{hint}", answer.status_code)


def _reason(answer: httpx.Response) -> str:
    try:
        said = msgspec.json.decode(answer.content, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"HTTP {answer.status_code}"
    text = said.detail or said.title or said.desc or f"HTTP {answer.status_code}"
    return f"{said.field}: {text}" if said.field else text


def _read(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"the query service's answer cannot be read: {error}") from error
