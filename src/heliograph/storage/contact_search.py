"""Search for any part of a contact's texts, in books of a million.

Neither engine has an index for that without an extension. So the contacts of an account lie in
blocks of neighbouring ids. A block has their texts, as one, and a signature (`domain.signatures`):
a search looks at the signatures of all blocks, a kilobyte for 64 contacts, and at the texts of
those blocks only that may hold what is looked for.

A signature may know more than the texts, and never less: what changes is added to it, and it is
made anew when as many contacts have changed as it was made from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import TextClause, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import ContactFilter, ContactKind
from heliograph.domain.signatures import ANYTHING, add_text, make_signature, marks_of
from heliograph.storage.schema_books import (
    contact_blocks,
    contact_members,
    contact_texts,
    contacts,
)
from heliograph.storage.sets import is_sqlite, joined

__all__ = ["find_ids", "refresh"]

# A block is 64 ids. Smaller ones: more signatures to read. Larger ones: a gram is in every block.
_BITS = 6
# Blocks that one statement brings: at first enough for a page of what is usual.
_FIRST_STEP, _LAST_STEP = 64, 1024
# Signatures that one change makes anew beyond those of new blocks, some 0.7 ms each; the others
# get their turn later.
_MAX_REMADE = 20

# Texts of a block: (begin, id, middle, text) of each contact.
_BEGIN, _MIDDLE = "\x1e", "\x1f"
_TO_SPACES = str.maketrans(_BEGIN + _MIDDLE, "  ")

# Signatures first, then the texts block by block: by itself PostgreSQL would read all texts.
_SOURCE_SQLITE = (
    "contact_blocks AS b CROSS JOIN contact_texts AS t "
    "ON t.account_id = b.account_id AND t.kind = b.kind AND t.block = b.block"
)
_SOURCE_POSTGRESQL = (
    "contact_blocks AS b CROSS JOIN LATERAL (SELECT texts FROM contact_texts AS c WHERE "
    "c.account_id = b.account_id AND c.kind = b.kind AND c.block = b.block OFFSET 0) AS t"
)
_BIT_SQLITE = (
    "unicode(CAST(substr(b.signature, 1 + :p{0} % length(b.signature), 1) AS TEXT)) & :m{0} <> 0"
)
_BIT_POSTGRESQL = (
    "get_byte(b.signature, CAST(:p{0} AS int) % length(b.signature)) & CAST(:m{0} AS int) <> 0"
)


async def find_ids(
    connection: AsyncConnection, account_id: int, kind: ContactKind, wanted: ContactFilter
) -> list[int]:
    """Ids of the next contacts that hold `wanted.search`, and fit the group and the full name if
    those are given; in their order."""
    part = wanted.search.casefold().translate(_TO_SPACES)
    statement, values = _question(connection, part)
    values |= {"account_id": account_id, "kind": int(kind)}
    found: list[int] = []
    after, step = (wanted.after_id >> _BITS) - 1, _FIRST_STEP
    while len(found) < wanted.limit:
        rows = await connection.execute(statement, {**values, "after": after, "limit": step})
        blocks = rows.all()
        ids = [id for _, texts in blocks for id in _holders(texts, part) if id > wanted.after_id]
        found += await _fitting(connection, ids, wanted)
        if len(blocks) < step:
            break
        after, step = blocks[-1][0], min(2 * step, _LAST_STEP)
    return found[: wanted.limit]


async def refresh(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    changed: Mapping[int, str | None],
) -> None:
    """Brings blocks up to date: `changed` are search keys by the ids of contacts that are new or
    have changed; None: it is gone.

    On PostgreSQL others who want to change contacts of the same blocks wait here, and then see
    what this transaction has written.
    """
    changes: dict[int, dict[int, str | None]] = defaultdict(dict)
    for id, search_key in changed.items():
        changes[id >> _BITS][id] = search_key
    if not changes:
        return
    key = {"account_id": account_id, "kind": int(kind)}
    signatures, texts = [], []
    worn = 0
    for number, block in (await _take(connection, key, changes)).items():
        block.apply(changes[number])
        worn += block.spare < 0
        if block.signature == ANYTHING or (block.spare < 0 and worn <= _MAX_REMADE):
            block.remake()
        place = {**key, "block": number}
        signatures.append({**place, "signature": block.signature, "spare": block.spare})
        texts.append({**place, "texts": block.texts})
    engine = sqlite if is_sqlite(connection) else postgresql
    for table, rows in ((contact_blocks, signatures), (contact_texts, texts)):
        write = engine.insert(table)
        names = [column.name for column in table.columns if not column.primary_key]
        await connection.execute(
            write.on_conflict_do_update(
                index_elements=["account_id", "kind", "block"],
                set_={name: write.excluded[name] for name in names},
            ),
            rows,
        )


@dataclass(slots=True)
class _Block:
    """A block. `spare`: contacts that may change before the signature is made anew; `lines`: what
    is searched of each contact, by id."""

    signature: bytes = ANYTHING
    spare: int = 0
    lines: dict[int, str] = field(default_factory=dict)

    def apply(self, changes: Mapping[int, str | None]) -> None:
        """Sets what is searched of contacts; None: it is gone."""
        for id, search_key in changes.items():
            self.lines.pop(id, None)
            if search_key is not None:
                self.lines[id] = search_key.translate(_TO_SPACES)
                self.signature = add_text(self.signature, self.lines[id])
        self.spare -= len(changes)

    def remake(self) -> None:
        """Forgets what is gone."""
        self.signature, self.spare = make_signature(self.lines.values()), len(self.lines)

    @property
    def texts(self) -> str:
        return "".join([f"{_BEGIN}{id}{_MIDDLE}{self.lines[id]}" for id in sorted(self.lines)])

    @staticmethod
    def lines_of(texts: str) -> dict[int, str]:
        lines = {}
        for line in texts.split(_BEGIN)[1:]:
            id, _, search_key = line.partition(_MIDDLE)
            lines[int(id)] = search_key
        return lines


async def _take(
    connection: AsyncConnection, key: dict[str, int], wanted: Mapping[int, object]
) -> dict[int, _Block]:
    """Blocks by their numbers. They are the transaction's own until its end."""
    numbers = sorted(wanted)
    block, lines = contact_blocks.c, contact_texts.c
    if not is_sqlite(connection):
        lock = postgresql.insert(contact_blocks).values(
            [{**key, "block": number, "signature": ANYTHING, "spare": 0} for number in numbers]
        )
        await connection.execute(
            lock.on_conflict_do_update(
                index_elements=["account_id", "kind", "block"], set_={"spare": block.spare}
            )
        )
    rows = await connection.execute(
        select(block.block, block.signature, block.spare, lines.texts)
        .join_from(
            contact_blocks,
            contact_texts,
            (lines.account_id == block.account_id)
            & (lines.kind == block.kind)
            & (lines.block == block.block),
        )
        .where(
            block.account_id == key["account_id"],
            block.kind == key["kind"],
            joined(connection, block.block, numbers),
        )
    )
    known = {row[0]: _Block(bytes(row[1]), row[2], _Block.lines_of(row[3])) for row in rows}
    return {number: known.get(number) or _Block() for number in numbers}


def _question(connection: AsyncConnection, part: str) -> tuple[TextClause, dict[str, Any]]:
    """The statement for the next blocks that hold a part of a text, and its parameters."""
    values: dict[str, Any] = {"part": part}
    bit, place, source = _BIT_POSTGRESQL, "strpos", _SOURCE_POSTGRESQL
    if is_sqlite(connection):
        bit, place, source = _BIT_SQLITE, "instr", _SOURCE_SQLITE
    conditions = []
    for number, (at, mask) in enumerate(marks_of(part)):
        conditions.append(bit.format(number))
        values |= {f"p{number}": at, f"m{number}": mask}
    statement = (
        f"SELECT b.block, t.texts FROM {source} "
        "WHERE b.account_id = :account_id AND b.kind = :kind AND b.block > :after AND "
        + "".join(f"{each} AND " for each in conditions)
        + f"{place}(t.texts, :part) > 0 ORDER BY b.block LIMIT :limit"
    )
    return text(statement), values


def _holders(texts: str, part: str) -> Iterator[int]:
    """Ids of the contacts of a block whose text holds `part`."""
    at = texts.find(part)
    while at >= 0:
        begin = texts.rfind(_BEGIN, 0, at)
        middle = texts.find(_MIDDLE, begin)
        if at < middle:  # in the id
            at = texts.find(part, middle)
            continue
        yield int(texts[begin + 1 : middle])
        end = texts.find(_BEGIN, middle)
        at = texts.find(part, end) if end >= 0 else -1


async def _fitting(
    connection: AsyncConnection, ids: Sequence[int], wanted: ContactFilter
) -> Sequence[int]:
    """Those of `ids` that fit the filter's group and full name, in their order."""
    if not ids or (wanted.group_id is None and not wanted.full_name):
        return ids
    query = select(contacts.c.id).where(joined(connection, contacts.c.id, ids))
    if wanted.full_name:
        first, last = wanted.name_span
        query = query.where(contacts.c.name_key >= first, contacts.c.name_key < last)
    if wanted.group_id is not None:
        members = select(contact_members.c.group_id).where(
            contact_members.c.contact_id == contacts.c.id
        )
        if wanted.group_id:
            query = query.where(
                members.where(contact_members.c.group_id == wanted.group_id).exists()
            )
        else:
            query = query.where(~members.exists())
    return list((await connection.execute(query.order_by(contacts.c.id))).scalars())
