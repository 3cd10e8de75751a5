"""Contacts: the address book of an account, its groups and black list; groups as recipients.

What touches many contacts goes in steps, each in a transaction of its own: a large import holds up
nobody's messages, and what it has stored when it is broken off stays and can be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import islice

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.blacklists import BlackType, black_key
from heliograph.domain.contacts import (
    DEFAULT_GROUPS,
    GROUP_REFERENCE,
    Contact,
    ContactFilter,
    ContactKind,
    Group,
    normalise_address,
)
from heliograph.domain.messages import MessageType
from heliograph.domain.numbering import exactly
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, SendRequest
from heliograph.services.registers import Registers
from heliograph.storage import (
    beginnings,
    blacklists,
    contact_groups,
    contact_index,
    contact_pages,
    contacts,
)
from heliograph.storage.contacts import AddressTaken
from heliograph.storage.database import Database
from heliograph.storage.turns import Turn, take_turn

__all__ = ["Contacts", "Groups"]

# Contacts of one transaction: some tens of milliseconds, in which nobody else writes on SQLite.
_BATCH = 256
# Members of a group that one statement reads, and that one transaction takes out.
_PAGE = 10_000
_SWEEP = 2_000
# Shelves that a change of one contact may settle: what an import that was broken off has left takes
# its turn.
_SHELVES = 2
# Groups of one account and kind: lists of them have no pages.
_MAX_GROUPS = 10_000
# Entries of one black list, which takes 8 bytes each in memory.
_MAX_BLACK = 5_000_000

Row = tuple[str, Mapping[str, str]]

_log = structlog.get_logger(__name__)


class Groups:
    """Groups as recipients. A sub-client may use those of its main account when it has `fl[26]`."""

    def __init__(
        self,
        database: Database,
        *,
        account_by_id: Callable[[int], Account | None],
        max_recipients: int,
    ) -> None:
        self._database = database
        self._account_by_id = account_by_id
        self._max_recipients = max_recipients

    async def expand(self, request: SendRequest) -> Refusal | None:
        """Puts the contacts of groups (``G17``) in the place of their names; a refusal: a group is
        unknown or empty, or there are more recipients than a request may have."""
        kind = ContactKind.MAIL if request.type is MessageType.EMAIL else ContactKind.PHONE
        count = 0
        for entry in request.entries:
            count += await self._expand_entry(request.account, kind, entry)
            if count < 0 or count > self._max_recipients:
                return Refusal.BAD_PARAMETERS
        return None

    async def _expand_entry(self, account: Account, kind: ContactKind, entry: Entry) -> int:
        """How many recipients the entry has now; hopelessly negative when a group has none."""
        recipients: list[str] = []
        for each in entry.recipients:
            match = GROUP_REFERENCE.fullmatch(each)
            if match is None:
                recipients.append(each)
                continue
            before = len(recipients)
            async for page in self.stream(account, kind, match[1]):
                # Contacts are kept as they are dialled: nothing is to be corrected.
                recipients += map(exactly, page)
                if len(recipients) > self._max_recipients:
                    return len(recipients)
            if len(recipients) == before:
                return -self._max_recipients - 1
        entry.recipients = recipients
        return len(recipients)

    async def stream(
        self, account: Account, kind: ContactKind, reference: str
    ) -> AsyncIterator[list[str]]:
        """Addresses of the group that ``G<reference>`` names, in pages of any size; none when
        there is no such group. Holds no transaction between pages."""
        group = await self.find(account, kind, reference)
        after_id = 0
        while group is not None:
            async with self._database.read() as connection:
                page, after_id = await contacts.list_addresses(
                    connection, group.id, after_id=after_id, limit=_PAGE
                )
            if page:
                yield page
            if len(page) < _PAGE:
                return

    async def find(self, account: Account, kind: ContactKind, reference: str) -> Group | None:
        """The group: the account's own, or one of the main account that it may use."""
        async with self._database.read() as connection:
            found = await contact_groups.find_group(connection, account.id, kind, reference)
            if found is None and account.parent_id and account.is_on("fl[26]"):
                main = self._account_by_id(account.parent_id)
                if main is not None:
                    found = await contact_groups.find_group(connection, main.id, kind, reference)
        return found

    async def holds(self, account: Account, references: Iterable[str], phone: str) -> bool:
        """Whether a phone (digits) is in one of the groups that ``G<reference>`` name."""
        for reference in references:
            group = await self.find(account, ContactKind.PHONE, reference)
            if group is not None:
                async with self._database.read() as connection:
                    if await contact_groups.has_member(connection, group.id, phone):
                        return True
        return False


class Contacts:
    """The use cases of the address book, always within one account."""

    def __init__(self, database: Database, registers: Registers | None = None) -> None:
        """`registers` None: of another process, which notices changes by itself."""
        self._database = database
        self._registers = registers
        self._begun: set[int] = set()

    # --- contacts ---------------------------------------------------------------------------------

    async def add(
        self,
        account: Account,
        kind: ContactKind,
        rows: Iterable[Row],
        *,
        group_ids: Sequence[int] | None = None,
    ) -> int | Refusal:
        """Adds contacts, or gives those that exist the new data; the id of the last one.

        `rows` are pairs of (address as it was written, fields); what is no address is left out.
        `rows` are taken a batch at a time.
        """
        if group_ids and not await self._have_groups(account, kind, group_ids):
            return Refusal.NOT_FOUND
        last_id = 0
        source = iter(rows)
        while lines := list(islice(source, _BATCH)):
            batch: dict[str, Mapping[str, str]] = {}
            for text, fields in lines:
                address = normalise_address(kind, text)
                if address is not None:
                    batch.pop(address, None)  # the last one of equal ones stands last
                    batch[address] = fields
            if not batch:
                continue
            async with self._database.write() as connection:
                ids = await contacts.put_contacts(
                    connection, account.id, kind, rows=batch, group_ids=group_ids
                )
            last_id = ids[next(reversed(batch))]
            await contact_index.settle(self._database, account.id, kind, shelves=1)
        await contact_index.settle(self._database, account.id, kind)
        return last_id or Refusal.BAD_PARAMETERS

    async def change(
        self,
        account: Account,
        kind: ContactKind,
        address: str,
        *,
        fields: Mapping[str, str],
        new_addresses: Sequence[str] = (),
        group_ids: Sequence[int] | None = None,
    ) -> Refusal | None:
        """Changes a contact. Of several new addresses it gets the first one, and the others become
        contacts with the same data."""
        if group_ids and not await self._have_groups(account, kind, group_ids):
            return Refusal.NOT_FOUND
        try:
            async with self._database.write() as connection:
                id = await contacts.find_contact(connection, account.id, kind, address)
                if id is None:
                    return Refusal.NOT_FOUND
                await contacts.change_contact(
                    connection,
                    id,
                    fields=fields,
                    address=new_addresses[0] if new_addresses else "",
                    group_ids=group_ids,
                )
                if len(new_addresses) > 1:
                    await contacts.copy_contact(
                        connection, account.id, kind, id, addresses=new_addresses[1:]
                    )
        except AddressTaken:
            return Refusal.NOT_SAVED
        await contact_index.settle(self._database, account.id, kind, shelves=_SHELVES)
        return None

    async def delete(self, account: Account, kind: ContactKind, address: str) -> Refusal | None:
        """Deletes a contact."""
        async with self._database.write() as connection:
            id = await contacts.find_contact(connection, account.id, kind, address)
            if id is None:
                return Refusal.NOT_FOUND
            await contacts.delete_contact(connection, id)
        return None

    async def page(
        self, account: Account, kind: ContactKind, wanted: ContactFilter
    ) -> list[Contact]:
        """A page of contacts in the order of their ids."""
        async with self._database.read() as connection:
            return await contact_pages.list_contacts(connection, account.id, kind, wanted=wanted)

    # --- groups -----------------------------------------------------------------------------------

    async def groups(self, account: Account, kind: ContactKind) -> list[Group]:
        """The account's groups; a new account has two for each kind."""
        if account.id not in self._begun:
            async with self._database.read() as connection:
                has_begun = await beginnings.has_begun(connection, account.id, "groups")
            if not has_begun:
                await self._begin(account)
            self._begun.add(account.id)
        async with self._database.read() as connection:
            return await contact_groups.list_groups(connection, account.id, kind)

    async def add_group(
        self, account: Account, kind: ContactKind, *, name: str, number: str
    ) -> int | Refusal:
        """A new group; its id. The short number must be free."""
        await self.groups(account, kind)  # the default groups come first
        async with self._database.write() as connection:
            await take_turn(connection, Turn.GROUPS, account.id)
            if await contact_groups.count_groups(connection, account.id, kind) >= _MAX_GROUPS:
                return Refusal.NOT_SAVED
            if number and await contact_groups.has_number(connection, account.id, kind, number):
                return Refusal.NOT_SAVED
            return await contact_groups.add_group(
                connection, account.id, kind, name=name, number=number
            )

    async def change_group(
        self, account: Account, kind: ContactKind, group_id: int, changes: dict[str, str]
    ) -> Refusal | None:
        """Changes `name` and `number` of a group."""
        number = changes.get("number")
        async with self._database.write() as connection:
            await take_turn(connection, Turn.GROUPS, account.id)
            if number and await contact_groups.has_number(
                connection, account.id, kind, number, except_id=group_id
            ):
                return Refusal.NOT_SAVED
            is_changed = await contact_groups.change_group(
                connection, account.id, kind, group_id=group_id, changes=changes
            )
        return None if is_changed else Refusal.NOT_FOUND

    async def delete_group(
        self, account: Account, kind: ContactKind, group_id: int
    ) -> Refusal | None:
        """Deletes a group; its contacts stay."""
        async with self._database.write() as connection:
            if not await contact_groups.delete_group(
                connection, account.id, kind, group_id=group_id
            ):
                return Refusal.NOT_FOUND
        await self._sweep(account.id, kind, group_id)
        return None

    async def finish_deletions(self, stop: asyncio.Event) -> None:
        """Takes the members out of groups whose deletion an end of the program cut off."""
        try:
            async with self._database.read() as connection:
                left = await contact_groups.deleted_groups(connection)
            for group_id, account_id, kind in left:
                await self._sweep(account_id, kind, group_id, stop)
        except Exception as error:  # the database is away: there is another start
            _log.warning("members of deleted groups not removed", reason=type(error).__name__)

    async def _sweep(
        self, account_id: int, kind: ContactKind, group_id: int, stop: asyncio.Event | None = None
    ) -> None:
        is_more = True
        while is_more and not (stop is not None and stop.is_set()):
            async with self._database.write() as connection:
                is_more = await contact_groups.sweep_members(connection, group_id, _SWEEP)
            await contact_index.settle(self._database, account_id, kind)

    async def move(
        self, account: Account, kind: ContactKind, address: str, *, group_id: int, way: int
    ) -> Refusal | None:
        """Puts a contact into a group instead of all others (`way` 1) or besides (2), or takes it
        out (3). Group 0 with way 1: out of all."""
        if group_id and not await self._have_groups(account, kind, [group_id]):
            return Refusal.NOT_FOUND
        async with self._database.write() as connection:
            id = await contacts.find_contact(connection, account.id, kind, address)
            if id is None:
                return Refusal.NOT_FOUND
            if way == 3:
                await contact_groups.leave_group(connection, id, group_id)
            else:
                if way == 1:
                    await contact_groups.leave_groups(connection, [id])
                await contact_groups.join_groups(connection, [id], [group_id] if group_id else [])
        await contact_index.settle(self._database, account.id, kind, shelves=_SHELVES)
        return None

    # --- black list -------------------------------------------------------------------------------

    async def add_black(self, account: Account, address: str, type: BlackType) -> int | Refusal:
        """Puts an address on the black list; the entry's id."""
        listed = self._registers.black_list(account.id) if self._registers else None
        if listed is not None and len(listed) >= _MAX_BLACK:
            return Refusal.NOT_SAVED
        key = black_key(address, type)
        async with self._database.write() as connection:
            id, version = await blacklists.add_entry(
                connection, account.id, address=address, key=key
            )
        if self._registers is not None:
            self._registers.black_changed(account.id, key, is_added=True, version=version)
        return id

    async def remove_black(self, account: Account, address: str, type: BlackType) -> Refusal | None:
        """Takes an address off the black list."""
        key = black_key(address, type)
        async with self._database.write() as connection:
            version = await blacklists.remove_entry(connection, account.id, key)
        if not version:
            return Refusal.NOT_FOUND
        if self._registers is not None:
            self._registers.black_changed(account.id, key, is_added=False, version=version)
        return None

    # ----------------------------------------------------------------------------------------------

    async def _begin(self, account: Account) -> None:
        async with self._database.write() as connection:
            if await beginnings.begin(connection, account.id, "groups"):
                for kind in ContactKind:
                    for name in DEFAULT_GROUPS:
                        await contact_groups.add_group(connection, account.id, kind, name=name)

    async def _have_groups(
        self, account: Account, kind: ContactKind, group_ids: Sequence[int]
    ) -> bool:
        async with self._database.read() as connection:
            known = await contact_groups.known_groups(connection, account.id, kind)
        return known.issuperset(group_ids)
