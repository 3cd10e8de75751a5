"""The story of a message: every stored row about it, told in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.cli.output import Failure, mask_number, plain, print_record, show_moment, show_span
from heliograph.domain.messages import FINAL_STATES, MessageState, MessageType, derive_state
from heliograph.domain.money import format_micros
from heliograph.domain.numbering import normalise_recipient
from heliograph.domain.statuses import ERR_NAMES
from heliograph.storage import accounts, routing
from heliograph.storage.schema import accounts as account_rows
from heliograph.storage.schema import messages, submissions
from heliograph.storage.timeline import Timeline, read_timeline

__all__ = ["Story", "find_stories", "print_story"]

# A mailing shares one id among all its recipients: more than this is not read by people.
_MOST_STORIES = 20
_OUTBOX_STATES = {0: "waits", 1: "done", 2: "given up"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A message's rows, with the names of what they point to."""

    timeline: Timeline
    login: str
    connectors: dict[int, str]

    def as_record(self, *, with_text: bool, numbers: bool) -> dict[str, Any]:
        """What is known, with `events` in the order of time. `with_text`: the text too; `numbers`:
        the recipient's number whole."""
        submission, message = self.timeline.submission, self.timeline.message
        state = self._state()
        record: dict[str, Any] = {
            "id": submission["client_ref"],
            "internal_id": message["id"],
            "account": self.login,
            "recipient": mask_number(message["recipient"], is_shown=numbers),
            "sender": message["own_sender"] or submission["sender"],
            "type": MessageType(submission["type"]).name.lower(),
            "state": state.name.lower(),
            "err": message["err"],
            "err_name": ERR_NAMES.get(message["err"], ("", ""))[0] if message["err"] else "",
            "network": message["mccmnc"],
            "parts": message["part_count"],
            "price": format_micros(message["price_micros"]),
            "charged": format_micros(message["charged_micros"]) if message["final_at"] else "",
            "is_hidden": bool(message["is_deleted"]),
        }
        if with_text:
            own = message["own_text"]
            record["text"] = submission["text"] if own is None else own
        first = submission["created_at"]
        told = sorted(self._tell(), key=lambda event: event[0])
        record["events"] = [
            {"at": show_moment(at), "after_ms": at - first, "part": seq, "what": what}
            for at, seq, what in told
        ]
        return record

    def _state(self) -> MessageState:
        """The state in between is that of the parts (domain.messages)."""
        state = MessageState(self.timeline.message["state"])
        if state is MessageState.QUEUED and self.timeline.parts:
            return derive_state(MessageState(part["state"]) for part in self.timeline.parts)
        return state

    def _tell(self) -> Iterator[tuple[int, int, str]]:
        """(when, part or 0, what happened) without order."""
        yield from self._tell_acceptance()
        for part in self.timeline.parts:
            yield from self._tell_part(part)
        for event in self.timeline.events:
            yield event["at"], event["part_seq"], f"{event['kind']}: {event['detail']}"
        for receipt in self.timeline.unmatched:
            state = MessageState(receipt["state"]).name.lower()
            yield receipt["received_at"], 0, f"receipt {state} came and matched nothing then"
        yield from self._tell_callbacks()
        message = self.timeline.message
        if message["final_at"]:
            charged = format_micros(message["charged_micros"])
            back = message["price_micros"] - message["charged_micros"]
            money = f"charged {charged}" + (f", {format_micros(back)} given back" if back else "")
            yield (
                message["final_at"],
                0,
                f"ended {self._state().name.lower()}{_err(message)}; {money}",
            )

    def _tell_acceptance(self) -> Iterator[tuple[int, int, str]]:
        submission, message = self.timeline.submission, self.timeline.message
        test = " as a test" if submission["is_test"] else ""
        yield submission["created_at"], 0, f"came in by {submission['door']}{test}"
        route = [int(each) for each in message["route"].split(",") if each]
        names = " -> ".join(self.connectors.get(each, f"connector {each}") for each in route)
        price = format_micros(message["price_micros"])
        network = message["mccmnc"] or "not known"
        if message["part_count"]:
            yield (
                message["created_at"],
                0,
                f"accepted: {message['part_count']} part(s), network {network}, "
                f"{price} reserved, route {names or 'none'}",
            )
        if message["due_at"]:
            yield message["due_at"], 0, "to be sent at this time"
        if not message["final_at"]:
            yield message["expires_at"], 0, "will expire, if it is not delivered before"

    def _tell_part(self, part: dict[str, Any]) -> Iterator[tuple[int, int, str]]:
        seq = part["id"] & 0xFF
        state = MessageState(part["state"])
        name = self.connectors.get(part["connector_id"], f"connector {part['connector_id']}")
        attempt = f", attempt {part['attempts']}" if part["attempts"] > 1 else ""
        if part["submitted_at"]:
            yield part["submitted_at"], seq, f"claimed and sent to {name}{attempt}"
        if part["responded_at"] and part["external_id"]:
            took = show_span(part["responded_at"] - part["submitted_at"]).lstrip("+")
            external_id = part["external_id"]
            yield part["responded_at"], seq, f"{name} took it as {external_id}, in {took}"
        elif part["responded_at"]:
            yield part["responded_at"], seq, f"{name} answered{_err(part)}"
        if state is MessageState.QUEUED and part["next_try_at"]:
            yield part["next_try_at"], seq, f"to be tried again{_err(part)}"
        if part["done_at"] and state in FINAL_STATES:
            how = "receipt" if part["external_id"] else "end"
            yield part["done_at"], seq, f"{how}: {state.name.lower()}{_err(part)}"

    def _tell_callbacks(self) -> Iterator[tuple[int, int, str]]:
        for row in self.timeline.callbacks:
            name = f"callback {row['id']}"
            yield row["created_at"], 0, f"{name} ({row['kind']}) written"
            if row["state"] == 0 and row["attempts"]:
                yield row["next_try_at"], 0, f"{name} to be tried again"
            elif row["done_at"]:
                result = f": {row['last_result']}" if row["last_result"] else ""
                yield row["done_at"], 0, f"{name} {_OUTBOX_STATES[row['state']]}{result}"
        for row in self.timeline.attempts:
            took = f" in {row['elapsed_ms']} ms"
            yield row["at"], 0, f"callback {row['outbox_id']} tried: {row['result']}{took}"


async def find_stories(
    connection: AsyncConnection,
    reference: str,
    *,
    login: str | None,
    phone: str | None,
    is_internal: bool = False,
) -> list[Story]:
    """Messages by the id that their client was told, newest first. Raises Failure, NoSuchAccount.

    `is_internal`: `reference` is the id inside (logs and `ledger audit` speak of that one).
    """
    ids = await _find_ids(connection, reference, login=login, phone=phone, is_internal=is_internal)
    if not ids:
        raise Failure(f"there is no message {reference}" + (f" of {login}" if login else ""))
    connectors = {each.id: each.name for each in await routing.list_connectors(connection)}
    stories = []
    for message_id in ids[:_MOST_STORIES]:
        timeline = await read_timeline(connection, message_id)
        if timeline is None:
            continue
        owner = await accounts.find_account(connection, timeline.submission["account_id"])
        stories.append(Story(timeline=timeline, login=owner.login, connectors=connectors))
    if len(ids) > _MOST_STORIES:
        click.echo(f"only the newest {_MOST_STORIES} are shown: name one by --phone", err=True)
    return stories


async def _find_ids(
    connection: AsyncConnection,
    reference: str,
    *,
    login: str | None,
    phone: str | None,
    is_internal: bool,
) -> list[int]:
    query = (
        select(messages.c.id)
        .join(submissions, submissions.c.id == messages.c.submission_id)
        .order_by(messages.c.id.desc())
        .limit(_MOST_STORIES + 1)
    )
    if is_internal:
        if not reference.isascii() or not reference.isdigit():
            raise Failure(f"{reference!r} is no internal id: those are whole numbers")
        query = query.where(messages.c.id == int(reference))
    else:
        # By account, as the index has it; without one every account is looked at.
        owner = select(account_rows.c.id)
        if login is not None:
            owner = owner.where(
                account_rows.c.id == (await accounts.find_account(connection, login)).id
            )
        query = query.where(
            submissions.c.account_id.in_(owner), submissions.c.client_ref == reference
        )
    if phone is not None:
        query = query.where(messages.c.recipient == (normalise_recipient(phone) or phone))
    return list((await connection.execute(query)).scalars())


def print_story(record: dict[str, Any]) -> None:
    """A story for people: what it is, then its events with the time since the first one."""
    events = record.pop("events")
    print_record({name: value for name, value in record.items() if value not in ("", False)})
    click.echo()
    for event in events:
        part = f"part {event['part']}: " if event["part"] else ""
        after = show_span(event["after_ms"])
        click.echo(f"{event['at']}  {after:>11}  {part}{plain(event['what'])}")


def _err(row: dict[str, Any]) -> str:
    if not row["err"]:
        return ""
    name = ERR_NAMES.get(row["err"], ("", ""))[0]
    return f" (error {row['err']}{': ' + name.lower() if name else ''})"
