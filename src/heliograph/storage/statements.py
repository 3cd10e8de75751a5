"""The bulk statements of the hot path, in the order in which one transaction runs them."""

from __future__ import annotations

from heliograph.storage import schema
from heliograph.storage.batch import Statements
from heliograph.storage.bulk import Bulk
from heliograph.storage.bulk_texts import bulk_add, bulk_delete, bulk_insert, bulk_update

__all__ = [
    "CANCEL_PARTS",
    "CLAIM_PARTS",
    "DELETE_UNMATCHED",
    "FINISH_MESSAGES",
    "FINISH_PARTS",
    "HIDE_MESSAGES",
    "HOT",
    "INSERT_EVENTS",
    "INSERT_INCOMING",
    "INSERT_MESSAGES",
    "INSERT_OUTBOX",
    "INSERT_PARTS",
    "INSERT_REQUESTS",
    "INSERT_SUBMISSIONS",
    "INSERT_TRANSFERS",
    "INSERT_UNMATCHED",
    "JOIN_PIECES",
    "RELEASE_MESSAGES",
    "REQUEUE_PARTS",
    "RESPOND_PARTS",
    "REVISE_MESSAGES",
]

INSERT_SUBMISSIONS = bulk_insert(schema.submissions)
INSERT_MESSAGES = bulk_insert(schema.messages)
INSERT_PARTS = bulk_insert(schema.parts)
INSERT_TRANSFERS = bulk_insert(schema.transfers)
INSERT_EVENTS = bulk_insert(schema.events)
INSERT_OUTBOX = bulk_insert(schema.outbox)
INSERT_UNMATCHED = bulk_insert(schema.unmatched_receipts)
# A receipt that was kept as unmatched and has found its part after all: (id,).
DELETE_UNMATCHED = bulk_delete(schema.unmatched_receipts)
INSERT_INCOMING = bulk_insert(schema.incoming)
INSERT_PIECES = bulk_insert(schema.pieces)
INSERT_REQUESTS = bulk_insert(schema.request_log)

# A scheduled message whose time has come: (id, state).
RELEASE_MESSAGES = bulk_update(
    "release_messages",
    schema.messages,
    key="id",
    columns=["state"],
    guard="messages.final_at = 0",
)

# Just before the wire: (id, state, connector_id, submitted_at). Only what still waits may be
# claimed.
CLAIM_PARTS = bulk_update(
    "claim_parts",
    schema.parts,
    key="id",
    columns=["state", "connector_id", "submitted_at"],
    guard="parts.state = 3",
)

# The upstream's answer: (id, state, external_id, err, attempts, responded_at).
RESPOND_PARTS = bulk_update(
    "respond_parts",
    schema.parts,
    key="id",
    columns=["state", "external_id", "err", "attempts", "responded_at"],
)

# Back to the queue: (id, state, connector_id, err, attempts, next_try_at).
REQUEUE_PARTS = bulk_update(
    "requeue_parts",
    schema.parts,
    key="id",
    columns=["state", "connector_id", "err", "attempts", "next_try_at"],
)

# The end of a part: (id, state, err, done_at).
FINISH_PARTS = bulk_update(
    "finish_parts", schema.parts, key="id", columns=["state", "err", "done_at"]
)

# Parts that end without having been sent: (id, state, err, done_at).
CANCEL_PARTS = bulk_update(
    "cancel_parts",
    schema.parts,
    key="id",
    columns=["state", "err", "done_at"],
    guard="parts.state = 3",
)

# The end of a message, once: (id, state, err, charged_micros, final_at, detail).
FINISH_MESSAGES = bulk_update(
    "finish_messages",
    schema.messages,
    key="id",
    columns=["state", "err", "charged_micros", "final_at", "detail"],
    guard="messages.final_at = 0",
    returns=["id", "payer_id", "price_micros", "charged_micros"],
)

# Better news about a message that had ended: (id, state, err, final_at). No money moves.
REVISE_MESSAGES = bulk_update(
    "revise_messages", schema.messages, key="id", columns=["state", "err", "final_at"]
)

# Out of its owner's sight: (id, is_deleted).
HIDE_MESSAGES = bulk_update("hide_messages", schema.messages, key="id", columns=["is_deleted"])

# Pieces that became a message, or were given up: (id, message_ref).
JOIN_PIECES = bulk_update(
    "join_pieces",
    schema.pieces,
    key="id",
    columns=["message_ref"],
    expressions={"content": "''"},
)

# What other modules define (callbacks) is run after these, in the order of its arrival; then the
# ends of messages with their money (FINISH_MESSAGES), then the better news (REVISE_MESSAGES).
ORDER: tuple[Bulk, ...] = (
    INSERT_SUBMISSIONS,
    INSERT_MESSAGES,
    INSERT_PARTS,
    RELEASE_MESSAGES,
    CLAIM_PARTS,
    RESPOND_PARTS,
    REQUEUE_PARTS,
    FINISH_PARTS,
    CANCEL_PARTS,
    HIDE_MESSAGES,
    INSERT_PIECES,
    JOIN_PIECES,
    INSERT_OUTBOX,
    INSERT_EVENTS,
    INSERT_UNMATCHED,
    DELETE_UNMATCHED,
    INSERT_INCOMING,
    INSERT_REQUESTS,
)

HOT = Statements(
    order=ORDER,
    insert_submissions=INSERT_SUBMISSIONS,
    transfer_column=INSERT_SUBMISSIONS.columns.index("transfer_id"),
    insert_transfers=INSERT_TRANSFERS,
    finish_messages=FINISH_MESSAGES,
    revise_messages=REVISE_MESSAGES,
    add_totals=bulk_add(schema.totals),
)
