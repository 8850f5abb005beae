"""The door through which FFmpeg reaches a camera that speaks no HTTP, and nothing else.

FFmpeg resolves names again, and a name may answer differently a moment later. So it is given an address
of this machine, behind which is a connection of ours to an address that was checked, TLS included.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ingest.rtsp_guard import Refused, RtspGuard

CHUNK = 256 * 1024
CLOSED = "it has closed the connection"
LOOK_S = 0.5
HERE: dict[int, str] = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@dataclass(frozen=True, slots=True)
class Target:
    """A camera's end of the connection.

    Attributes:
        addresses: all of which were checked; the first that answers is taken.
        name: as it stands in the URL, for TLS.
    """

    addresses: tuple[str, ...]
    port: int
    name: str
    tls: bool = False


def dial(target: Target, timeout_s: float) -> socket.socket:
    """Connect within `timeout_s` altogether. Raises OSError."""
    until = time.monotonic() + timeout_s
    failure: OSError = OSError("no address")
    for address in target.addresses:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            connection = socket.create_connection((address, target.port), left)
        except OSError as error:
            failure = error
            continue
        try:
            return _secured(connection, target.name) if target.tls else connection
        except OSError as error:
            connection.close()
            failure = error
    raise failure


def _secured(connection: socket.socket, name: str) -> socket.socket:
    # cameras sign their own certificates: what is kept from others is what can be had
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=name)


class Relay:
    """Listens on this machine's loopback and passes bytes between FFmpeg and one camera.

    Args:
        guarded: for RTSP: its answers are looked at on their way.
        silence_s: the connection is given up when the camera sends nothing for so long...
        quiet: ...unless it plays and its pictures come on another way.

    Attributes:
        failure: why the camera's connection ended; None while it lasts, and where FFmpeg has ended it.
    """

    def __init__(
        self, target: Target, connect_s: float, silence_s: float, *, guarded: bool = False, quiet: bool = False
    ) -> None:
        """Connect, and listen for FFmpeg. Raises OSError."""
        self.failure: str | None = None
        self._connect: Callable[[], socket.socket] = lambda: dial(target, connect_s)
        self._silence_s = silence_s
        self._guarded = guarded
        self._quiet = quiet
        self._guard: RtspGuard | None = None
        camera = self._connect()
        self._family = camera.family
        try:
            self._listener = socket.create_server((HERE[self._family], 0), family=self._family)
        except OSError:
            camera.close()
            raise
        self._end, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._run, args=(camera,), name="relay", daemon=True)
        self._thread.start()

    @property
    def netloc(self) -> str:
        """Host and port for FFmpeg."""
        host, port = self._listener.getsockname()[:2]
        return f"[{host}]:{port}" if self._family == socket.AF_INET6 else f"{host}:{port}"

    @property
    def redirect(self) -> str | None:
        """Where the camera sends its viewers instead."""
        return None if self._guard is None else self._guard.redirect

    def close(self) -> None:
        """End it; FFmpeg's end is closed before."""
        self._end.close()
        self._thread.join()

    def _run(self, camera: socket.socket) -> None:
        """One connection after the other: FFmpeg makes a second one to sign in to an RTMP server."""
        waiting: socket.socket | None = camera
        try:
            while (ours := self._accepted()) is not None:
                with ours:
                    try:
                        theirs, waiting = waiting or self._connect(), None
                    except OSError as error:
                        self.failure = f"it cannot be connected to again: {error}"
                        continue
                    with theirs:
                        self.failure = self._passed(ours, theirs)
        finally:
            if waiting is not None:
                waiting.close()
            self._listener.close()
            self._ended.close()

    def _accepted(self) -> socket.socket | None:
        """FFmpeg's next connection; None at the end."""
        ready, _, _ = select.select([self._listener, self._ended], [], [])
        return None if self._ended in ready else self._listener.accept()[0]

    def _passed(self, ours: socket.socket, theirs: socket.socket) -> str | None:
        """Pass bytes to the end; why the camera's came, None where it was ours."""
        self._guard = None
        heard = time.monotonic()
        try:
            if self._guarded:
                self._guard = RtspGuard(theirs.getpeername()[0])
            while True:
                ready = self._ready(ours, theirs)
                if self._ended in ready or (ours in ready and not self._asked(ours, theirs)):
                    return None
                data = _come(theirs) if theirs in ready else None
                if data == b"":
                    return CLOSED
                if data:
                    heard = time.monotonic()
                    if not _told(ours, data if self._guard is None else self._guard.answered(data)):
                        return None
                elif time.monotonic() - heard > self._silence_s and not self._silent_by_right:
                    return f"it has sent nothing for {self._silence_s:.0f} s"
        except Refused as refusal:
            return str(refusal)
        except OSError as error:
            return f"the connection broke off: {error}"

    def _ready(self, ours: socket.socket, theirs: socket.socket) -> list[socket.socket]:
        if isinstance(theirs, ssl.SSLSocket) and theirs.pending():
            return [theirs]
        return select.select([ours, theirs, self._ended], [], [], LOOK_S)[0]

    def _asked(self, ours: socket.socket, theirs: socket.socket) -> bool:
        """Pass on what FFmpeg has sent; False when it has closed its end. Raises OSError."""
        try:
            data = ours.recv(CHUNK)
        except OSError:
            return False
        if not data:
            return False
        if self._guard is not None:
            self._guard.asked(data)
        theirs.settimeout(self._silence_s)
        theirs.sendall(data)
        return True

    @property
    def _silent_by_right(self) -> bool:
        return self._quiet and self._guard is not None and self._guard.playing


def _come(theirs: socket.socket) -> bytes | None:
    """What the camera has sent, empty at its end; None for what is the connection's own business. Raises OSError."""
    theirs.settimeout(0.0)
    try:
        return theirs.recv(CHUNK)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


def _told(ours: socket.socket, data: bytes) -> bool:
    """Hand `data` to FFmpeg; False when it has closed its end."""
    try:
        ours.sendall(data)
    except OSError:
        return False
    return True
