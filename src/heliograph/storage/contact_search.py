"""Search for any part of a contact's texts, in books of a million.

Neither engine has an index for that without an extension. So the contacts of an account lie in
blocks of neighbouring ids. A block has their texts, as one, and signatures (`domain.signatures`): a
search looks at the signatures of all blocks, a kilobyte for 32 contacts, and at the texts of those
blocks only that may hold what is looked for.

A signature may know more than the texts, and never less: what changes is added to it, and it is
made anew when as many contacts have changed as it was made from.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import FromClause, TextClause, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.domain.contacts import ContactFilter, ContactKind
from heliograph.domain.signatures import (
    WIDTHS,
    Gram,
    add_text,
    make_signature,
    marks_of,
    shows,
)
from heliograph.storage.schema_books import (
    contact_members,
    contact_signatures,
    contact_texts,
    contacts,
)
from heliograph.storage.sets import is_sqlite, joined

__all__ = ["Search", "prepare", "refresh"]

# A block is 32 ids. Smaller ones: more signatures to read. Larger ones: a gram is in every block.
_BITS = 5
# Blocks that one statement brings: at first enough for a page of what is usual, then what the page
# still needs.
_FIRST_STEP, _LAST_STEP = 64, 1024
# Signatures that are looked at to learn which grams are rare in this book.
_SAMPLE = 64
# Another gram has to sort out at least a tenth of what those before it leave: asking costs, too.
_WORTH = 0.9
# Blocks whose signatures one change makes anew beyond those of new blocks, some 3 ms each; the
# others get their turn later.
_MAX_REMADE = 10
# More blocks than that are brought up to date by a thread.
_MANY = 2

# Texts of a block: (begin, id, middle, text) of each contact.
_BEGIN, _MIDDLE = "\x1e", "\x1f"
_BEGIN_OCTET, _MIDDLE_OCTET = _BEGIN.encode(), _MIDDLE.encode()
_TO_SPACES = str.maketrans(_BEGIN + _MIDDLE, "  ")

# Signatures first, then the texts block by block: by itself PostgreSQL would read all texts.
_SOURCE_SQLITE = (
    "{0} AS b CROSS JOIN contact_texts AS t "
    "ON t.account_id = b.account_id AND t.kind = b.kind AND t.block = b.block"
)
_SOURCE_POSTGRESQL = (
    "{0} AS b CROSS JOIN LATERAL (SELECT texts FROM contact_texts AS c WHERE "
    "c.account_id = b.account_id AND c.kind = b.kind AND c.block = b.block OFFSET 0) AS t"
)
_BIT_SQLITE = (
    "unicode(CAST(substr(b.signature, 1 + :p{0} % length(b.signature), 1) AS TEXT)) & :m{0}"
)
_BIT_POSTGRESQL = (
    "get_byte(b.signature, CAST(:p{0} AS int) % length(b.signature)) & CAST(:m{0} AS int)"
)
# The offset keeps PostgreSQL from reading all members first.
_HAS_MEMBERS = (
    "EXISTS (SELECT 1 FROM contact_members AS m WHERE m.group_id = :group_id AND m.contact_id "
    f"BETWEEN b.block << {_BITS} AND (b.block << {_BITS}) + {(1 << _BITS) - 1} LIMIT 1 OFFSET 0)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search that is ready to run. `share`: of the blocks that may hold what is looked for, by
    their signatures, from 0 to 1; `group_id` is one of `contact_members`."""

    place: Mapping[str, int]
    wanted: ContactFilter
    group_id: int | None
    part: str
    width: int
    grams: Sequence[Gram]
    share: float

    async def find_ids(self, connection: AsyncConnection) -> list[int]:
        """Ids of the next contacts that hold `wanted.search`, and fit the group and the full name
        if those are given; in their order."""
        wanted = self.wanted
        statement, values = _question(connection, self.width, self.grams, self.group_id)
        part = self.part.encode()
        found: list[int] = []
        seen, step, after = 0, _FIRST_STEP, self.place["after"]
        while len(found) < wanted.limit:
            rows = await connection.execute(
                statement, {**values, **self.place, "after": after, "limit": step}
            )
            blocks = rows.all()
            ids = [each for _, texts in blocks for each in _holders(texts, part)]
            ids = [id for id in ids if id > wanted.after_id]
            found += await self._fitting(connection, ids)
            if len(blocks) < step:
                break
            seen += step
            after = blocks[-1][0]
            missing = (wanted.limit - len(found)) * seen // max(len(found), 1)
            step = min(max(missing + missing // 8, _FIRST_STEP), _LAST_STEP)
        return found[: wanted.limit]

    async def _fitting(self, connection: AsyncConnection, ids: Sequence[int]) -> Sequence[int]:
        """Those of `ids` that fit the group and the full name, in their order."""
        if ids and self.group_id is not None:
            member = contact_members.c
            query = select(member.contact_id).where(
                member.group_id == self.group_id, joined(connection, member.contact_id, ids)
            )
            ids = (await connection.execute(query.order_by(member.contact_id))).scalars().all()
        if ids and self.wanted.full_name:
            first, last = self.wanted.name_span
            query = select(contacts.c.id).where(
                joined(connection, contacts.c.id, ids),
                contacts.c.name_key >= first,
                contacts.c.name_key < last,
            )
            ids = (await connection.execute(query.order_by(contacts.c.id))).scalars().all()
        return ids


async def prepare(
    connection: AsyncConnection,
    account_id: int,
    kind: ContactKind,
    wanted: ContactFilter,
    group_id: int | None,
) -> Search:
    """Looks at some signatures for how to search. `group_id`: see `Search`."""
    part = wanted.search.casefold().translate(_TO_SPACES)
    place = {
        "account_id": account_id,
        "kind": int(kind),
        "after": (wanted.after_id >> _BITS) - 1,
    }
    width, all_grams = marks_of(part)
    grams, share = await _choose(connection, place, width, all_grams)
    return Search(
        place=place,
        wanted=wanted,
        group_id=group_id,
        part=part,
        width=width,
        grams=grams,
        share=share,
    )


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
    blocks = await _take(connection, key, changes)
    if len(blocks) > _MANY:  # by a thread: it would hold up everybody else's requests
        await asyncio.to_thread(_bring_up, blocks, changes)
    else:
        _bring_up(blocks, changes)
    rows: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for number, block in blocks.items():
        place = {**key, "block": number}
        rows[contact_texts].append({**place, "spare": block.spare, "texts": block.texts})
        for width, signature in block.signatures.items():
            rows[contact_signatures[width]].append({**place, "signature": signature})
    engine = sqlite if is_sqlite(connection) else postgresql
    for table, values in rows.items():
        write = engine.insert(table)
        names = [column.name for column in table.columns if not column.primary_key]
        await connection.execute(
            write.on_conflict_do_update(
                index_elements=["account_id", "kind", "block"],
                set_={name: write.excluded[name] for name in names},
            ),
            values,
        )


def _bring_up(
    blocks: Mapping[int, _Block], changes: Mapping[int, Mapping[int, str | None]]
) -> None:
    worn = 0
    for number, block in blocks.items():
        block.apply(changes[number])
        worn += block.spare < 0
        if not block.signatures or (block.spare < 0 and worn <= _MAX_REMADE):
            block.remake()


@dataclass(slots=True)
class _Block:
    """A block. `signatures`: by their widths, none of a new block; `spare`: contacts that may
    change before they are made anew; `lines`: what is searched of each contact, by id."""

    signatures: dict[int, bytes] = field(default_factory=dict)
    spare: int = 0
    lines: dict[int, str] = field(default_factory=dict)

    def apply(self, changes: Mapping[int, str | None]) -> None:
        """Sets what is searched of contacts; None: it is gone."""
        for id, search_key in changes.items():
            self.lines.pop(id, None)
            if search_key is not None:
                self.lines[id] = search_key.translate(_TO_SPACES)
                for width, signature in self.signatures.items():
                    self.signatures[width] = add_text(signature, self.lines[id], width)
        self.spare -= len(changes)

    def remake(self) -> None:
        """Forgets what is gone."""
        texts = "\n".join(self.lines.values())
        self.signatures = {width: make_signature(texts, width) for width in WIDTHS}
        self.spare = len(self.lines)

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
    mine = contact_texts.c
    those = (
        mine.account_id == key["account_id"],
        mine.kind == key["kind"],
        joined(connection, mine.block, numbers),
    )
    if not is_sqlite(connection):
        empty = {"spare": 0, "texts": ""}
        add = postgresql.insert(contact_texts).values(
            [{**key, **empty, "block": number} for number in numbers]
        )
        await connection.execute(add.on_conflict_do_nothing())
        # A statement of its own: it may have to wait, and what it read before would be old.
        await connection.execute(
            select(mine.block).where(*those).order_by(mine.block).with_for_update()
        )
    source: FromClause = contact_texts
    for table in (contact_signatures[width] for width in WIDTHS):
        source = source.outerjoin(
            table,
            (table.c.account_id == mine.account_id)
            & (table.c.kind == mine.kind)
            & (table.c.block == mine.block),
        )
    made = [contact_signatures[width].c.signature for width in WIDTHS]
    rows = await connection.execute(
        select(mine.block, mine.spare, mine.texts, *made).select_from(source).where(*those)
    )
    known = {}
    for row in rows:
        signatures = {w: bytes(each) for w, each in zip(WIDTHS, row[3:], strict=True) if each}
        known[row[0]] = _Block(signatures, row[1], _Block.lines_of(row[2]))
    return {number: known.get(number) or _Block() for number in numbers}


async def _choose(
    connection: AsyncConnection, place: Mapping[str, int], width: int, grams: Sequence[Gram]
) -> tuple[Sequence[Gram], float]:
    """Those grams that sort out most, the rarest first, and which share of the blocks they leave,
    as the next signatures tell."""
    if not grams:
        return grams, 1.0
    rows = await connection.execute(
        text(
            f"SELECT signature FROM {contact_signatures[width].name} WHERE "
            "account_id = :account_id AND kind = :kind AND block > :after ORDER BY block LIMIT "
            f"{_SAMPLE}"
        ),
        place,
    )
    sample = left = [bytes(signature) for (signature,) in rows.all()]
    chosen: list[Gram] = []
    while left or not chosen:
        tries = [([each for each in left if shows(each, gram)], gram) for gram in grams]
        kept, best = min(tries, key=lambda each: len(each[0]))
        if chosen and len(kept) > _WORTH * len(left):
            break
        chosen.append(best)
        left = kept
    return chosen, len(left) / max(len(sample), 1)


def _question(
    connection: AsyncConnection, width: int, grams: Sequence[Gram], group_id: int | None
) -> tuple[TextClause, dict[str, Any]]:
    """The statement for the next blocks that may hold some grams, and its parameters; of a group,
    only blocks with members. Texts are octets: looking into them here is quicker than either
    engine's function for it."""
    values: dict[str, Any] = {}
    bits = []
    bit = _BIT_SQLITE if is_sqlite(connection) else _BIT_POSTGRESQL
    for number, (at, mask) in enumerate(mark for gram in grams for mark in gram):
        bits.append(bit.format(number))
        values |= {f"p{number}": at, f"m{number}": mask}
    if is_sqlite(connection):
        # One condition for all: given twelve, the planner of SQLite reads all blocks and sorts.
        whens = "".join(f"WHEN {each} THEN 0 " for each in bits)
        condition = f"CASE 0 {whens} ELSE 1 END" if bits else "1"
        source, texts = _SOURCE_SQLITE, "CAST(t.texts AS BLOB)"
    else:
        condition = " AND ".join([f"{each} <> 0" for each in bits]) or "true"
        source, texts = _SOURCE_POSTGRESQL, "convert_to(t.texts, 'UTF8')"
    if group_id is not None:
        condition += f" AND {_HAS_MEMBERS}"
        values["group_id"] = group_id
    return text(
        f"SELECT b.block, {texts} FROM {source.format(contact_signatures[width].name)} WHERE "
        f"b.account_id = :account_id AND b.kind = :kind AND b.block > :after AND {condition} "
        "ORDER BY b.block LIMIT :limit"
    ), values


def _holders(texts: bytes, part: bytes) -> Iterator[int]:
    """Ids of the contacts of a block whose text holds `part`."""
    at = texts.find(part)
    while at >= 0:
        begin = texts.rfind(_BEGIN_OCTET, 0, at)
        middle = texts.find(_MIDDLE_OCTET, begin)
        if at < middle:  # in the id
            at = texts.find(part, middle)
            continue
        yield int(texts[begin + 1 : middle])
        end = texts.find(_BEGIN_OCTET, middle)
        at = texts.find(part, end) if end >= 0 else -1
