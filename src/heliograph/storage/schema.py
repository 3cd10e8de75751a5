"""The tables. SQLAlchemy Core metadata is the one description; the migrations create it.

Conventions: `id` is a 64-bit integer; `*_at` is UTC epoch milliseconds, 0 for "never"; money is
micros; states and kinds are the numbers of the enums in `domain`. Hot tables (submissions,
messages, parts) are narrow and their indices are partial where only open rows are ever looked for,
so that an insert costs the same with ten million rows as with none.

A part's id is its message's id and its number (``message_id << 8 | seq``), so the parts of a
message are neighbours and need no index of their own.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

__all__ = ["metadata"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives row ids only to a column of type INTEGER; elsewhere the same column is 64-bit.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False, server_default="0")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _moment(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


# --- configuration: changes rarely, read whole into the directory ---------------------------------

revisions = Table(
    "revisions",
    metadata,
    Column("name", Text, primary_key=True),  # always 'configuration'
    Column("version", BigInteger, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),  # 'ids', 'client:<account id>'
    Column("next", BigInteger, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("login", Text, nullable=False, unique=True),
    Column("parent_id", BigInteger, nullable=False, server_default="0", index=True),
    Column("kind", SmallInteger, nullable=False, server_default="0"),  # of a sub-client
    # What follows from the kind and the main account, kept up with every change of either:
    Column("payer_id", BigInteger, nullable=False, server_default="0"),  # 0: itself
    Column("plan_id", BigInteger, nullable=False, server_default="0"),
    Column("currency", Text, nullable=False, server_default="RUR"),
    _text("default_sender"),
    Column("timezone_minutes", Integer, nullable=False, server_default="180"),
    Column("language", Text, nullable=False, server_default="ru"),
    _text("callback_url"),
    _text("networks"),  # CIDR list divided by commas
    _flag("is_blocked"),
    _flag("is_test"),
    Column("has_limits", SmallInteger, nullable=False, server_default="1"),
    _text("md5_hash"),
    _text("sha1_hash"),
    _text("smpp_hash"),
    Column("smpp_binds", Integer, nullable=False, server_default="0"),  # 0: the setting's
    Column("smpp_window", Integer, nullable=False, server_default="0"),
    Column("smpp_rate", Integer, nullable=False, server_default="0"),
    _moment("smpp_trace_until"),
    Column("settings", Text, nullable=False, server_default="{}"),  # JSON: names of users.php
    _moment("created_at"),
)

balances = Table(
    "balances",
    metadata,
    # A purse: the account's id, or its negative for the electronic balance (domain.ledger).
    Column("purse_id", _Id, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("balance_micros", BigInteger, nullable=False, server_default="0"),
    Column("credit_micros", BigInteger, nullable=False, server_default="0"),
    # That of the account; but while it shares another balance, the one that it had before.
    Column("currency", Text, nullable=False, server_default="RUR"),
)

currencies = Table(  # what one unit costs in the reference currency of the installation
    "currencies",
    metadata,
    Column("code", Text, primary_key=True),
    Column("rate_micros", BigInteger, nullable=False),
    _moment("changed_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("sha256", Text, nullable=False, unique=True),  # of the key: 256 random bits
    _text("name"),
    _flag("is_disabled"),
    _moment("created_at"),
)

plans = Table(
    "plans",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("currency", Text, nullable=False, server_default="RUR"),
    # Its number for main accounts, which give plans to their sub-clients; 0: not theirs to give.
    Column("number", SmallInteger, nullable=False, server_default="0"),
)

rates = Table(
    "rates",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("plan_id", BigInteger, ForeignKey("plans.id"), nullable=False),
    Column("type", SmallInteger, nullable=False, server_default="-1"),  # -1: every type
    _text("mccmnc"),
    _text("prefix"),
    Column("price_micros", BigInteger, nullable=False),
    UniqueConstraint("plan_id", "type", "mccmnc", "prefix"),
)

connectors = Table(
    "connectors",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # a name of the connector registry
    Column("settings", Text, nullable=False, server_default="{}"),  # JSON of that kind's settings
    _flag("is_disabled"),
    _moment("created_at"),
)

routes = Table(
    "routes",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("connector_id", BigInteger, ForeignKey("connectors.id"), nullable=False),
    Column("order", Integer, nullable=False, server_default="100"),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("account_id", BigInteger, nullable=False, server_default="0"),
    _text("types"),  # numbers divided by commas
    _text("prefix"),
    _text("mccmnc"),
    _text("sender"),
    _flag("is_disabled"),
)

prefixes = Table(  # imported numbering: overrides the packaged plan
    "prefixes",
    metadata,
    Column("prefix", Text, primary_key=True),
    Column("mccmnc", Text, nullable=False),
    _text("operator"),
    _text("region"),
    _text("region_ru"),
    _text("time_zones"),  # IANA names divided by spaces
)

ported_numbers = Table(  # single numbers that moved to another network
    "ported_numbers",
    metadata,
    Column("number", Text, primary_key=True),
    Column("mccmnc", Text, nullable=False),
)

service_numbers = Table(  # numbers that people write to, and whose they are
    "service_numbers",
    metadata,
    Column("number", Text, primary_key=True),
    Column("account_id", BigInteger, nullable=False),  # 0: nobody's, it can be rented
    # Monthly, in the reference currency of the installation; 0: given by the operator, not rented.
    Column("rent_micros", BigInteger, nullable=False, server_default="0"),
    _moment("paid_until"),  # of a rented one
    _flag("is_ending"),  # it is not prolonged
    Index(
        "ix_service_numbers_paid",
        "paid_until",
        sqlite_where=text("paid_until <> 0"),
        postgresql_where=text("paid_until <> 0"),
    ),
)

# --- traffic: one row per call, per recipient, per segment ----------------------------------------

submissions = Table(
    "submissions",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("payer_id", BigInteger, nullable=False),  # a purse: see balances
    Column("client_ref", Text, nullable=False),
    Column("type", SmallInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("door", Text, nullable=False),  # http, smpp, smtp, cli ...
    Column("flags", Integer, nullable=False),
    Column("is_test", SmallInteger, nullable=False),
    Column("options", Text),  # JSON, for the few that have any
    Column("transfer_id", BigInteger, nullable=False),  # the reserve it is part of; 0: free
    Column("created_at", BigInteger, nullable=False),
    Index("ix_submissions_client_ref", "account_id", "client_ref", "id"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("submission_id", BigInteger, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("payer_id", BigInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("mccmnc", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),  # open ones: SCHEDULED, HELD or QUEUED
    Column("err", SmallInteger, nullable=False),
    Column("part_count", SmallInteger, nullable=False),
    Column("price_micros", BigInteger, nullable=False),
    Column("charged_micros", BigInteger, nullable=False),  # meant once final_at is set
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("final_at", BigInteger, nullable=False),  # 0: open
    Column("own_text", Text),
    Column("own_sender", Text),
    Column("route", Text, nullable=False),  # connector ids divided by commas, best first
    Column("detail", Text),  # JSON: the answer of an HLR query
    Column("is_deleted", SmallInteger, nullable=False),  # its owner does not want to see it
    Column("flags", SmallInteger, nullable=False),  # bits of `flag` that are its own
    Index("ix_messages_submission", "submission_id", "recipient"),
    # For history. Ids are cut into buckets of 16384, and within its bucket a number lies anywhere:
    # an insert touches some warm pages only, however large the table is (see storage.history).
    Index("ix_messages_history", "account_id", text("(id >> 14)"), "recipient"),
    Index(
        "ix_messages_mails",
        "account_id",
        "id",
        sqlite_where=text("recipient LIKE '_%@%'"),
        postgresql_where=text("recipient LIKE '_%@%'"),
    ),
    Index(
        "ix_messages_scheduled",
        "due_at",
        sqlite_where=text("state = 1"),
        postgresql_where=text("state = 1"),
    ),
    Index(
        "ix_messages_open",
        "expires_at",
        sqlite_where=text("final_at = 0"),
        postgresql_where=text("final_at = 0"),
    ),
)

parts = Table(
    "parts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("state", SmallInteger, nullable=False),
    Column("connector_id", BigInteger, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("err", SmallInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_try_at", BigInteger, nullable=False),
    Column("submitted_at", BigInteger, nullable=False),
    Column("responded_at", BigInteger, nullable=False),
    Column("done_at", BigInteger, nullable=False),
    Index(  # what a start reads back: QUEUED, SUBMITTING, UNKNOWN
        "ix_parts_waiting",
        "connector_id",
        "id",
        sqlite_where=text("state IN (3, 4, 6)"),
        postgresql_where=text("state IN (3, 4, 6)"),
    ),
    Index(  # what a receipt looks for: SUBMITTED
        "ix_parts_external",
        "connector_id",
        "external_id",
        sqlite_where=text("state = 5"),
        postgresql_where=text("state = 5"),
    ),
)

pieces = Table(  # parts of long messages that came one by one, and what was made of them
    "pieces",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("client_ref", Text, nullable=False),
    Column("message_ref", Text, nullable=False),  # client_ref of the submission; '': it waits
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("reference", Integer, nullable=False),
    Column("total", SmallInteger, nullable=False),
    Column("number", SmallInteger, nullable=False),
    Column("data_coding", SmallInteger, nullable=False),
    Column("content", Text, nullable=False),  # hex digits; emptied when it is joined
    Column("options", Text, nullable=False),  # JSON
    Column("received_at", BigInteger, nullable=False),
    Index("ix_pieces_client_ref", "account_id", "client_ref"),
    Index(
        "ix_pieces_waiting",
        "id",
        sqlite_where=text("message_ref = ''"),
        postgresql_where=text("message_ref = ''"),
    ),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("purse_id", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    Column("effect_micros", BigInteger, nullable=False),  # what it did to the balance
    Column("count", Integer, nullable=False),  # messages in it
    Column("created_at", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Index("ix_transfers_purse", "purse_id", "id"),
    Index(  # what was paid in, for statistics: payments only, as moves have their own table
        "ix_transfers_payments",
        "purse_id",
        "created_at",
        sqlite_where=text("kind = 4"),
        postgresql_where=text("kind = 4"),
    ),
)

moves = Table(  # the two sides of a transfer between purses, and the rates when it was made
    "moves",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),  # the transfer of the giver
    Column("taker_transfer_id", BigInteger, nullable=False),
    Column("giver_id", BigInteger, nullable=False),  # purses
    Column("taker_id", BigInteger, nullable=False),
    Column("given_micros", BigInteger, nullable=False),
    Column("taken_micros", BigInteger, nullable=False),
    Column("giver_currency", Text, nullable=False),
    Column("taker_currency", Text, nullable=False),
    Column("giver_rate", BigInteger, nullable=False),
    Column("taker_rate", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_moves_giver", "giver_id", "created_at"),
    Index("ix_moves_taker", "taker_id", "created_at"),
)

# --- running totals: written in the transaction of the rows that they sum up ----------------------

totals = Table(  # of messages by the day on which they were accepted
    "totals",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970, sending.timezone
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),  # a purse
    Column("type", SmallInteger, primary_key=True, autoincrement=False),
    Column("mccmnc", Text, primary_key=True),
    Column("currency", Text, primary_key=True),  # of the amounts
    Column("messages", BigInteger, nullable=False),
    Column("parts", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("open_micros", BigInteger, nullable=False),  # reserved for messages on their way
    Column("charged_micros", BigInteger, nullable=False),
    # By columns, as SQLite gives no row ids to such a key and lists follow it.
    sqlite_with_rowid=False,
)

day_counts = Table(  # for accounts with daily limits only
    "day_counts",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),  # in the account's zone
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

events = Table(  # what was unusual on a message's way; the usual is in the columns of its rows
    "events",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, nullable=False),
    Column("part_seq", SmallInteger, nullable=False),  # 0: the message as a whole
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_events_message", "message_id", "id"),
)

unmatched_receipts = Table(
    "unmatched_receipts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("connector_id", BigInteger, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("err", SmallInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index("ix_unmatched_receipts_external", "connector_id", "external_id"),
)

incoming = Table(  # messages from handsets
    "incoming",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),  # 0: nobody has that number
    Column("connector_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Index("ix_incoming_account", "account_id", "id"),
    Index("ix_incoming_received", "account_id", "received_at"),
)

request_log = Table(  # what an account asked for through doors that answer nothing, and the outcome
    "request_log",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("door", Text, nullable=False),  # smtp, sms
    Column("what", Text, nullable=False),  # no texts, no numbers, no secrets
    Column("outcome", Text, nullable=False),
    Index("ix_request_log_account", "account_id", "id"),
)

# --- callbacks: written in the transaction of what they tell --------------------------------------

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("message_id", BigInteger, nullable=False),  # 0: not about a message
    Column("kind", Text, nullable=False),  # status, incoming, waitcall, receipt
    Column("payload", Text, nullable=False),  # JSON of names and values
    # 0 waits for a call, 1 done, 2 given up, 3 waits for a session of the account
    Column("state", SmallInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_try_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("done_at", BigInteger, nullable=False),
    Column("last_result", Text, nullable=False),
    Index(  # by account first: what a dead receiver leaves behind delays no other account's rows
        "ix_outbox_waiting",
        "account_id",
        "next_try_at",
        "id",
        sqlite_where=text("state = 0"),
        postgresql_where=text("state = 0"),
    ),
    Index("ix_outbox_message", "message_id"),
    Index(
        "ix_outbox_sessions",
        "account_id",
        "next_try_at",
        "id",
        sqlite_where=text("state = 3"),
        postgresql_where=text("state = 3"),
    ),
)

outbox_attempts = Table(  # every attempt that did not succeed at once
    "outbox_attempts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("outbox_id", BigInteger, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("result", Text, nullable=False),
    Column("elapsed_ms", Integer, nullable=False),
)
