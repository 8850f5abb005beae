"""Whose a token is: asked once in a while, and never believed for longer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from core.errors import StoreUnavailable
from core.secrets import hash_secret, new_secret
from query_api.pool import Pool
from query_api.refusals import Busy, Unauthenticated
from query_api.services.access import AT_ONCE, MOST, REMEMBERED_S, Access
from warehouse.control.tokens import MARKS, SHOWN, USED_EVERY_MS, TokenRow

BEGUN = 1_800_000_000.0


@dataclass
class Time:
    """Both clocks, set by the test."""

    wall: float = BEGUN
    monotonic: float = 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@dataclass
class Kept:
    """Tokens in memory, which remember what they were asked."""

    rows: dict[str, TokenRow] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    noted: list[UUID] = field(default_factory=list)
    down: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    answering: threading.Event = field(default_factory=threading.Event)

    def add(self, **more: object) -> str:
        secret = new_secret(MARKS["token"])
        row = TokenRow(
            token_id=uuid4(),
            name="mine",
            kind="token",
            secret_hash=hash_secret(secret),
            prefix=secret[:SHOWN],
            scopes=frozenset({"read"}),
            account_id=None,
            created_ms=0,
            expires_ms=None,
            last_used_ms=int(BEGUN * 1000),
            revoked_ms=None,
        )
        self.rows[hash_secret(secret)] = replace(row, **more)  # type: ignore[arg-type]
        return secret

    def revoke(self, secret: str) -> None:
        self.rows[hash_secret(secret)] = replace(self.rows[hash_secret(secret)], revoked_ms=1)

    def token_of(self, secret_hash: str) -> TokenRow | None:
        self.asked.append(secret_hash)
        self.reached.set()
        self.answering.wait(20)
        if self.down:
            raise StoreUnavailable("the database does not answer")
        return self.rows.get(secret_hash)

    def note_token_use(self, token_id: UUID) -> None:
        self.noted.append(token_id)
        if self.down:
            raise StoreUnavailable("the database cannot be written")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def kept() -> Kept:
    made = Kept()
    made.answering.set()
    return made


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(4, 5000, 20.0)
    yield made
    made.close()


@pytest.fixture
def access(pool: Pool, kept: Kept, time: Time) -> Access:
    return Access(pool, kept, lambda: time.wall, lambda: time.monotonic)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


async def refusal(access: Access, secret: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await access.holder(secret)
    assert secret not in str(refused.value)
    return refused.value.reason


def test_a_token_is_asked_for_once_in_five_seconds(access: Access, kept: Kept, time: Time) -> None:
    secret = kept.add()

    async def test() -> None:
        for _ in range(3):
            assert (await access.holder(secret)).scopes == {"read"}
        assert kept.asked == [hash_secret(secret)]
        time.pass_(REMEMBERED_S - 0.1)
        await access.holder(secret)
        assert len(kept.asked) == 1
        time.pass_(0.1)
        await access.holder(secret)
        assert len(kept.asked) == 2

    run(test)


def test_a_revoked_token_is_refused_within_that_time(access: Access, kept: Kept, time: Time) -> None:
    secret = kept.add()

    async def test() -> None:
        await access.holder(secret)
        kept.revoke(secret)
        time.pass_(REMEMBERED_S)
        assert await refusal(access, secret) == "revoked"

    run(test)


def test_what_is_believed_counts_from_before_the_look(access: Access, kept: Kept, time: Time) -> None:
    """A slow database makes no token live longer."""
    secret = kept.add()
    kept.answering.clear()

    async def test() -> None:
        waiting = asyncio.ensure_future(access.holder(secret))
        assert await asyncio.to_thread(kept.reached.wait, 20)
        time.pass_(REMEMBERED_S)
        kept.answering.set()
        await waiting
        kept.revoke(secret)
        assert await refusal(access, secret) == "revoked"

    run(test)


def test_a_token_expires_at_its_time_though_it_is_remembered(access: Access, kept: Kept, time: Time) -> None:
    secret = kept.add(expires_ms=int(BEGUN * 1000) + 1000)

    async def test() -> None:
        time.pass_(0.999)
        await access.holder(secret)
        time.pass_(0.001)
        assert await refusal(access, secret) == "expired"
        assert len(kept.asked) == 1

    run(test)


def test_a_clock_that_is_set_back_lets_no_token_be_remembered_for_longer(
    access: Access, kept: Kept, time: Time
) -> None:
    secret = kept.add()

    async def test() -> None:
        await access.holder(secret)
        kept.revoke(secret)
        time.pass_(REMEMBERED_S)
        time.wall -= 3600
        assert await refusal(access, secret) == "revoked"

    run(test)


@pytest.mark.parametrize(
    "secret", ["", "x", "slt_short", "slx_" + 43 * "a", "slt_" + 44 * "a", "slt_" + 42 * "a" + "é"]
)
def test_what_cannot_be_a_token_reaches_no_database(access: Access, kept: Kept, secret: str) -> None:
    async def test() -> None:
        with pytest.raises(Unauthenticated) as refused:
            await access.holder(secret)
        assert refused.value.reason == "unknown"
        assert kept.asked == []

    run(test)


def test_what_is_not_known_is_asked_once_and_displaces_nothing_that_is(access: Access, kept: Kept) -> None:
    mine, others = kept.add(), [new_secret(MARKS["token"]) for _ in range(MOST + 10)]

    async def test() -> None:
        await access.holder(mine)
        for other in others:
            assert await refusal(access, other) == "unknown"
        assert await refusal(access, others[-1]) == "unknown"
        await access.holder(mine)
        assert len(kept.asked) == 1 + len(others)

    run(test)


def test_a_token_that_is_made_after_it_was_tried_is_known_in_five_seconds(
    access: Access, kept: Kept, time: Time
) -> None:
    secret = kept.add()
    row = kept.rows.pop(hash_secret(secret))

    async def test() -> None:
        assert await refusal(access, secret) == "unknown"
        kept.rows[hash_secret(secret)] = row
        time.pass_(REMEMBERED_S)
        assert await access.holder(secret) == row

    run(test)


def test_a_row_with_another_hash_is_nobody_s(access: Access, kept: Kept) -> None:
    secret = kept.add(secret_hash=64 * "0")

    async def test() -> None:
        assert await refusal(access, secret) == "unknown"

    run(test)


def test_many_requests_with_one_token_ask_once(access: Access, kept: Kept) -> None:
    secret = kept.add()
    kept.answering.clear()

    async def test() -> None:
        waiting = [asyncio.ensure_future(access.holder(secret)) for _ in range(200)]
        assert await asyncio.to_thread(kept.reached.wait, 20)
        waiting[0].cancel()  # whoever goes away takes nothing from the others
        kept.answering.set()
        found = await asyncio.gather(*waiting[1:])
        assert len(found) == 199
        assert len(kept.asked) == 1

    run(test)


def test_trying_tokens_leaves_the_stores_to_those_that_are_known(access: Access, kept: Kept, time: Time) -> None:
    mine = kept.add()

    async def test() -> None:
        await access.holder(mine)
        time.pass_(REMEMBERED_S)
        kept.answering.clear()
        tried = [asyncio.ensure_future(access.holder(new_secret(MARKS["token"]))) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await access.holder(new_secret(MARKS["token"]))
        known = asyncio.ensure_future(access.holder(mine))
        await asyncio.sleep(0)
        kept.answering.set()
        assert (await known).name == "mine"
        for refused in await asyncio.gather(*tried, return_exceptions=True):
            assert isinstance(refused, Unauthenticated)

    run(test)


def test_a_database_that_is_away_lets_nobody_in_and_is_asked_again(access: Access, kept: Kept) -> None:
    secret = kept.add()
    kept.down = True

    async def test() -> None:
        with pytest.raises(StoreUnavailable):
            await access.holder(secret)
        kept.down = False
        assert (await access.holder(secret)).name == "mine"

    run(test)


def test_the_time_of_use_is_written_once_a_minute(access: Access, kept: Kept, time: Time) -> None:
    secret = kept.add(last_used_ms=None)
    token_id = kept.rows[hash_secret(secret)].token_id

    async def test() -> None:
        for _ in range(3):
            await access.holder(secret)
        await access.settled()
        assert kept.noted == [token_id]
        time.pass_(USED_EVERY_MS / 1000 - 0.1)
        await access.holder(secret)
        await access.settled()
        assert kept.noted == [token_id]
        time.pass_(0.1)
        await access.holder(secret)
        await access.settled()
        assert kept.noted == [token_id, token_id]

    run(test)


def test_another_process_s_note_is_enough(access: Access, kept: Kept) -> None:
    secret = kept.add(last_used_ms=int(BEGUN * 1000) - USED_EVERY_MS + 1)

    async def test() -> None:
        await access.holder(secret)
        await access.settled()
        assert kept.noted == []

    run(test)


def test_a_note_that_cannot_be_written_refuses_nobody(access: Access, kept: Kept) -> None:
    secret = kept.add(last_used_ms=None)

    async def test() -> None:
        await access.holder(secret)
        await access.settled()

    with capture_logs() as logs:
        kept.note_token_use = _fail  # type: ignore[method-assign]
        run(test)
    assert [line["event"] for line in logs] == ["token_use_not_noted"]
    assert secret not in str(logs)


def _fail(token_id: UUID) -> None:
    raise StoreUnavailable("the database cannot be written")
