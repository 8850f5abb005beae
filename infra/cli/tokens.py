"""`sightline token`: who may ask the query service. A secret is shown when it is made, and never again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from core.clock import now_ms, rfc3339
from core.errors import InvalidInput
from core.scopes import SCOPES
from core.secrets import hash_secret, new_access_key, new_secret
from core.settings import load
from infra.cli.exits import StackDown, exits
from infra.cli.tables import output, table
from warehouse.control import ControlStore
from warehouse.control.tokens import MARKS, Kind, TokenRow

SPAN = re.compile(r"(?P<count>[1-9][0-9]{0,5})(?P<unit>[mhdw])")
UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
MOST_MS = 3650 * UNIT_MS["d"]
CHECKIN_MARK = "sk-"

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def create(  # noqa: PLR0917 Typer makes the options of them
    name: Annotated[str | None, typer.Option(help="Whose it is, or what for; shown to people.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it allows, one at a time: {', '.join(SCOPES)}.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Ends after 30m, 12h, 90d or 52w; never when not given.")
    ] = None,
    account: Annotated[UUID | None, typer.Option(metavar="ID", help="For the streams of this account alone.")] = None,
    api_key: Annotated[bool, typer.Option("--api-key", help="Name it an API key; it may do the same.")] = False,
    checkin: Annotated[bool, typer.Option("--checkin", help="Make a key pair for `POST /config/checkin`.")] = False,
    json: Json = False,
) -> None:
    """Make a bearer token, an API key or a check-in key pair, and print the secret: it is not kept."""
    with _store() as store:
        if checkin:
            if name or scope or expires or account or api_key:
                raise InvalidInput("--checkin makes a key pair, which has no name, scope, account or end")
            _create_pair(store, json=json)
            return
        kind: Kind = "api_key" if api_key else "token"
        secret = new_secret(MARKS[kind])
        row = store.create_token(
            secret,
            name=name or "",
            kind=kind,
            scopes=scope or (),
            account_id=None if account is None else str(account),
            valid_ms=None if expires is None else span_ms(expires),
        )
        if json:
            typer.echo(msgspec.json.encode({**_described(row), "token": secret}))
            return
        ends = "until it is revoked" if row.expires_ms is None else f"until {rfc3339(row.expires_ms)}"
        _remark(f"{row.name} may {', '.join(_ordered(row))} {ends}. Keep it safe: it is not shown again.")
        typer.echo(secret)


def show(json: Json = False) -> None:
    """Show the tokens and keys, the newest first; of a secret only how it begins."""
    with _store() as store:
        found = [_described(row) for row in store.tokens()]
        if json:
            for said in found:
                typer.echo(msgspec.json.encode(said))
            return
        shown = table("prefix", "name", "kind", "scopes", "account", "state", "created", "expires", "last used", "id")
        for said in found:
            ends, used = said["expires"] or "", said["last_used"] or ""
            shown.add_row(
                said["prefix"],
                Text(said["name"]),
                said["kind"],
                " ".join(said["scopes"]),
                said["account_id"] or "",
                said["state"],
                said["created"],
                ends,
                used,
                said["token_id"],
            )
        output().print(shown)


def revoke(
    token: Annotated[str, typer.Argument(metavar="ID|PREFIX", help="As `sightline token list` shows it.")],
) -> None:
    """End a token or key for good; it stays in the list."""
    with _store() as store:
        row = store.revoke_token(token)
        typer.echo(f"{row.name} ({row.prefix}) is revoked; the query service refuses it within seconds.")


def span_ms(text: str) -> int:
    """Milliseconds of ``30m``, ``12h``, ``90d`` or ``52w``. Raises InvalidInput.

    >>> span_ms("90d")
    7776000000
    """
    found = SPAN.fullmatch(text)
    span = int(found["count"]) * UNIT_MS[found["unit"]] if found else 0
    if not 0 < span <= MOST_MS:
        raise InvalidInput(f"--expires {text}: it is a time such as 30m, 12h, 90d or 52w, of ten years at most")
    return span


def _create_pair(store: ControlStore, *, json: bool) -> None:
    access_key, secret = new_access_key(), new_secret(CHECKIN_MARK)
    store.add_checkin_key(access_key, hash_secret(secret))
    if json:
        typer.echo(msgspec.json.encode({"access_key": access_key, "secret_key": secret}))
        return
    _remark("Keep the pair safe: the secret key is not shown again.")
    typer.echo(f"access_key {access_key}\nsecret_key {secret}")


def _described(row: TokenRow) -> dict[str, Any]:
    return {
        "token_id": str(row.token_id),
        "name": row.name,
        "kind": row.kind,
        "prefix": row.prefix,
        "scopes": _ordered(row),
        "account_id": row.account_id,
        "state": row.state(now_ms()),
        "created": rfc3339(row.created_ms),
        "expires": None if row.expires_ms is None else rfc3339(row.expires_ms),
        "last_used": None if row.last_used_ms is None else rfc3339(row.last_used_ms),
        "revoked": None if row.revoked_ms is None else rfc3339(row.revoked_ms),
    }


def _ordered(row: TokenRow) -> list[str]:
    return [scope for scope in SCOPES if scope in row.scopes]


def _remark(text: str) -> None:
    """Said beside the secret, which alone is on standard output."""
    Console(stderr=True).print(Text(text), soft_wrap=True)


@contextmanager
def _store() -> Iterator[ControlStore]:
    with exits(Console(stderr=True)):
        settings = load()
        if not settings.control.url.get_secret_value() and not (settings.data_dir / "control.db").is_file():
            raise StackDown(f"there is no control database in {settings.data_dir}")
        with closing(ControlStore.connect(settings)) as store:
            yield store
