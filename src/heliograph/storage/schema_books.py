"""The tables of what accounts keep for sending: contacts, black lists, sender names, templates.

Conventions are those of `schema`. `kind` of contacts, groups and black lists is a number of
`domain.contacts.ContactKind`. Texts that are compared without regard to case are stored a second
time as keys, which programs fold and the database compares byte by byte.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from heliograph.storage.schema import metadata

__all__ = ["metadata"]

_Id = BigInteger().with_variant(Integer, "sqlite")
# Prefixes are found in an index only where it is ordered by bytes, as it always is in SQLite.
_Key = Text(collation="C").with_variant(Text(), "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _owner() -> Column[int]:
    return Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False)


beginnings = Table(  # what an account was given once, so that it stays away when it is deleted
    "beginnings",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("what", Text, primary_key=True),  # groups, senders, tasks
)

contact_groups = Table(
    "contact_groups",
    metadata,
    Column("id", _Id, primary_key=True),
    _owner(),
    Column("kind", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    _text("number"),  # chosen by the client, digits; '' when it has none
    Column("size", BigInteger, nullable=False, server_default="0"),  # contacts in it
    Index("ix_contact_groups_account", "account_id", "kind", "id"),
    # Members of a deleted group are taken out step by step: its id must not come back meanwhile.
    sqlite_autoincrement=True,
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", _Id, primary_key=True),
    _owner(),
    Column("kind", SmallInteger, nullable=False),
    Column("address", Text, nullable=False),  # digits of a number, or an e-mail address
    _text("name"),
    _text("first_name"),
    _text("last_name"),
    _text("middle_name"),
    _text("birthday"),  # DD.MM.YYYY
    _text("client_ref"),
    _text("comments"),
    _text("tags"),
    _text("other_numbers"),
    Column("name_key", _Key, nullable=False, server_default=""),  # last, first, middle name
    Column("search_key", Text, nullable=False, server_default=""),  # everything that is searched
    UniqueConstraint("account_id", "kind", "address", name="uq_contacts_address"),
    Index("ix_contacts_account", "account_id", "kind", "id"),
    # With the id, so that PostgreSQL, too, reads no row for it.
    Index("ix_contacts_name_key", "account_id", "kind", "name_key", "id"),
)


# Who holds which grams, see `contact_index`: contacts stand on shelves of 4096 neighbouring ids.
contact_shelves = Table(
    "contact_shelves",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("shelf", BigInteger, nullable=False),  # id >> 12 of its contacts
    Column("settled", BigInteger, nullable=False),  # contacts, since it was last made anew
    Column("version", BigInteger, nullable=False),  # one more with every change
    UniqueConstraint("account_id", "kind", "shelf", name="uq_contact_shelves_shelf"),
)

contact_grams = Table(
    "contact_grams",
    metadata,
    # contact_shelves.id << 17 | mark
    Column("key", _Id, primary_key=True, autoincrement=False),
    Column("holders", LargeBinary, nullable=False),  # domain.grams: places on the shelf
)

contact_fresh = Table(  # contacts whose grams or groups are not in the rows of their shelf yet
    "contact_fresh",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("shelf", BigInteger, nullable=False),
    Column("places", LargeBinary, nullable=False),  # on the shelf, as holders are
    Column("count", Integer, nullable=False),  # of places
    Column("is_text", Boolean, nullable=False),  # not only their groups have changed
    Index("ix_contact_fresh_shelf", "account_id", "kind", "shelf"),
)

contact_members = Table(
    "contact_members",
    metadata,
    # Negative: in no group, see contact_groups.rest_id.
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contact_id", BigInteger, primary_key=True, autoincrement=False),
    # With the group, so that PostgreSQL, too, reads no row for it.
    Index("ix_contact_members_contact", "contact_id", "group_id"),
    sqlite_with_rowid=False,
)

black_entries = Table(
    "black_entries",
    metadata,
    Column("id", _Id, primary_key=True),
    _owner(),
    Column("key", BigInteger, nullable=False),  # domain.blacklists.black_key: address and type
    Column("address", Text, nullable=False),
    UniqueConstraint("account_id", "key", name="uq_black_entries_key"),
)

senders = Table(
    "senders",
    metadata,
    Column("id", _Id, primary_key=True),
    _owner(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # domain.senders.SenderKind
    Column("state", SmallInteger, nullable=False),  # domain.senders.SenderState
    _text("owner"),  # of an e-mail address
    _text("comment"),  # for the moderator
    Column("wishes", Text, nullable=False, server_default="{}"),  # JSON: registration data
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    UniqueConstraint("account_id", "name_key", name="uq_senders_name"),
    Index("ix_senders_state", "state", "id"),
)

sender_operators = Table(
    "sender_operators",
    metadata,
    Column("sender_id", BigInteger, ForeignKey("senders.id"), primary_key=True),
    Column("operator", Text, primary_key=True),  # a name of the operator flags
    Column("state", SmallInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

sender_documents = Table(
    "sender_documents",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("sender_id", BigInteger, ForeignKey("senders.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    _text("description"),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

sender_codes = Table(  # outlives its name: deleting that is no way to a second code
    "sender_codes",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("tries", SmallInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=False),
)

message_templates = Table(
    "message_templates",
    metadata,
    Column("id", _Id, primary_key=True),
    _owner(),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
    _text("format"),
    _text("sender"),
    Column("flags", SmallInteger, nullable=False, server_default="0"),  # 1: auto-signature
    Index("ix_message_templates_account", "account_id", "id"),
)

operator_templates = Table(
    "operator_templates",
    metadata,
    Column("id", _Id, primary_key=True),
    _owner(),
    Column("sender", Text, nullable=False),
    Column("sender_key", Text, nullable=False),
    Column("name", Text, nullable=False),  # operator and kind: mts_srv
    Column("text", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),  # 0 under review, 1 accepted, 2 refused
    Column("created_at", BigInteger, nullable=False),
    Index("ix_operator_templates_sender", "account_id", "sender_key"),
    Index("ix_operator_templates_state", "state", "id"),
)

task_groups = Table(  # whom ping.php notifies, and how
    "task_groups",
    metadata,
    Column("account_id", BigInteger, ForeignKey("accounts.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("name"),
    _text("phones"),  # divided by commas; '': the account's own
    _text("mails"),
    _text("sender"),
    Column("type", SmallInteger, nullable=False, server_default="0"),  # of messages to the phones
    Column("failure_text", Text, nullable=False),
    Column("recovery_text", Text, nullable=False),
)
