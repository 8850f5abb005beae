"""Whether a request may pass to its route: who sends it, by the token in its headers, and what that token allows."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qsl

import falcon.asgi
import msgspec

from core.settings import Query
from query_api.complaints import Complaints
from query_api.local import Header
from query_api.refusals import NotAllowed, Unauthenticated
from query_api.routes.route import ACCOUNT, Route
from query_api.services.access import Access

KEY_HEADER = "X-Api-Key"

ACCOUNT_PARAM = "account_id"
SIGNED_PARAM = "token"
HOW = "send `Authorization: Bearer TOKEN` or `X-Api-Key: KEY`"


class Guard:
    """Asks for tokens where the settings say so.

    A signed token, which stands for the header that a browser cannot send for a picture, a frame or a WebSocket, is
    let through to the resource, which knows the stream that it must be for.
    """

    def __init__(self, query: Query, access: Access, complaints: Complaints) -> None:
        self._auth = query.auth
        self._access = access
        self._complaints = complaints

    async def check(self, req: falcon.asgi.Request, route: Route) -> str:
        """Let a request pass, or refuse it.

        Returns:
            The query that is to be read: the request's own, within the account of a token that has one.

        Raises:
            Unauthenticated: without a token, or with none that is valid.
            NotAllowed: the token lacks the route's scope, or is another account's.
        """
        if not self._auth or route.scope is None:
            return req.query_string
        if route.signed and without_header(req) and req.get_param(SIGNED_PARAM):
            return req.query_string
        try:
            holder = await self._access.holder(secret_of(req.get_header))
            if route.scope not in holder.scopes:
                raise NotAllowed(f"the token {holder.prefix}... does not have the scope {route.scope}", "scope")
            return req.query_string if holder.account_id is None else within(holder.account_id, req, route)
        except (Unauthenticated, NotAllowed) as error:
            self._complaints.add(error.reason, req, str(error))
            raise

    async def settled(self) -> None:
        """Returns when nothing is left to be written down."""
        await self._access.settled()


def without_header(req: falcon.asgi.Request) -> bool:
    """Whether a request carries neither a token nor a key of its sender's."""
    return req.get_header("Authorization") is None and req.get_header(KEY_HEADER) is None


def secret_of(header: Header) -> str:
    """The secret that a request's headers carry; a key's own header goes first. Raises Unauthenticated."""
    key = header(KEY_HEADER)
    if key is not None:
        return key.strip()
    given = header("Authorization")
    if given is None:
        raise Unauthenticated(f"a token is required: {HOW}", "missing")
    scheme, _, token = given.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(f"only bearer tokens are known: {HOW}", "missing")
    return token.strip()


def within(account: str, req: falcon.asgi.Request, route: Route) -> str:
    """The request's query within an account: what names none is given it, and what has no account is closed.

    Raises:
        NotAllowed: it names another account, or the route is not divided by accounts.
    """
    header = req.get_header(ACCOUNT)
    asked = [value for name, value in parse_qsl(req.query_string, keep_blank_values=True) if name == ACCOUNT_PARAM]
    named = asked if header is None else [*asked, header]
    if any(one.strip().lower() != account for one in named):
        raise NotAllowed("the token is another account's", "account")
    if ACCOUNT_PARAM in params_of(route.params):
        return req.query_string if asked else "&".join(filter(None, (req.query_string, f"{ACCOUNT_PARAM}={account}")))
    if ACCOUNT not in route.headers:
        raise NotAllowed(f"the token is for account {account} alone, and this is not divided by accounts", "account")
    if header is None:
        raise NotAllowed(f"the token is for account {account} alone: name it in {ACCOUNT}", "account")
    return req.query_string


@lru_cache(maxsize=256)
def params_of(kind: type) -> frozenset[str]:
    """Names of a route's query parameters."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(kind))
