"""Who may ask where no token is asked for: programs of this machine, and pages that the service itself has served.

The service then listens on loopback alone, so nobody else can connect to it. Three ways round that remain, and each
shows in the request's headers:

* a page of any site whose name is made to resolve to 127.0.0.1 (DNS rebinding): `Host` still has that name;
* a page of any site that sends a form, or opens a WebSocket, to 127.0.0.1 straight: `Origin` has the site's name, or
  `Sec-Fetch-Site` says so;
* a proxy on this machine that passes on what comes from elsewhere: it adds `X-Forwarded-For` or the like. Whoever
  means that names the host which the proxy serves in `query.allowed_hosts`, and has it ask who is there.

Headers are looked at to refuse, never to let in: no address in them is believed, and nothing is allowed because
of where a request says that it comes from. With `query.auth` none of this matters, since no browser and no proxy
adds a token by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address

from query_api.refusals import Misdirected, NotAllowed

Header = Callable[[str], str | None]
"""A request's header by its name."""
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
OWN_SITES = frozenset({"same-origin", "none"})
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<name>[^\s:/@\[\],]+))(?::[0-9]{0,5})?")
SETTING = "query.allowed_hosts"


class Local:
    """The rules, for these further names.

    Args:
        allowed_hosts: names, without ports, that a proxy or another way leads from to here.
        origins: of pages that may, wherever they come from; ``*``: all.
    """

    def __init__(self, allowed_hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origins)
        self._allowed = frozenset(name_of(name) for name in allowed_hosts) - {""}

    def check_host(self, header: Header) -> None:
        """Refuse who asks for another host than this one. Raises Misdirected."""
        host = header("Host")
        if host is not None:  # an HTTP/1.0 program has none; browsers always do
            name = name_of(host)
            if name not in self._allowed and not is_loopback(name):
                raise Misdirected(f"the service answers to 127.0.0.1, to localhost and to the names in {SETTING}")
        if any(header(name) is not None for name in FORWARDED):
            served = header("X-Forwarded-Host") or host or ""
            if not all(name_of(one) in self._allowed for one in served.split(",")):
                raise Misdirected(f"the request came through a proxy: name the host that it serves in {SETTING}")

    def check_page(self, header: Header) -> None:
        """Refuse what a page of another site sends; for requests that change something or open a channel.

        Raises:
            NotAllowed: the browser says that another site's page sends it.
        """
        origin = header("Origin")
        own = header("Sec-Fetch-Site") in {None, *OWN_SITES} if origin is None else self._is_own(origin, header("Host"))
        if not own:
            raise NotAllowed(f"a page of another site sends this: if it may, add its host to {SETTING}", "page")

    def _is_own(self, origin: str, host: str | None) -> bool:
        """Whether a page of this origin was served by this host, or by one that is allowed."""
        if self._origins & {origin, "*"}:
            return True
        authority = origin.partition("://")[2].lower()
        return bool(authority) and (authority == (host or "").lower() or name_of(authority) in self._allowed)


def name_of(authority: str) -> str:
    """The host of ``host``, ``host:port`` or ``[address]:port``, lower case; empty when it is none of these.

    >>> name_of("LocalHost.:4004"), name_of("[::1]:80"), name_of("a b")
    ('localhost', '::1', '')
    """
    found = _AUTHORITY.fullmatch(authority.strip())
    return "" if found is None else (found["six"] or found["name"]).removesuffix(".").lower()


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether a host's name or address is this machine's own, whatever a resolver says."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
