"""Which cameras at this machine's own sockets may be read: those that `ingest.devices` names.

``v4l2:/dev/video0`` names a device file (a link such as ``/dev/v4l/by-id/...`` too), ``usb:0`` the same by its number.
What is asked of the camera may follow: ``v4l2:/dev/video0?video_size=1280x720&framerate=15&input_format=mjpeg``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote

from core.errors import Forbidden, InvalidInput
from core.settings import Settings

OPTIONS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "video_size": re.compile(r"\d{2,5}x\d{2,5}"),
        "framerate": re.compile(r"\d{1,4}(\.\d{1,3})?"),
        "input_format": re.compile(r"[a-z0-9_]{1,32}"),
    }
)
"""What may be asked of a camera, as FFmpeg names it."""


@dataclass(frozen=True, slots=True)
class Device:
    """A camera's device file, and what is asked of it."""

    path: Path
    options: Mapping[str, str]


def is_device(url: str) -> bool:
    """Whether `url` names a camera at this machine."""
    return url.partition(":")[0].lower() in {"v4l2", "usb"}


def device(url: str, settings: Settings) -> Device:
    """The camera that ``v4l2:`` or ``usb:`` names; whether it is there is not looked at.

    Raises:
        InvalidInput: it names none, or asks what cannot be asked.
        Forbidden: the setting does not name it.
    """
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    path = _numbered(place) if scheme.lower() == "usb" else _named(place)
    # a link is what it leads to, and what a name leads to may change
    allowed = {os.path.realpath(each) for each in settings.ingest.devices}
    if os.path.realpath(path) not in allowed:
        raise Forbidden(f"{path} is no camera that may be read (ingest.devices)")
    return Device(path, _options(query))


def _numbered(place: str) -> Path:
    if not (place.isascii() and place.isdecimal() and len(place) <= 3):
        raise InvalidInput("a USB camera is named by its number, such as usb:0", "url")
    return Path(f"/dev/video{int(place)}")


def _named(place: str) -> Path:
    path = Path(unquote(place.removeprefix("//")))
    if "\0" in str(path) or not path.is_absolute():
        raise InvalidInput("a V4L2 address names a device file, such as v4l2:/dev/video0", "url")
    return path


def _options(query: str) -> dict[str, str]:
    try:
        asked = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise InvalidInput(f"what is asked of a camera is not readable: {error}", "url") from error
    for name, value in asked.items():
        if name not in OPTIONS or not OPTIONS[name].fullmatch(value):
            raise InvalidInput(f"{name}={value!r:.40} cannot be asked of a camera; {', '.join(OPTIONS)} can", "url")
    return asked
