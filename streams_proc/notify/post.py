"""http callbacks: a signed POST, and what its answer means."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from core.clock import Clock, wall_clock
from core.errors import Forbidden, InvalidInput
from core.pinned import Answer, PinnedHttp
from core.profile import HttpCallback
from streams_proc.notify.failures import Refused, Unreachable
from streams_proc.notify.notices import Notice

SIGNATURE = "Sightline-Signature"
AGENT = "sightline"
LATER = frozenset({408, 425, 429})
"""Client errors that may pass; every other one is the receiver's last word."""


class Post:
    """Makes http callbacks."""

    def __init__(self, http: PinnedHttp, clock: Clock = wall_clock) -> None:
        self._http = http
        self._clock = clock

    async def send(self, callback: HttpCallback, notice: Notice, timeout_s: float) -> None:
        """POST the notice's body. Raises Unreachable, Refused."""
        body = _encoded(notice, callback.content_type)
        own_agent = any(name.lower() == "user-agent" for name in callback.headers)
        headers = {
            **({} if own_agent else {"User-Agent": AGENT}),
            **callback.headers,
            "Content-Type": callback.content_type,
            "Ce-Id": notice.ce_id,
        }
        if callback.authorization is not None:
            pair = f"{callback.authorization.login}:{callback.authorization.password}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        if callback.secret:
            headers[SIGNATURE] = signature(callback.secret, body, self._clock())
        await ask(self._http, callback.url, body, headers, timeout_s, clock=self._clock)


def _encoded(notice: Notice, content_type: str) -> bytes:
    if content_type == "application/json":
        return msgspec.json.encode(notice.body)
    try:
        return msgspec.msgpack.encode(notice.body)
    except OverflowError as error:  # JSON's integers have no end
        raise Refused("request", f"MessagePack cannot hold it: {error}") from error


def signature(secret: str, body: bytes, now_s: float) -> str:
    """``t=<unix seconds>,v1=<hex>``: HMAC-SHA256, under `secret`, of the seconds, a point, and the body.

    >>> signature("key", b"{}", 1767225600.5)[:13]
    't=1767225600,'
    """
    seconds = str(int(now_s))
    signed = hmac.new(secret.encode(), seconds.encode() + b"." + body, hashlib.sha256)
    return f"t={seconds},v1={signed.hexdigest()}"


async def ask(
    http: PinnedHttp, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float, *, clock: Clock = wall_clock
) -> None:
    """POST, until it is known that it was taken. Raises Unreachable, Refused.

    Nothing of the URL is in what is raised: it may hold a secret.
    """
    try:
        answer = await http.post(url, body, headers, timeout_s)
    except Forbidden as error:
        raise Refused("address", str(error)) from error
    except InvalidInput as error:
        raise Unreachable("no_address", str(error)) from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise Unreachable("timeout", f"no answer within {timeout_s:.3g} s") from error
    except (httpx.HTTPError, OSError) as error:
        raise Unreachable("unreachable", f"{type(error).__name__}: {error}") from error
    except ValueError as error:  # such as a host that no protocol can carry
        raise Refused("request", f"{type(error).__name__}: {error}") from error
    judge(answer, clock)


def judge(answer: Answer, clock: Clock = wall_clock) -> None:
    """Return when a status says that the request was taken. Raises Unreachable, Refused."""
    status = answer.status
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise Refused("redirect", f"it answers {status}, and redirects are not followed")
    after_s = _seconds(answer.retry_after, clock)
    if status in LATER:
        raise Unreachable("too_many" if status == 429 else "timeout", f"it answers {status}", after_s)
    if status >= 500:
        raise Unreachable("server_error", f"it answers {status}", after_s)
    raise Refused("client_error", f"it answers {status}")


def _seconds(retry_after: str, clock: Clock) -> float:
    """Of ``Retry-After``, which is a number of seconds or a date; 0 for neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), 10**8))
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock())
    except (ValueError, TypeError, OverflowError):
        return 0.0
