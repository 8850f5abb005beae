"""`sightline token`: a secret is printed once, alone, and never again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.secrets import hash_secret
from core.settings import load
from infra.cli.main import app
from infra.cli.tokens import span_ms
from warehouse.control import ControlStore
from warehouse.control.tokens import FORM

ACCOUNT = "557d54ec-29ad-4f3c-93b4-c9092ef12515"


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlStore]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_DATA_DIR", str(tmp_path))
    load.cache_clear()
    store = ControlStore.connect(load())
    store.migrate()
    yield store
    store.close()
    load.cache_clear()


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["token", *arguments])


def made(*arguments: str) -> str:
    shown = run("create", "--name", "grafana", "--scope", "read", *arguments)
    assert shown.exit_code == 0, shown.output
    secret: str = shown.stdout.strip()
    return secret


def test_the_secret_alone_is_on_standard_output(control: ControlStore) -> None:
    shown = run("create", "--name", "grafana", "--scope", "write", "--scope", "read", "--expires", "90d")
    assert shown.exit_code == 0, shown.output
    assert FORM.fullmatch(shown.stdout.removesuffix("\n"))
    assert "grafana may read, write until " in shown.stderr
    assert shown.stdout.strip() not in shown.stderr
    row = control.token_of(hash_secret(shown.stdout.strip()))
    assert row is not None
    assert (row.kind, row.scopes) == ("token", {"read", "write"})
    assert row.expires_ms == row.created_ms + 90 * 86_400_000


def test_as_json_everything_is_in_one_object(control: ControlStore) -> None:
    said = json.loads(made("--api-key", "--account", ACCOUNT.upper(), "--json"))
    assert said["token"].startswith("slk_")
    assert said["prefix"] == said["token"][:12]
    assert (said["kind"], said["scopes"], said["account_id"], said["expires"]) == ("api_key", ["read"], ACCOUNT, None)
    assert control.token_of(hash_secret(said["token"])) is not None


def test_the_list_shows_how_a_secret_begins_and_no_more(control: ControlStore) -> None:
    first, second = made(), made("--expires", "12h")
    assert run("revoke", first[:12]).exit_code == 0
    shown = run("list")
    head, *rows = [line.split() for line in shown.stdout.splitlines()]
    assert head[:4] == ["prefix", "name", "kind", "scopes"]
    assert {(row[0], row[4]) for row in rows} == {(first[:12], "revoked"), (second[:12], "valid")}
    lines = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert {(line["prefix"], line["state"]) for line in lines} == {(first[:12], "revoked"), (second[:12], "valid")}
    everything = shown.output + run("list", "--json").output
    for secret in (first, second):
        assert secret not in everything
        assert hash_secret(secret) not in everything


def test_a_token_is_revoked_by_id_or_prefix(control: ControlStore) -> None:
    first, second = json.loads(made("--json")), json.loads(made("--json"))
    for name in (first["token_id"], second["prefix"]):
        shown = run("revoke", name)
        assert (shown.exit_code, shown.stdout.split()[0]) == (0, "grafana")
    assert all(row.revoked_ms is not None for row in control.tokens())
    unknown = run("revoke", "slt_nobody__")
    assert unknown.exit_code == 1
    assert "no token has the id or prefix slt_nobody__" in unknown.stderr


@pytest.mark.usefixtures("control")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("create --scope read", "1 to 128 printable letters"),
        ("create --name n", "at least one scope is needed, of read, write, watch, admin"),
        ("create --name n --scope all", "at least one scope is needed"),
        ("create --name n --scope read --expires 90", "a time such as 30m, 12h, 90d or 52w"),
        ("create --name n --scope read --expires 0d", "a time such as"),
        ("create --name n --scope read --expires 9999w", "ten years at most"),
        ("create --name n --scope read --account me", "account"),
        ("create --checkin --scope read", "--checkin makes a key pair"),
    ],
)
def test_wrong_use_is_2_and_makes_nothing(control: ControlStore, words: str, says: str) -> None:
    shown = run(*words.split())
    assert shown.exit_code == 2
    assert says in shown.stderr
    assert control.tokens() == []


def test_spans() -> None:
    assert [span_ms(text) for text in ("1m", "2h", "3d", "4w")] == [60_000, 7_200_000, 259_200_000, 2_419_200_000]


def test_a_check_in_pair_is_kept_as_its_hash(control: ControlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[str, str]] = []
    monkeypatch.setattr(ControlStore, "add_checkin_key", lambda _, *pair: kept.append(pair), raising=False)
    words = run("create", "--checkin").stdout.split()
    assert (words[0], words[2], len(words)) == ("access_key", "secret_key", 4)
    said = json.loads(run("create", "--checkin", "--json").stdout)
    assert kept == [(words[1], hash_secret(words[3])), (said["access_key"], hash_secret(said["secret_key"]))]
    assert words[3] != said["secret_key"]
    assert control.tokens() == []


def test_without_a_database_the_stack_is_down_and_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_DATA_DIR", str(tmp_path / "none"))
    load.cache_clear()
    shown = run("list")
    load.cache_clear()
    assert shown.exit_code == 3
    assert "there is no control database in" in shown.stderr
    assert not (tmp_path / "none").exists()
