"""What of a camera's RTSP answers reaches FFmpeg, up to the moment it plays.

FFmpeg follows a redirect to wherever it leads, and sends datagrams to whatever address an answer names
as its source. So answers are read here first and written anew: FFmpeg never sees a status of 3xx, nor
an address that was not checked. Once it has asked to play it does neither, and bytes pass as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_HEAD = 64 * 1024
MOST_BODY = 1024 * 1024
_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9_-]*):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
Field = tuple[bytes, bytes]


class Refused(Exception):
    """The camera's answer is not passed on."""


class RtspGuard:
    """One RTSP connection, seen from between its two ends.

    Args:
        peer: the address that was checked, to which datagrams may go.

    Attributes:
        playing: FFmpeg has asked for the pictures.
        redirect: where the camera would have FFmpeg go instead; it is for us to follow.
    """

    def __init__(self, peer: str) -> None:
        self.playing = False
        self.redirect: str | None = None
        self._peer = peer.partition("%")[0].encode()
        self._asked = b""
        self._come = b""

    def asked(self, data: bytes) -> None:
        """FFmpeg sends this; its requests have no bodies."""
        if self.playing:
            return
        *requests, self._asked = (self._asked + data).split(b"\r\n\r\n")
        self.playing = any(request.startswith(b"PLAY ") for request in requests)

    def answered(self, data: bytes) -> bytes:
        """What to pass on of what has come. Raises Refused."""
        if self.playing and not self._come:
            return data
        self._come += data
        if self.playing:
            data, self._come = self._come, b""
            return data
        return b"".join(self._answers())

    def _answers(self) -> Iterable[bytes]:
        """Whole answers among what has come, written anew; what is not whole waits."""
        while self._come:
            if self._come.startswith(b"$"):
                if not self._passed_over():
                    return
                continue
            end = _END.search(self._come)
            if end is None:
                if len(self._come) > MOST_HEAD:
                    raise Refused("it does not speak RTSP: an answer without an end")
                return
            first, *lines = self._come[: end.start()].replace(b"\r\n", b"\n").split(b"\n")
            status = _STATUS.fullmatch(first)
            if status is None:
                raise Refused("it does not speak RTSP")
            # whatever is no field to us could be one to FFmpeg, or end its line: it is left out
            fields = [(found[1], found[2].strip()) for line in lines if (found := _FIELD.fullmatch(line))]
            length = _length(fields)
            if len(self._come) < end.end() + length:
                return
            body = self._come[end.end() : end.end() + length]
            self._come = self._come[end.end() + length :]
            self._refuse_redirect(int(status[1]), fields)
            yield self._written(status, fields, body)

    def _passed_over(self) -> bool:
        """Take away data that came before it was asked for; False while it is not whole."""
        size = 4 + int.from_bytes(self._come[2:4], "big")
        if len(self._come) < max(4, size):
            return False
        self._come = self._come[size:]
        return True

    def _refuse_redirect(self, code: int, fields: list[Field]) -> None:
        if not 300 <= code < 400:
            return
        place = next((value for name, value in fields if name.lower() == b"location"), b"")
        self.redirect = place.decode("utf-8", "replace") or None
        raise Refused("it sends its viewers elsewhere" if place else f"it answers {code}, without an address")

    def _written(self, status: re.Match[bytes], fields: list[Field], body: bytes) -> bytes:
        lines = [b"RTSP/1.0 " + status[1] + b" " + (status[2] or b"")]
        for name, value in fields:
            match name.lower():
                case b"content-length" | b"location":
                    continue
                case b"transport":
                    lines.append(b"Transport: " + self._transport(value))
                case _:
                    lines.append(name + b": " + value)
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def _transport(self, value: bytes) -> bytes:
        """With the checked address as the source, which is that of the datagrams; FFmpeg answers to it."""
        kept = [
            part
            for part in value.partition(b",")[0].split(b";")
            if part.partition(b"=")[0].strip().lower() not in {b"source", b"destination"}
        ]
        return b";".join([*kept, b"source=" + self._peer])


def _length(fields: list[Field]) -> int:
    """Bytes of the body. Raises Refused."""
    said = [value for name, value in fields if name.lower() == b"content-length"]
    if not said:
        return 0
    if len(set(said)) > 1 or not said[0].isdigit() or len(said[0]) > 9 or int(said[0]) > MOST_BODY:
        raise Refused("it does not speak RTSP: an answer of no size, or of too large a one")
    return int(said[0])
