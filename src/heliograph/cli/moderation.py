"""`heliograph sender` and `heliograph template`: what a moderator sees and decides."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from heliograph.cli.options import ROW_ID, Installation, done_option, json_option, with_installation
from heliograph.cli.output import (
    Failure,
    print_done,
    print_json,
    print_record,
    print_table,
    show_moment,
)

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from heliograph.domain.senders import SenderState
    from heliograph.domain.templates import TemplateState
    from heliograph.storage.senders import Sender

__all__ = ["sender", "template"]

_POLICIES = {"any": "any", "registered": "registered", "usual": ""}


@click.group()
def sender() -> None:
    """Sender names: who asked for which, and which may be used.

    \b
    Example:
      heliograph sender list
      heliograph sender approve shop MyShop
    """


@sender.command("list")
@click.option("--login", default="", help="Names of this account only.")
@click.option("--all", "shows_all", is_flag=True, help="Also names that are decided.")
@json_option
@with_installation
def list_names(place: Installation, *, login: str, shows_all: bool, as_json: bool) -> None:
    """List sender names that wait for a decision.

    \b
    Example:
      heliograph sender list --login shop --all
    """
    from heliograph.domain.senders import SenderState
    from heliograph.storage import accounts, senders

    async def load(connection: AsyncConnection) -> list[dict[str, object]]:
        owner = (await accounts.find_account(connection, login)).id if login else None
        states = () if shows_all else (SenderState.MODERATED,)
        found = await senders.list_senders(connection, account_id=owner, states=states)
        logins = {a.id: a.login for a in await accounts.load_accounts(connection)}
        return [
            {
                "id": each.id,
                "account": logins.get(each.account_id, "?"),
                "name": each.name,
                "state": each.state.name.lower(),
                "comment": each.comment,
            }
            for each in found
        ]

    rows = place.read(load)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        click.echo("no names" if shows_all else "no names wait for a decision")


@sender.command("show")
@click.argument("login")
@click.argument("name")
@click.option(
    "--document",
    type=int,
    default=0,
    help="Write this document, by its number, to standard output.",
)
@json_option
@with_installation
def show_name(place: Installation, login: str, name: str, *, document: int, as_json: bool) -> None:
    """Show what the account LOGIN has told about the sender NAME, and its documents.

    \b
    Example:
      heliograph sender show shop MyShop
      heliograph sender show shop MyShop --document 3 > certificate.pdf
    """
    from heliograph.storage import senders

    async def load(connection: AsyncConnection) -> tuple[Sender, list[senders.Document], bytes]:
        found = await _find(connection, login, name)
        content = b""
        if document:
            read = await senders.read_document(connection, found.id, document)
            if read is None:
                raise Failure(f"{name} has no document {document}; see heliograph sender show")
            content = read
        return found, await senders.documents_of(connection, found.id), content

    found, documents, content = place.read(load)
    if document:
        sys.stdout.buffer.write(content)
        return
    record = {
        "name": found.name,
        "state": found.state.name.lower(),
        "comment": found.comment,
        "owner": found.owner,
        "made": show_moment(found.created_at),
        **found.wishes,
    }
    operators = {where: state.name.lower() for where, state in found.operators.items()}
    if as_json:
        files = [{"id": each.id, "name": each.name, "bytes": each.size} for each in documents]
        print_json({**record, "operators": operators, "documents": files})
        return
    shown = {f"at {where}": state for where, state in operators.items()}
    shown |= {f"document {d.id}": f"{d.name}, {d.size} bytes" for d in documents}
    print_record({**record, **shown})


@sender.command("approve")
@click.argument("login")
@click.argument("name")
@click.option("--operator", default="", help="The decision of this operator (`mts`) only.")
@done_option
@with_installation
def approve_name(place: Installation, login: str, name: str, *, operator: str) -> None:
    """Let the account LOGIN use the sender NAME, which is registered when it was not.

    \b
    Example:
      heliograph sender approve shop MyShop
    """
    from heliograph.domain.senders import SenderState

    _decide(place, login, name, operator=operator, state=SenderState.ACTIVE, creates=True)
    text = f"{login} may use {name}" if not operator else f"{name} is accepted at {operator}"
    print_done(text, account=login, name=name, operator=operator, state="active")


@sender.command("reject")
@click.argument("login")
@click.argument("name")
@click.option("--operator", default="", help="The decision of this operator (`mts`) only.")
@done_option
@with_installation
def reject_name(place: Installation, login: str, name: str, *, operator: str) -> None:
    """Keep the account LOGIN from using the sender NAME.

    \b
    Example:
      heliograph sender reject shop Bank
    """
    from heliograph.domain.senders import SenderState

    _decide(place, login, name, operator=operator, state=SenderState.REFUSED, creates=False)
    where = f" at {operator}" if operator else ""
    text = f"{name} of {login} is refused{where}"
    print_done(text, account=login, name=name, operator=operator, state="refused")


@sender.command("policy")
@click.argument("login")
@click.argument("policy", type=click.Choice(list(_POLICIES)))
@done_option
@with_installation
def set_policy(place: Installation, login: str, policy: str) -> None:
    """Say which sender names the account LOGIN may use.

    `any`: every valid one. `registered`: those of its registry. `usual`: any for accounts of the
    operator's own, registered for sub-clients.

    \b
    Example:
      heliograph sender policy shop registered
    """
    from heliograph.domain.senders import SENDERS_SETTING
    from heliograph.storage import accounts

    async def store(connection: AsyncConnection) -> None:
        account = await accounts.find_account(connection, login)
        changes = {SENDERS_SETTING: _POLICIES[policy]}
        await accounts.change_settings(connection, account.id, changes)

    place.write(store)
    print_done(f"{login}: {policy} sender names", account=login, policy=policy)


@click.group()
def template() -> None:
    """Texts that accounts registered at operators.

    \b
    Example:
      heliograph template list
      heliograph template approve 17
    """


@template.command("list")
@click.option("--all", "shows_all", is_flag=True, help="Also texts that are decided.")
@json_option
@with_installation
def list_texts(place: Installation, *, shows_all: bool, as_json: bool) -> None:
    """List operator templates that wait for a decision.

    \b
    Example:
      heliograph template list --all
    """
    from heliograph.domain.templates import TemplateState
    from heliograph.storage import accounts, templates

    async def load(connection: AsyncConnection) -> list[dict[str, object]]:
        states = () if shows_all else (TemplateState.REVIEWED,)
        logins = {a.id: a.login for a in await accounts.load_accounts(connection)}
        return [
            {
                "id": each.id,
                "account": logins.get(each.account_id, "?"),
                "sender": each.sender,
                "operator": each.name,
                "state": each.state.name.lower(),
                "text": each.text,
            }
            for each in await templates.list_operator_templates(connection, states=states)
        ]

    rows = place.read(load)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        click.echo("no templates" if shows_all else "no templates wait for a decision")


@template.command("approve")
@click.argument("id", type=ROW_ID)
@done_option
@with_installation
def approve_text(place: Installation, id: int) -> None:
    """Note that the operator accepted the template ID: messages are compared with it.

    \b
    Example:
      heliograph template approve 17
    """
    from heliograph.domain.templates import TemplateState

    _judge(place, id, TemplateState.ACCEPTED)
    print_done(f"template {id} is accepted", id=id, state="accepted")


@template.command("reject")
@click.argument("id", type=ROW_ID)
@done_option
@with_installation
def reject_text(place: Installation, id: int) -> None:
    """Note that the operator refused the template ID.

    \b
    Example:
      heliograph template reject 17
    """
    from heliograph.domain.templates import TemplateState

    _judge(place, id, TemplateState.REFUSED)
    print_done(f"template {id} is refused", id=id, state="refused")


def _judge(place: Installation, id: int, state: TemplateState) -> None:
    from heliograph.storage import templates

    if not place.write(lambda c: templates.set_template_state(c, id, state)):
        raise Failure(f"there is no template {id}; see heliograph template list --all")


async def _find(connection: AsyncConnection, login: str, name: str) -> Sender:
    from heliograph.storage import accounts, senders

    account = await accounts.find_account(connection, login)
    found = await senders.find_sender(connection, account.id, name=name)
    if found is None:
        raise Failure(f"{login} has no sender name {name!r}; see heliograph sender list --all")
    listed = await senders.list_senders(connection, account_id=account.id)
    return next(each for each in listed if each.id == found.id)


def _decide(
    place: Installation, login: str, name: str, *, operator: str, state: SenderState, creates: bool
) -> None:
    from heliograph.domain.senders import OPERATOR_FLAGS, kind_of_sender
    from heliograph.storage import accounts, senders

    now_ms = time.time_ns() // 1_000_000
    if operator and operator not in OPERATOR_FLAGS:
        raise Failure(f"there is no operator {operator!r}; there are {', '.join(OPERATOR_FLAGS)}")

    async def store(connection: AsyncConnection) -> None:
        account = await accounts.find_account(connection, login)
        found = await senders.find_sender(connection, account.id, name=name)
        kind = kind_of_sender(name, is_mail="@" in name)
        if found is None and creates and not operator:
            if kind is None:
                raise Failure(f"{name!r} can not be a sender name: up to 11 signs or 15 digits")
            await senders.put_sender(
                connection, account.id, name=name, kind=kind, state=state, now_ms=now_ms
            )
            return
        sender = await _find(connection, login, name)
        if operator:
            states = {operator: state}
            await senders.set_operators(connection, sender.id, states, now_ms=now_ms)
        else:
            await senders.set_sender_state(connection, sender.id, state, now_ms=now_ms)

    place.write(store)
