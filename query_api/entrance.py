"""Who may watch what: by a signed token, from which web pages."""

from __future__ import annotations

from urllib.parse import urlsplit
from uuid import UUID

import falcon.asgi

from core.errors import Forbidden, NotFound
from core.ids import StreamId
from core.settings import Settings
from query_api.guard import without_header
from query_api.pool import Pool
from query_api.refusals import Unauthenticated
from query_api.services.signing import Signing
from query_api.services.watchable import Watchable
from warehouse.control.rows import StreamRow

ANY = "*"


class Entrance:
    """Leads to the stream that is asked for whoever may see it.

    A request with an Authorization header was checked before it came here; one without it needs,
    where the service asks for tokens, a signed one for this very stream.
    """

    def __init__(self, settings: Settings, pool: Pool, watchable: Watchable, signing: Signing) -> None:
        self._query = settings.query
        self._pool = pool
        self._watchable = watchable
        self._signing = signing

    async def engine(
        self, req: falcon.asgi.Request, token: str | None, node: int, stream: str, analytic: str | None = None
    ) -> StreamRow:
        """A stream by its name on the engine surface. Raises NotFound, Unauthenticated."""
        try:
            row = await self._watchable.find(node, stream, analytic)
        except NotFound:
            self.everything(req)
            raise
        await self._check(req, token, row.stream_id)
        return row

    async def agent(self, req: falcon.asgi.Request, token: str | None, stream: UUID, account: UUID | None) -> StreamRow:
        """A stream by its whole id, and of this account where one is named. Raises NotFound, Unauthenticated."""
        await self._check(req, token, StreamId(stream))
        row = await self._watchable.stream(StreamId(stream))
        theirs = account is not None and row.spec.account_id != str(account)
        if row.spec.task or row.spec.ephemeral or theirs:
            raise NotFound(f"no stream {stream}")
        return row

    def everything(self, req: falcon.asgi.Request) -> None:
        """What no signed token is good for. Raises Unauthenticated."""
        if self._needs_token(req):
            raise Unauthenticated("a token is required", "missing")

    def check_origin(self, req: falcon.asgi.Request) -> None:
        """Refuse a socket to a page of somebody else's: browsers open one for any page. Raises Forbidden."""
        origin = req.get_header("Origin")
        if origin is None or self._welcome(origin):
            return
        ours = {(req.get_header("Host") or "").lower(), urlsplit(self._query.public_url).netloc.lower()} - {""}
        if urlsplit(origin).netloc.lower() not in ours:
            raise Forbidden("pages of this origin may not listen here; see the setting query.origins")

    def share(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Let pages of the origins in the settings read the answer; showing it is open to all."""
        resp.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        if self._query.origins:
            resp.set_header("Vary", "Origin")
            origin = req.get_header("Origin")
            if origin is not None and self._welcome(origin):
                resp.set_header("Access-Control-Allow-Origin", origin)

    def _welcome(self, origin: str) -> bool:
        return ANY in self._query.origins or origin in self._query.origins

    def _needs_token(self, req: falcon.asgi.Request) -> bool:
        return self._query.auth and without_header(req)

    async def _check(self, req: falcon.asgi.Request, token: str | None, stream: StreamId) -> None:
        if self._needs_token(req) and not (
            token is not None and await self._pool.run(self._signing.verify, token, stream)
        ):
            raise Unauthenticated("the token is not good for this stream, or not any more", "signed")
