"""Bearer tokens and API keys: whose, for what and until when. Of a secret only its hash is kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, or_, select, update

from core.errors import Conflict, InvalidInput, NotFound
from core.scopes import SCOPES
from core.secrets import hash_secret
from warehouse.control import models
from warehouse.control.database import Database, table

Kind = Literal["token", "api_key"]
State = Literal["valid", "expired", "revoked"]
MARKS: Mapping[Kind, str] = MappingProxyType({"token": "slt_", "api_key": "slk_"})
"""What a secret begins with, by which people and scanners for leaked secrets tell it."""
FORM = re.compile(r"sl[tk]_[A-Za-z0-9_-]{43}")
SHOWN = 12
"""Letters of a secret that are kept to recognise it by; 208 of its 256 bits are not among them."""
USED_EVERY_MS = 60_000
MAX_NAME = 128
TOKENS = table(models.Token)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A bearer token or an API key.

    Attributes:
        prefix: the first letters of the secret.
        account_id: the only account whose streams it reaches; None: everything that its scopes allow.
        last_used_ms: known to the minute; None: never.
    """

    token_id: UUID
    name: str
    kind: Kind
    secret_hash: str = field(repr=False)
    prefix: str
    scopes: frozenset[str]
    account_id: str | None
    created_ms: int
    expires_ms: int | None
    last_used_ms: int | None
    revoked_ms: int | None

    def state(self, now_ms: int) -> State:
        """Whether it can be used at this time."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= now_ms else "valid"


class Tokens(Database):
    """Tokens and keys; those that are revoked or expired stay to be seen."""

    def create_token(
        self,
        secret: str,
        *,
        name: str,
        kind: Kind,
        scopes: Collection[str],
        account_id: str | None = None,
        valid_ms: int | None = None,
    ) -> TokenRow:
        """Let whoever has `secret` in.

        Args:
            secret: of `new_secret`, with the kind's mark.
            valid_ms: from now; None: until it is revoked.

        Raises:
            InvalidInput: no name, or one that is too long; no scope, or one that there is not.
        """
        if not name.isprintable() or not 1 <= len(name.strip()) <= MAX_NAME:
            raise InvalidInput(f"a name has 1 to {MAX_NAME} printable letters", "name")
        if not scopes or not SCOPES.keys() >= set(scopes):
            raise InvalidInput(f"at least one scope is needed, of {', '.join(SCOPES)}", "scope")
        now = self._now()
        row = TokenRow(
            token_id=uuid4(),
            name=name.strip(),
            kind=kind,
            secret_hash=hash_secret(secret),
            prefix=secret[:SHOWN],
            scopes=frozenset(scopes),
            account_id=account_id,
            created_ms=now,
            expires_ms=None if valid_ms is None else now + valid_ms,
            last_used_ms=None,
            revoked_ms=None,
        )
        with self._writing() as connection:
            connection.execute(insert(TOKENS).values(_values(row)))
        return row

    def token_of(self, secret_hash: str) -> TokenRow | None:
        """The token whose secret has this hash, also when it is expired or revoked."""
        with self._reading() as connection:
            found = connection.execute(select(TOKENS).where(TOKENS.c.secret_hash == secret_hash)).first()
        return None if found is None else _row(found)

    def tokens(self) -> list[TokenRow]:
        """All of them, the newest first."""
        statement = select(TOKENS).order_by(TOKENS.c.created_ms.desc(), TOKENS.c.token_id)
        with self._reading() as connection:
            return [_row(row) for row in connection.execute(statement)]

    def note_token_use(self, token_id: UUID) -> None:
        """It is being used; written at most once a minute, however many processes say so."""
        now, used = self._now(), TOKENS.c.last_used_ms
        with self._writing() as connection:
            connection.execute(
                update(TOKENS)
                .where(TOKENS.c.token_id == token_id, or_(used.is_(None), used <= now - USED_EVERY_MS))
                .values(last_used_ms=now)
            )

    def revoke_token(self, which: str) -> TokenRow:
        """End a token for good; one that was revoked before keeps its time.

        Args:
            which: its id, or its prefix as it is shown.

        Raises:
            NotFound: there is no such token.
            Conflict: several have this prefix.
        """
        named = TOKENS.c.prefix == which if (token_id := _uuid(which)) is None else TOKENS.c.token_id == token_id
        with self._writing() as connection:
            found = [_row(row) for row in connection.execute(select(TOKENS).where(named).with_for_update())]
            if not found:
                raise NotFound(f"no token has the id or prefix {which}")
            if len(found) > 1:
                raise Conflict(f"{len(found)} tokens have the prefix {which}: name one by its id")
            connection.execute(
                update(TOKENS)
                .where(TOKENS.c.token_id == found[0].token_id, TOKENS.c.revoked_ms.is_(None))
                .values(revoked_ms=self._now())
            )
            return _row(connection.execute(select(TOKENS).where(TOKENS.c.token_id == found[0].token_id)).one())


def _values(row: TokenRow) -> dict[str, Any]:
    """Columns of a row."""
    return {
        "token_id": row.token_id,
        "name": row.name,
        "kind": row.kind,
        "secret_hash": row.secret_hash,
        "prefix": row.prefix,
        "scopes": " ".join(sorted(row.scopes)),
        "account_id": row.account_id,
        "created_ms": row.created_ms,
        "expires_ms": row.expires_ms,
        "last_used_ms": row.last_used_ms,
        "revoked_ms": row.revoked_ms,
    }


def _row(row: Row[Any]) -> TokenRow:
    """Of all columns."""
    return TokenRow(
        token_id=row.token_id,
        name=row.name,
        kind=row.kind,
        secret_hash=row.secret_hash,
        prefix=row.prefix,
        scopes=frozenset(row.scopes.split()),
        account_id=row.account_id,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        last_used_ms=row.last_used_ms,
        revoked_ms=row.revoked_ms,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
