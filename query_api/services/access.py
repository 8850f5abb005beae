"""Whose a token is: asked of the control database, and remembered for some seconds.

So a token costs a hash and a look into memory at most requests, and stops working in every process within
`REMEMBERED_S` of being revoked. What is not known is remembered too, apart from what is, so that whoever
tries token after token neither reaches the database with each again nor makes the known ones be forgotten.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from core import log
from core.clock import Clock, now_ms, wall_clock
from core.errors import SightlineError
from core.secrets import hash_secret
from query_api.pool import Pool
from query_api.refusals import Busy, Unauthenticated
from warehouse.control.tokens import FORM, USED_EVERY_MS, TokenRow

logger = log.get(__name__)
REMEMBERED_S = 5.0
AT_ONCE = 64
"""Tokens that were never known, asked for at one time: no more, so that trying them leaves the stores to others."""
MOST = 1024
"""Tokens that are remembered, and as many that are not known."""


class Tokens(Protocol):
    """Where tokens are kept, as `warehouse.control.ControlStore` has them; calls block."""

    def token_of(self, secret_hash: str) -> TokenRow | None:
        """The token whose secret has this hash."""
        ...

    def note_token_use(self, token_id: UUID) -> None:
        """It is being used."""
        ...


@dataclass(frozen=True, slots=True)
class _Said:
    """What the database said, and until when that is believed."""

    row: TokenRow | None
    until: float


class Access:
    """Answers for secrets.

    Args:
        clock: wall time, for what expires.
        monotonic: seconds, only ever growing, for what is remembered.
    """

    def __init__(
        self,
        pool: Pool,
        tokens: Tokens,
        clock: Clock = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, _Said] = {}
        self._unknown: dict[str, _Said] = {}
        self._asked: dict[str, asyncio.Future[TokenRow | None]] = {}
        self._noted: dict[UUID, int] = {}
        self._noting: set[asyncio.Future[None]] = set()

    async def holder(self, secret: str) -> TokenRow:
        """Whose secret this is.

        Raises:
            Unauthenticated: nobody's, or one that is no longer valid.
            Busy, StoreUnavailable: it cannot be known now.
        """
        row = await self._row(hash_secret(secret)) if FORM.fullmatch(secret) else None
        if row is None:
            raise Unauthenticated("no such token is known", "unknown")
        now = now_ms(self._clock)
        match row.state(now):
            case "revoked":
                raise Unauthenticated(f"the token {row.prefix}... was revoked", "revoked")
            case "expired":
                raise Unauthenticated(f"the token {row.prefix}... has expired", "expired")
        self._note(row, now)
        return row

    async def _row(self, secret_hash: str) -> TokenRow | None:
        said = self._known.get(secret_hash) or self._unknown.get(secret_hash)
        if said is not None and self._monotonic() < said.until:
            return said.row
        asked = self._asked.get(secret_hash)
        if asked is None:  # many requests with one token ask once
            if secret_hash not in self._known and len(self._asked) >= AT_ONCE:
                raise Busy("too many tokens that are not known are being tried")
            asked = asyncio.ensure_future(self._ask(secret_hash))
            self._asked[secret_hash] = asked
            asked.add_done_callback(partial(self._answered, secret_hash))
        return await asyncio.shield(asked)

    async def _ask(self, secret_hash: str) -> TokenRow | None:
        until = self._monotonic() + REMEMBERED_S  # counted from before the look, for what is revoked after it
        row = await self._pool.run(self._tokens.token_of, secret_hash)
        if row is not None and not hmac.compare_digest(row.secret_hash, secret_hash):
            row = None
        self._known.pop(secret_hash, None)
        self._unknown.pop(secret_hash, None)
        kept = self._unknown if row is None else self._known
        if len(kept) >= MOST:
            del kept[next(iter(kept))]
        kept[secret_hash] = _Said(row, until)
        return row

    def _answered(self, secret_hash: str, asked: asyncio.Future[TokenRow | None]) -> None:
        del self._asked[secret_hash]
        if not asked.cancelled():
            asked.exception()  # whoever waited has it; nobody may wait any more

    def _note(self, row: TokenRow, now: int) -> None:
        """Have the time of use written now and then; nobody waits for it, and nothing fails with it."""
        if abs(now - max(row.last_used_ms or 0, self._noted.get(row.token_id, 0))) < USED_EVERY_MS:
            return
        self._noted[row.token_id] = now
        try:
            noting = self._pool.begin(self._write, row.token_id)
        except Busy:
            return  # said a minute later
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    def _write(self, token_id: UUID) -> None:
        try:
            self._tokens.note_token_use(token_id)
        except SightlineError as error:
            logger.warning("token_use_not_noted", token_id=str(token_id), error=str(error))

    async def settled(self) -> None:
        """Returns when the times of use that are being written have been."""
        await asyncio.gather(*self._noting, return_exceptions=True)
