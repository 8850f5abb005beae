"""Bytes for people: as the message that they are, as JSON, else in hex."""

from __future__ import annotations

import msgspec

from core.errors import BadMessage
from core.messages import Frame, decode_frames

WIDTH = 16


def payload(value: bytes | None, most: int) -> str:
    """What a record holds.

    Args:
        most: bytes that are shown of what is neither a frame nor JSON.
    """
    if value is None:
        return "(no value)"
    return _frame(value) or _json(value) or hexdump(value, most)


def hexdump(value: bytes, most: int) -> str:
    """Offset, hex and text, sixteen bytes a line.

    >>> print(hexdump(b"sightline", 8))
    00000000  73 69 67 68 74 6c 69 6e                          sightlin
    ... 1 byte more
    """
    lines = []
    for at in range(0, min(most, len(value)), WIDTH):
        row = value[at : min(at + WIDTH, most)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:08x}  {row.hex(' '):{WIDTH * 3}} {text}")
    left = len(value) - most
    return "\n".join([*lines, f"... {left} byte{'s' if left > 1 else ''} more"] if left > 0 else lines)


def _frame(value: bytes) -> str:
    try:
        message = decode_frames(value)
    except BadMessage:
        return ""
    shown = msgspec.to_builtins(message)
    if isinstance(message, Frame):
        shown["jpeg"] = f"{len(message.jpeg)} bytes"
    return _pretty(shown)


def _json(value: bytes) -> str:
    try:
        return _pretty(msgspec.json.decode(value))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
