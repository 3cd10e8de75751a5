"""Registers: what accounts themselves decide about their sending, in memory for every message.

Black lists, sender names and operator templates are looked at by the plan of each message, of
every door, so they are read once and kept; an account without any costs one lookup that finds
nothing. Changes made by this process are seen at once, those of others (the command line) within a
second, by the versions that every write counts up.
"""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from typing import TypeVar

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.blacklists import BlackList
from heliograph.domain.senders import SENDERS_SETTING, SenderRules, sender_key
from heliograph.domain.templates import TemplateSet
from heliograph.services.directory import Directory
from heliograph.storage import blacklists, revisions, senders, templates
from heliograph.storage.database import Database

__all__ = ["Registers"]

_POLL_S = 0.5
# Main accounts above a sub-client that may lend their names: deeper trees are a mistake.
_MAX_DEPTH = 20

_Register = TypeVar("_Register")

_log = structlog.get_logger(__name__)


class Registers:
    """Used in the event loop only. `load` it before anything else is asked."""

    def __init__(self, database: Database, directory: Directory, *, common_sender: str) -> None:
        """`common_sender`: the name that everybody may use; '' when there is none."""
        self._database = database
        self._directory = directory
        self._common = frozenset({sender_key(common_sender)} if common_sender else ())
        self._total = -1
        self._versions: dict[tuple[str, int], int] = {}
        self._black: dict[int, BlackList] = {}
        self._names: dict[int, frozenset[str]] = {}
        self._templates: dict[int, TemplateSet] = {}
        self._rules: dict[int, tuple[Account, SenderRules]] = {}
        self._loading = asyncio.Lock()
        directory.on_change(self._rules.clear)

    # --- for every message ------------------------------------------------------------------------

    def black_list(self, account_id: int) -> BlackList | None:
        """The account's black list; None: it has none."""
        return self._black.get(account_id)

    def templates(self, account_id: int) -> TemplateSet | None:
        """The account's accepted templates; None: it has none."""
        return self._templates.get(account_id)

    def sender_rules(self, account: Account) -> SenderRules | None:
        """Which sender names the account may use; None: every valid one."""
        settings = account.settings
        if not account.parent_id and SENDERS_SETTING not in settings:
            return None
        known = self._rules.get(account.id)
        if known is not None and known[0] is account:
            return known[1]
        default = "registered" if account.parent_id else "any"
        if settings.get(SENDERS_SETTING, default) == "any":
            return None
        rules = SenderRules(
            names=(self._names.get(account.id, frozenset()), self._common, *self._lent(account)),
            spare="" if account.is_on("fl2[12]") else settings.get("sender2", ""),
            is_silent=account.is_on("fl2[13]"),
        )
        if rules.spare and not rules.allows(rules.spare):
            rules = SenderRules(names=rules.names)
        self._rules[account.id] = (account, rules)
        return rules

    def _lent(self, account: Account) -> list[frozenset[str]]:
        """Names of the main accounts, as far up as `fl[29]` allows."""
        found: list[frozenset[str]] = []
        current: Account | None = account
        while current is not None and current.is_on("fl[29]") and len(found) < _MAX_DEPTH:
            current = self._directory.account_by_id(current.parent_id)
            if current is not None:
                own = frozenset({sender_key(current.default_sender)} - {""})
                found.append(self._names.get(current.id, frozenset()) | own)
        return found

    # --- keeping up -------------------------------------------------------------------------------

    def black_changed(self, account_id: int, key: int, *, is_added: bool, version: int) -> None:
        """A change of a black list that this process has committed."""
        listed = self._black.setdefault(account_id, BlackList())
        if is_added:
            listed.add(key)
        else:
            listed.remove(key)
        if not len(listed):
            del self._black[account_id]
        # Somebody else's change in between is read by the next poll, with all the list.
        if self._versions.get(("black", account_id), 0) == version - 1:
            self._versions["black", account_id] = version

    async def refresh(self) -> None:
        """Reads anew what has changed. Raises what the database raises; then nothing is lost."""
        async with self._loading, self._database.read() as connection:
            total, versions = await revisions.register_versions(connection, self._total)
            for (register, account_id), version in versions.items():
                if self._versions.get((register, account_id)) == version:
                    continue
                match register:
                    case "black":
                        keys = array("Q")
                        async for page in blacklists.stream_keys(connection, account_id):
                            keys.extend(page)
                        _replace(self._black, account_id, BlackList(keys))
                    case "senders":
                        names = await senders.active_names(connection, account_id)
                        _replace(self._names, account_id, names)
                        self._rules.clear()
                    case "templates":
                        accepted = await templates.accepted_templates(connection, account_id)
                        compiled = await asyncio.to_thread(TemplateSet, accepted)
                        _replace(self._templates, account_id, compiled if accepted else None)
                    case _:
                        continue
                self._versions[register, account_id] = version
            self._total = total

    async def run(self, stop: asyncio.Event) -> None:
        """Keeps up with changes until `stop` is set. A database that is away is waited for."""
        failed = False
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_S)
                return
            try:
                await self.refresh()
                failed = False
            except Exception as error:
                if not failed:
                    _log.warning("registers not refreshed", reason=str(error))
                failed = True


def _replace(register: dict[int, _Register], account_id: int, value: _Register | None) -> None:
    """Empty registers are not kept, so that their accounts cost nothing."""
    if value:
        register[account_id] = value
    else:
        register.pop(account_id, None)
