"""Tokens and keys, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text

from core.errors import Conflict, InvalidInput, NotFound
from core.secrets import hash_secret, new_secret
from core.settings import Settings
from tests.integration.warehouse.conftest import Ticking
from warehouse.control import ControlStore
from warehouse.control.database import open_engine
from warehouse.control.tokens import FORM, MARKS, SHOWN, USED_EVERY_MS, TokenRow

ACCOUNT = "557d54ec-29ad-4f3c-93b4-c9092ef12515"


def make(control: ControlStore, name: str = "mine", **more: object) -> tuple[str, TokenRow]:
    secret = new_secret(MARKS["token"])
    given = {"kind": "token", "scopes": ("write", "read"), **more}
    return secret, control.create_token(secret, name=name, **given)  # type: ignore[arg-type]


def test_a_token_is_found_by_its_hash(control: ControlStore) -> None:
    secret, row = make(control, name=" mine ", account_id=ACCOUNT, valid_ms=5000)
    assert FORM.fullmatch(secret)
    assert control.token_of(hash_secret(secret)) == row
    assert control.token_of(hash_secret(secret + "x")) is None
    assert (row.name, row.kind, row.scopes, row.account_id) == ("mine", "token", {"read", "write"}, ACCOUNT)
    assert row.prefix == secret[:SHOWN]
    assert row.expires_ms == row.created_ms + 5000
    assert row.last_used_ms is row.revoked_ms is None


def test_no_secret_is_kept_or_shown(control: ControlStore, control_settings: Settings) -> None:
    secret, row = make(control)
    engine = open_engine(control_settings.control_url)
    with engine.connect() as connection:
        kept = str(connection.execute(text("SELECT * FROM tokens")).all())
    engine.dispose()
    assert hash_secret(secret) in kept
    assert secret not in kept
    assert secret not in repr(row) and hash_secret(secret) not in repr(row)


def test_a_token_is_valid_until_it_expires_or_is_revoked(control: ControlStore) -> None:
    _, ever = make(control)
    _, soon = make(control, valid_ms=1000)
    assert soon.expires_ms is not None
    assert ever.state(10**15) == "valid"
    assert (soon.state(soon.expires_ms - 1), soon.state(soon.expires_ms)) == ("valid", "expired")
    assert control.revoke_token(str(soon.token_id)).state(soon.expires_ms) == "revoked"


def test_the_newest_are_listed_first_the_revoked_too(control: ControlStore) -> None:
    rows = [make(control, name=name)[1] for name in ("a", "b", "c")]
    control.revoke_token(rows[0].prefix)
    assert [(row.name, row.revoked_ms is None) for row in control.tokens()] == [("c", True), ("b", True), ("a", False)]


def test_a_token_is_revoked_once_by_id_or_prefix(control: ControlStore, clock: Ticking) -> None:
    _, row = make(control)
    first = control.revoke_token(row.prefix)
    assert first.revoked_ms is not None
    clock.now += 60
    assert control.revoke_token(str(row.token_id)) == first
    for unknown in (str(uuid4()), "slt_nothing_", row.prefix[:-1], f"{row.prefix}x", "%", ""):
        with pytest.raises(NotFound):
            control.revoke_token(unknown)


def test_a_prefix_that_two_have_revokes_neither(control: ControlStore) -> None:
    rows = [
        control.create_token(f"slt_AAAAAAAA{end}", name="n", kind="token", scopes=("read",)) for end in ("one", "two")
    ]
    with pytest.raises(Conflict, match="by its id"):
        control.revoke_token("slt_AAAAAAAA")
    assert all(row.revoked_ms is None for row in control.tokens())
    assert control.revoke_token(str(rows[0].token_id)).revoked_ms is not None


def test_one_secret_is_one_token(control: ControlStore) -> None:
    secret, _ = make(control)
    with pytest.raises(Conflict):
        control.create_token(secret, name="again", kind="token", scopes=("read",))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a" * 129}, "name"),
        ({"scopes": ()}, "scope"),
        ({"scopes": ("read", "everything")}, "scope"),
    ],
)
def test_what_makes_no_sense_is_refused(control: ControlStore, wrong: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        make(control, **wrong)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert control.tokens() == []


def test_the_time_of_use_is_written_once_a_minute_by_all(
    control: ControlStore, open_control: Callable[[], ControlStore], clock: Ticking
) -> None:
    secret, row = make(control)

    def used() -> int:
        found = control.token_of(hash_secret(secret))
        assert found is not None and found.last_used_ms is not None
        return found.last_used_ms

    control.note_token_use(row.token_id)
    first = used()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: open_control().note_token_use(row.token_id), range(4)))
    assert used() == first
    clock.now += USED_EVERY_MS / 1000
    control.note_token_use(row.token_id)
    assert used() >= first + USED_EVERY_MS
    control.note_token_use(uuid4())
