"""Signed tokens, for where a browser cannot send a header: short-lived, and for one stream each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from core.clock import Clock, wall_clock
from core.ids import StreamId
from warehouse.control import ControlStore
from warehouse.control.rows import SigningKey

SCOPE: Final = "watch"
_TOKEN = re.compile(r"w1\.(?P<key>[0-9]{1,9})\.(?P<expires>[0-9]{1,12})\.(?P<signature>[A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Signed:
    """A token.

    Attributes:
        expires_s: seconds since the epoch, from which on it is good no more.
    """

    token: str
    expires_s: int


class Signing:
    """Makes tokens and checks them, with the secret that all workers share; blocking.

    Args:
        ttl_s: how long a token is good.
    """

    def __init__(self, control: ControlStore, ttl_s: float, clock: Clock = wall_clock) -> None:
        self._control = control
        self._ttl_s = ttl_s
        self._clock = clock
        self._keys: tuple[SigningKey, ...] = ()

    def sign(self, stream_id: StreamId) -> Signed:
        """A token with which this stream can be watched for a while. Raises StoreUnavailable."""
        key = self._known()[0]
        expires = int(self._clock() + self._ttl_s)
        signature = base64.urlsafe_b64encode(_signature(key, stream_id, expires)).rstrip(b"=").decode()
        return Signed(f"w1.{key.key_id}.{expires}.{signature}", expires)

    def verify(self, token: str, stream_id: StreamId) -> bool:
        """Whether it was made here, for watching this stream, and is still good. Raises StoreUnavailable."""
        found = _TOKEN.fullmatch(token)
        if found is None or int(found["expires"]) <= self._clock():
            return False
        key = self._key(int(found["key"]))
        if key is None:
            return False
        given = base64.urlsafe_b64decode(found["signature"] + "=")
        return hmac.compare_digest(given, _signature(key, stream_id, int(found["expires"])))

    def _key(self, key_id: int) -> SigningKey | None:
        return next((key for key in self._known() if key.key_id == key_id), None)

    def _known(self) -> tuple[SigningKey, ...]:
        if not self._keys:
            self._keys = self._control.signing_keys()
        return self._keys


def _signature(key: SigningKey, stream_id: StreamId, expires: int) -> bytes:
    """Of everything that the token stands for, its key's number too."""
    said = f"{stream_id}\n{SCOPE}\n{expires}\n{key.key_id}"
    return hmac.new(key.secret, said.encode(), hashlib.sha256).digest()
