"""Who may log in: passwords, API keys, addresses.

Passwords are verified with argon2id, in threads and at most a few at once; what has been verified
once is remembered as a keyed hash, so that the next request costs a microsecond. An unknown login
takes the same way and the same time as a wrong password.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum, unique

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from heliograph.config import Limits
from heliograph.domain.accounts import Account, AccountKind, credential_digests
from heliograph.domain.limits import MINUTE_MS, source_of
from heliograph.domain.refusals import Refusal
from heliograph.services.directory import Directory
from heliograph.storage.accounts import hash_api_key

__all__ = ["Authentication", "SessionRefusal", "hash_password", "hash_session_password"]

# 19 MiB and two passes: the least that OWASP's password storage sheet advises, some 20 ms here.
# More would buy little, as clients may send an MD5 instead of the password, and would make the
# start of a day, when every client logs in at once, long.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_THREADS = 2
_NICE = 10
# Verifications that wait for a thread: 64 of them are less than a second of waiting.
_MAX_PENDING = 64
# Of which one address may hold so many: a guesser must not keep the others out.
_MAX_PENDING_PER_ADDRESS = 8
_MAX_PASSWORD_CHARS = 1024
_MAX_CACHED = 50_000
_MAX_ADDRESSES = 20_000


def hash_password(password: str) -> tuple[str, str]:
    """(md5_hash, sha1_hash) to store: slow hashes of the two digests that clients may send.

    Takes some 40 ms; in a server, call it in a thread.
    """
    data = password.encode()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return _hasher.hash(md5), _hasher.hash(sha1)


def hash_session_password(password: str) -> str:
    """The hash to store of a password that only sessions use. Takes some 20 ms."""
    return _hasher.hash(hashlib.md5(password.encode(), usedforsecurity=False).hexdigest())


@unique
class SessionRefusal(Enum):
    """Why a session may not begin. Only who knows the password learns of the last two."""

    UNKNOWN_LOGIN = "there is no such login"
    WRONG_PASSWORD = "wrong password"
    NOT_ADMITTED = "the account may not open sessions, or not from this address"
    OVERLOADED = "too many passwords wait to be verified, or the address is blocked"


class Authentication:
    """Answers for every door. Used in the event loop only."""

    def __init__(self, directory: Directory, config: Limits, *, clock: Callable[[], int]) -> None:
        """`clock()`: epoch milliseconds."""
        self._directory = directory
        self._guard = _AddressGuard(config, clock)
        self._key = secrets.token_bytes(32)
        # (login, keyed hash of what was sent) -> (hash it was verified against, the verdict)
        self._verdicts: dict[tuple[str, bytes], tuple[str, bool]] = {}
        self._under_way: dict[tuple[str, bytes], asyncio.Future[bool]] = {}
        self._pending: dict[str, int] = {}
        self._pending_count = 0
        self._threads = ThreadPoolExecutor(
            _THREADS, thread_name_prefix="password", initializer=_step_back
        )
        # Verified instead of an unknown account's hash, so that it takes the same time.
        self._dummy = _hasher.hash(secrets.token_hex(16))

    def is_blocked(self, address: str) -> bool:
        """True while the address is blocked for too many failures (limits.auth_block)."""
        return self._guard.is_blocked(address)

    def try_login_cached(self, login: str, password: str, address: str) -> Account | Refusal | None:
        """The answer when this pair has been seen before; None: `login` has to be awaited."""
        if self._guard.blocked and self._guard.is_blocked(address):
            return Refusal.ADDRESS_BLOCKED
        account = self._directory.account(login)
        verdict = self._verdicts.get((login, self._keyed_hash(password)))
        if verdict is None or verdict[0] != (account.md5_hash if account else ""):
            return None
        return self._admit(account if verdict[1] else None, address)

    async def login(self, login: str, password: str, address: str) -> Account | Refusal:
        """The account; or NOT_AUTHORISED, ADDRESS_BLOCKED, OVERLOADED (too many unseen passwords
        wait to be verified)."""
        known = self.try_login_cached(login, password, address)
        if known is not None:
            return known
        account = self._directory.account(login)
        is_right = await self._prove(login, account, password, address)
        if is_right is None:
            return Refusal.OVERLOADED
        current = self._directory.account(login)  # it may have been changed meanwhile
        if not is_right or current is None or account is None:
            return self._admit(None, address)
        return self._admit(current if current.md5_hash == account.md5_hash else None, address)

    async def api_key(self, key: str, address: str) -> Account | Refusal:
        """The account that the key belongs to; or NOT_AUTHORISED, ADDRESS_BLOCKED."""
        if self._guard.is_blocked(address):
            return Refusal.ADDRESS_BLOCKED
        # 256 random bits: found by its hash or not at all, so comparing times tells nothing.
        account = self._directory.account_by_key(hash_api_key(key[:_MAX_PASSWORD_CHARS]))
        return self._admit(account, address)

    async def open_session(
        self, login: str, password: str, address: str
    ) -> Account | SessionRefusal:
        """The account that a session is for. It takes equally long for every login."""
        if self._guard.blocked and self._guard.is_blocked(address):
            return SessionRefusal.OVERLOADED
        account = self._directory.account(login)
        name, proven = login, account
        if account is not None and account.smpp_hash:
            # No login has a NUL: verdicts about the two passwords are kept apart.
            name += "\0session"
            proven = replace(account, md5_hash=account.smpp_hash, sha1_hash="")
        is_right = await self._prove(name, proven, password, address)
        if is_right is None:
            return SessionRefusal.OVERLOADED
        current = self._directory.account(login)  # it may have been changed meanwhile
        refusal = None
        if account is None or current is None:
            refusal = SessionRefusal.UNKNOWN_LOGIN
        elif not is_right or _session_hash(current) != _session_hash(account):
            refusal = SessionRefusal.WRONG_PASSWORD
        elif current.is_blocked or not current.has_sessions or not current.admits(address):
            refusal = SessionRefusal.NOT_ADMITTED
        if refusal is not None or current is None:
            self._guard.note_failure(address)
            return refusal or SessionRefusal.UNKNOWN_LOGIN
        return self._principal(current) or SessionRefusal.NOT_ADMITTED

    async def knows(self, account: Account, password: str) -> bool | None:
        """Whether this is the account's password, which somebody else gives; None: too many wait
        to be verified."""
        return await self._prove(account.login, account, password, f"account {account.parent_id}")

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _prove(
        self, name: str, account: Account | None, password: str, address: str
    ) -> bool | None:
        """Whether the password is the account's; None: too many wait to be verified. `name`: under
        which the verdict is remembered."""
        if len(password) > _MAX_PASSWORD_CHARS or not _is_encodable(password):
            return False
        key = (name, self._keyed_hash(password))
        verdict = self._verdicts.get(key)
        if verdict is not None and verdict[0] == (account.md5_hash if account else ""):
            return verdict[1]
        verified = self._under_way.get(key)
        if verified is None:
            address = source_of(address)
            pending = self._pending.get(address, 0)
            if self._pending_count >= _MAX_PENDING or pending >= _MAX_PENDING_PER_ADDRESS:
                return None
            self._pending[address] = pending + 1
            self._pending_count += 1
            verified = asyncio.ensure_future(self._verify(key, account, password, address))
            self._under_way[key] = verified
        return await asyncio.shield(verified)

    def _admit(self, account: Account | None, address: str) -> Account | Refusal:
        if account is None or account.is_blocked or not account.admits(address):
            self._guard.note_failure(address)
            return Refusal.NOT_AUTHORISED
        return self._principal(account) or Refusal.NOT_AUTHORISED

    def _principal(self, account: Account) -> Account | None:
        """Who is let in: somebody with an additional login acts as its main account."""
        if account.kind is not AccountKind.LOGIN:
            return account
        return self._directory.principal(account)

    async def _verify(
        self, key: tuple[str, bytes], account: Account | None, password: str, address: str
    ) -> bool:
        """Verifies in a thread and remembers the verdict."""
        try:
            is_right = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._check, account, password
            )
        finally:
            del self._under_way[key]
            self._pending_count -= 1
            self._pending[address] -= 1
            if not self._pending[address]:
                del self._pending[address]
        while len(self._verdicts) >= _MAX_CACHED:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[key] = (account.md5_hash if account else "", is_right)
        return is_right

    def _check(self, account: Account | None, password: str) -> bool:
        is_right = False
        for kind, digest in credential_digests(password):
            stored = ""
            if account is not None:
                stored = account.md5_hash if kind == "md5" else account.sha1_hash
            # Every reading is tried, also after one fitted or without an account: equal times.
            is_right |= _is_hash_of(stored or self._dummy, digest) and bool(stored)
        return is_right

    def _keyed_hash(self, password: str) -> bytes:
        data = password.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=16, key=self._key).digest()


def _step_back() -> None:
    """Lets the event loop have the processor first: a guesser's passwords cost time, not others'
    answers. On Linux a thread has a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _session_hash(account: Account) -> str:
    return account.smpp_hash or account.md5_hash


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _is_hash_of(stored: str, digest: str) -> bool:
    try:
        return _hasher.verify(stored, digest)
    except (Argon2Error, InvalidHashError):
        return False


class _AddressGuard:
    """Counts failures by address (of IPv6 the /64) and blocks (general rules, 4). Off unless
    configured."""

    def __init__(self, config: Limits, clock: Callable[[], int]) -> None:
        self._is_on = config.auth_block
        self._most = config.auth_failures_per_minute
        self._block_ms = config.auth_block_minutes * MINUTE_MS
        self._clock = clock
        self._failures: dict[str, list[int]] = {}
        self.blocked: dict[str, int] = {}

    def is_blocked(self, address: str) -> bool:
        """True while a block lasts."""
        if not self.blocked:
            return False
        address = source_of(address)
        until = self.blocked.get(address)
        if until is None:
            return False
        if self._clock() < until:
            return True
        del self.blocked[address]
        return False

    def note_failure(self, address: str) -> None:
        """Counts a failure; the last of too many begins a block."""
        if not self._is_on:
            return
        address = source_of(address)
        now_ms = self._clock()
        times = [at for at in self._failures.pop(address, ()) if at > now_ms - MINUTE_MS]
        times.append(now_ms)
        if len(times) >= self._most:
            _put(self.blocked, address, now_ms + self._block_ms)
            return
        while len(self._failures) >= _MAX_ADDRESSES:  # the address that failed longest ago
            del self._failures[next(iter(self._failures))]
        self._failures[address] = times


def _put(table: dict[str, int], key: str, value: int) -> None:
    while len(table) >= _MAX_ADDRESSES:
        del table[next(iter(table))]
    table[key] = value
