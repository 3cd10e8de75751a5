"""Logging in: the forms of a password, keys, addresses, and what strangers can learn or break."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from typing import cast

import pytest

from heliograph.config import Limits
from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.services import authentication as module
from heliograph.services.authentication import Authentication, hash_password
from heliograph.services.directory import Directory
from heliograph.storage.accounts import hash_api_key

pytestmark = pytest.mark.interpreted

HOME = "192.0.2.1"
PASSWORD = "Pässword1"


class People:
    """As much of a Directory as is asked here."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, str] = {}

    def account(self, login: str) -> Account | None:
        return self.accounts.get(login)

    def account_by_key(self, sha256: str) -> Account | None:
        return self.accounts.get(self.keys.get(sha256, ""))


class Clock:
    """Time that stands still until it is moved."""

    now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(scope="module")
def hashes() -> tuple[str, str]:
    return hash_password(PASSWORD)


@pytest.fixture
def people(hashes: tuple[str, str]) -> People:
    made = People()
    made.accounts["alex"] = Account(
        id=1, login="alex", payer_id=1, md5_hash=hashes[0], sha1_hash=hashes[1]
    )
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def _open(people: People, clock: Clock, limits: Limits) -> AsyncIterator[Authentication]:
    opened = Authentication(cast(Directory, people), limits, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
async def door(people: People, clock: Clock) -> AsyncIterator[Authentication]:
    async for opened in _open(people, clock, Limits()):
        yield opened


@pytest.fixture
async def guarded(people: People, clock: Clock) -> AsyncIterator[Authentication]:
    async for opened in _open(people, clock, Limits(auth_block=True)):
        yield opened


def _count_checks(door: Authentication, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    checked: list[str] = []
    verify = module._is_hash_of

    def count(stored: str, digest: str) -> bool:
        checked.append(digest)
        return verify(stored, digest)

    monkeypatch.setattr(module, "_is_hash_of", count)
    return checked


@pytest.mark.parametrize(
    "psw",
    [
        PASSWORD,
        hashlib.md5(PASSWORD.encode()).hexdigest(),
        hashlib.sha1(PASSWORD.encode()).hexdigest(),
    ],
    ids=["plain", "md5", "sha1"],
)
async def test_every_form_of_the_password(
    door: Authentication, people: People, psw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = _count_checks(door, monkeypatch)
    assert door.try_login_cached("alex", psw, HOME) is None
    assert await door.login("alex", psw, HOME) is people.accounts["alex"]
    seen = len(checked)
    assert door.try_login_cached("alex", psw, HOME) is people.accounts["alex"]
    assert await door.login("alex", psw, HOME) is people.accounts["alex"]
    assert len(checked) == seen, "the second time costs no slow hash"


@pytest.mark.parametrize(
    "psw",
    [
        "",
        "wrong",
        PASSWORD + " ",
        hashlib.md5(PASSWORD.encode()).hexdigest().upper(),
        hashlib.md5(hashlib.md5(PASSWORD.encode()).hexdigest().encode()).hexdigest(),
        "x" * 100_000,
        "\ud800",
        "\x00",
    ],
)
async def test_wrong_passwords(door: Authentication, psw: str) -> None:
    assert await door.login("alex", psw, HOME) is Refusal.NOT_AUTHORISED
    assert await door.login("alex", psw, HOME) is Refusal.NOT_AUTHORISED


async def test_a_password_that_looks_like_a_digest(people: People, door: Authentication) -> None:
    odd = "0123456789abcdef0123456789abcdef"
    md5_hash, sha1_hash = hash_password(odd)
    people.accounts["odd"] = replace(
        people.accounts["alex"], login="odd", md5_hash=md5_hash, sha1_hash=sha1_hash
    )
    assert await door.login("odd", odd, HOME) is people.accounts["odd"]


async def test_an_account_without_a_password_lets_nobody_in(
    people: People, door: Authentication
) -> None:
    people.accounts["none"] = replace(people.accounts["alex"], md5_hash="", sha1_hash="")
    for psw in ("", "x", hashlib.md5(b"").hexdigest(), hashlib.sha1(b"").hexdigest()):
        assert await door.login("none", psw, HOME) is Refusal.NOT_AUTHORISED


async def test_a_changed_password_ends_the_old_one_at_once(
    people: People, door: Authentication
) -> None:
    assert await door.login("alex", PASSWORD, HOME) is people.accounts["alex"]
    md5_hash, sha1_hash = hash_password("Another-1")
    people.accounts["alex"] = replace(
        people.accounts["alex"], md5_hash=md5_hash, sha1_hash=sha1_hash
    )
    assert door.try_login_cached("alex", PASSWORD, HOME) is None
    assert await door.login("alex", PASSWORD, HOME) is Refusal.NOT_AUTHORISED
    assert await door.login("alex", "Another-1", HOME) is people.accounts["alex"]


async def test_a_login_that_comes_into_being(people: People, door: Authentication) -> None:
    assert await door.login("boris", PASSWORD, HOME) is Refusal.NOT_AUTHORISED
    people.accounts["boris"] = replace(people.accounts["alex"], id=2, login="boris")
    assert await door.login("boris", PASSWORD, HOME) is people.accounts["boris"]


async def test_addresses_and_blocked_accounts(people: People, door: Authentication) -> None:
    alex = people.accounts["alex"]
    people.accounts["alex"] = replace(alex, networks=(ip_network("192.0.2.0/24"),))
    for _ in range(2):  # unseen, then remembered
        assert isinstance(await door.login("alex", PASSWORD, HOME), Account)
        assert await door.login("alex", PASSWORD, "198.51.100.1") is Refusal.NOT_AUTHORISED
        assert await door.login("alex", PASSWORD, "nonsense") is Refusal.NOT_AUTHORISED
    people.accounts["alex"] = replace(alex, is_blocked=True)
    assert door.try_login_cached("alex", PASSWORD, HOME) is Refusal.NOT_AUTHORISED


async def test_api_keys(people: People, door: Authentication) -> None:
    people.keys[hash_api_key("k" * 43)] = "alex"
    assert await door.api_key("k" * 43, HOME) is people.accounts["alex"]
    assert await door.api_key("x" * 43, HOME) is Refusal.NOT_AUTHORISED
    assert await door.api_key("", HOME) is Refusal.NOT_AUTHORISED
    people.accounts["alex"] = replace(people.accounts["alex"], is_blocked=True)
    assert await door.api_key("k" * 43, HOME) is Refusal.NOT_AUTHORISED


async def test_equal_requests_at_once_are_verified_once(
    people: People, door: Authentication, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = _count_checks(door, monkeypatch)
    told = await asyncio.gather(*(door.login("alex", PASSWORD, HOME) for _ in range(500)))
    assert told == [people.accounts["alex"]] * 500
    assert len(checked) == 1


async def test_a_guesser_does_not_keep_others_out(people: People, door: Authentication) -> None:
    guesses = [
        asyncio.ensure_future(door.login("alex", f"guess {n}", "203.0.113.9")) for n in range(200)
    ]
    await asyncio.sleep(0)
    assert await door.login("alex", PASSWORD, HOME) is people.accounts["alex"]
    told = await asyncio.gather(*guesses)
    assert told.count(Refusal.OVERLOADED) >= 190
    assert set(told) == {Refusal.OVERLOADED, Refusal.NOT_AUTHORISED}


async def test_what_waits_is_bounded(door: Authentication) -> None:
    told = await asyncio.gather(
        *(door.login("alex", f"guess {n}", f"203.0.113.{n}") for n in range(150))
    )
    assert told.count(Refusal.OVERLOADED) == 150 - 64


async def test_a_caller_that_goes_away_harms_nobody(people: People, door: Authentication) -> None:
    first = asyncio.ensure_future(door.login("alex", PASSWORD, HOME))
    second = asyncio.ensure_future(door.login("alex", PASSWORD, HOME))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is people.accounts["alex"]


async def test_memory_is_bounded(door: Authentication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_CACHED", 10)
    monkeypatch.setattr(module, "_is_hash_of", lambda stored, digest: False)
    for n in range(50):
        await door.login("alex", f"guess {n}", HOME)
    assert len(door._verdicts) == 10
    assert (door._pending, door._under_way) == ({}, {})


async def test_an_unknown_login_takes_the_time_of_a_wrong_password(door: Authentication) -> None:
    async def elapsed(login: str, n: int) -> float:
        # Of the processor: what else the machine does is not counted.
        started = time.process_time()
        assert await door.login(login, f"guess {n}", HOME) is Refusal.NOT_AUTHORISED
        return time.process_time() - started

    # In turns, and the best of each.
    times: dict[str, list[float]] = {"alex": [], "nobody": []}
    for n in range(9):
        for login, taken in times.items():
            taken.append(await elapsed(login, n))
    assert 0.5 < min(times["nobody"]) / min(times["alex"]) < 2


async def test_an_address_that_fails_too_often_is_blocked(
    guarded: Authentication, people: People, clock: Clock
) -> None:
    for _ in range(9):
        assert await guarded.login("alex", "wrong", HOME) is Refusal.NOT_AUTHORISED
    clock.now_ms += 61_000  # the nine are more than a minute ago
    for _ in range(10):
        assert not guarded.is_blocked(HOME)
        assert await guarded.login("alex", "wrong", HOME) is Refusal.NOT_AUTHORISED
    assert guarded.is_blocked(HOME)
    assert not guarded.is_blocked("192.0.2.2")
    assert await guarded.login("alex", PASSWORD, HOME) is Refusal.ADDRESS_BLOCKED
    assert await guarded.api_key("k", HOME) is Refusal.ADDRESS_BLOCKED
    assert guarded.try_login_cached("alex", PASSWORD, HOME) is Refusal.ADDRESS_BLOCKED
    assert await guarded.login("alex", PASSWORD, "192.0.2.2") is people.accounts["alex"]
    clock.now_ms += 300_000
    assert await guarded.login("alex", PASSWORD, HOME) is people.accounts["alex"]


async def test_all_addresses_of_one_subscriber_are_one(
    guarded: Authentication, people: People
) -> None:
    for n in range(10):
        await guarded.login("alex", "wrong", f"2001:db8:1:2:{n}::{n}")
    assert await guarded.login("alex", PASSWORD, "2001:db8:1:2::") is Refusal.ADDRESS_BLOCKED
    assert await guarded.login("alex", PASSWORD, "2001:db8:1:3::") is people.accounts["alex"]


async def test_blocking_is_off_unless_asked_for(door: Authentication, people: People) -> None:
    for _ in range(30):
        await door.login("alex", "wrong", HOME)
    assert not door.is_blocked(HOME)
    assert await door.login("alex", PASSWORD, HOME) is people.accounts["alex"]


async def test_addresses_in_memory_are_bounded(
    guarded: Authentication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_ADDRESSES", 20)
    for n in range(100):
        for _ in range(10 if n % 2 else 1):
            await guarded.api_key("wrong", f"2001:db8:{n}::1")
    assert len(guarded._guard._failures) <= 20
    assert len(guarded._guard.blocked) <= 20


async def test_nothing_secret_is_shown(people: People, hashes: tuple[str, str]) -> None:
    shown = repr(people.accounts["alex"])
    assert hashes[0] not in shown
    assert hashes[1] not in shown
    assert hashes[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
