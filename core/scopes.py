"""What a token may allow: the words of the table of routes and of ``sightline token create --scope``.

Each stands for itself: `write` does not include `read`, and `admin` includes neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "read": "see what is kept: streams, tasks, events, pictures, ledgers, metrics",
        "write": "make, change and remove streams, tasks and uploads",
        "watch": "see live pictures, and hear events while they happen",
        "admin": "see and change how the service itself works",
    }
)
