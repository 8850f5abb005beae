"""Letting pages of other origins ask, while the platform's configuration says so."""

from __future__ import annotations

import falcon
import falcon.asgi

from query_api.services.configuration import Configuration

EXPOSED = ("Luna-Request-Id", "Location", "Next-Cursor", "ETag", "Upload-Offset", "Upload-Length", "Upload-Complete")


class Cors:
    """Falcon's own rules, switched on and off. Credentials of a browser are never let through: tokens are headers."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._rules: falcon.CORSMiddleware[falcon.asgi.Request, falcon.asgi.Response] = falcon.CORSMiddleware(
            expose_headers=EXPOSED
        )

    async def process_request(self, _: falcon.asgi.Request, __: falcon.asgi.Response) -> None:
        """See to it that the configuration is fresh."""
        await self._configuration.refresh()

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, resource: object, req_succeeded: bool
    ) -> None:
        """Add what a page of another origin needs to read the answer."""
        if self._configuration.known.platform.enable_cors:
            await self._rules.process_response_async(req, resp, resource, req_succeeded)
