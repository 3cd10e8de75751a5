"""`heliograph send`, `status` and `message show`: one message, from the wish to its timeline."""

from __future__ import annotations

import sys
from typing import Any

import click

from heliograph.cli.options import Installation, json_option, numbers_option, with_installation
from heliograph.cli.output import print_json, print_record
from heliograph.cli.remote import call, caller_options

__all__ = ["message", "send", "status"]

# Message types and the request parameter that asks for them (send.php reference, 2.2).
_FLAGS: dict[str, dict[str, str]] = {
    "sms": {},
    "flash": {"flash": "1"},
    "binary": {"bin": "2"},
    "wap_push": {"push": "1"},
    "hlr": {"hlr": "1"},
    "ping": {"ping": "1"},
    "mms": {"mms": "1"},
    "call": {"call": "1"},
    "email": {"mail": "1"},
    "viber": {"viber": "1"},
    "social": {"soc": "1"},
    "whatsapp": {"whatsapp": "1"},
    "telegram": {"tg": "1"},
}


@click.command()
@click.argument("phones")
@click.argument("text", default="")
@click.option("--sender", help="Sender name; `.` for none. Without it: the account's.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(_FLAGS)),
    default="sms",
    show_default=True,
    help="What to send. The text of a binary message is hexadecimal.",
)
@click.option("--time", "when", help="When: `DD.MM.YY hh:mm`, `9-21`, `+30` (minutes).")
@click.option("--valid", help="Life of the message, hours or hh:mm.")
@click.option("--id", "client_id", help="An id of your own for it.")
@click.option("--translit", type=click.IntRange(0, 2), help="1 or 2: in Latin letters.")
@click.option("--estimate", is_flag=True, help="Only say what it would cost.")
@click.option(
    "--param", "extra", multiple=True, metavar="NAME=VALUE", help="Any other send.php parameter."
)
@caller_options
@json_option
@with_installation
def send(
    place: Installation,
    phones: str,
    text: str,
    *,
    sender: str | None,
    kind: str,
    when: str | None,
    valid: str | None,
    client_id: str | None,
    translit: int | None,
    estimate: bool,
    extra: tuple[str, ...],
    as_json: bool,
    **caller: str | None,
) -> None:
    """Send TEXT to PHONES (one, or several divided by commas) through the running gateway.

    `-` as TEXT reads it from standard input. Prints the message's id, its parts and its price.
    --login, --password, --apikey and --url may come from the environment: HELIOGRAPH_LOGIN,
    HELIOGRAPH_PASSWORD, HELIOGRAPH_APIKEY, HELIOGRAPH_URL.

    \b
    Example:
      heliograph send 79161234567 "Your parcel is here" --login shop --password ...
    """
    if text == "-":
        text = sys.stdin.read().rstrip("\n")
    if not text and kind not in ("hlr", "ping"):
        raise click.UsageError("a text is needed (only hlr and ping go without)")
    optional = {"sender": sender, "time": when, "valid": valid, "id": client_id}
    parameters = {"phones": phones, "mes": text, "cost": "1" if estimate else "3", **_FLAGS[kind]}
    parameters |= {name: value for name, value in optional.items() if value is not None}
    if translit is not None:
        parameters["translit"] = str(translit)
    for pair in extra:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--param {pair}: it has to be NAME=VALUE")
        parameters[name] = value
    answer = call(place, "send", parameters, **caller)
    if as_json:
        print_json(answer)
        return
    names = {"id": "id", "cnt": "parts", "cost": "cost", "balance": "balance"}
    print_record({label: answer[name] for name, label in names.items() if name in answer})


@click.command()
@click.argument("message_id", metavar="ID")
@click.argument("phone")
@caller_options
@json_option
@with_installation
def status(
    place: Installation, message_id: str, phone: str, *, as_json: bool, **caller: str | None
) -> None:
    """Ask the running gateway for the status of message ID to PHONE.

    ID is what `heliograph send` printed. The exit code is 1 when there is no such message.

    \b
    Example:
      heliograph status 14 79161234567 --login shop --password ...
    """
    answer = call(place, "status", {"id": message_id, "phone": phone, "all": "2"}, **caller)
    if as_json:
        print_json(answer)
    else:
        shown = ("status", "status_name", "err", "last_date", "send_date", "cost", "operator")
        print_record({name: answer[name] for name in shown if answer.get(name) not in (None, "")})
    if answer.get("status") == -3:
        raise SystemExit(1)


@click.group()
def message() -> None:
    """Look at messages.

    \b
    Example:
      heliograph message show 14 --account shop
    """


@message.command("show")
@click.argument("message_id", metavar="ID")
@click.option("--account", "login", help="Whose message: ids are counted per account.")
@click.option("--phone", help="Only the message to this number.")
@click.option("--internal", "is_internal", is_flag=True, help="ID is the one that logs speak of.")
@click.option("--text", "with_text", is_flag=True, help="Show the text; it is hidden otherwise.")
@numbers_option
@json_option
@with_installation
def show(
    place: Installation,
    message_id: str,
    *,
    login: str | None,
    phone: str | None,
    is_internal: bool,
    with_text: bool,
    numbers: bool,
    as_json: bool,
) -> None:
    """Tell the story of message ID: every decision, submit, answer, receipt and callback.

    ID is what the client was told. Ids are counted per account, so without --account the messages
    of all accounts with that id are shown. Read from the storage: works with the gateway stopped.

    \b
    Example:
      heliograph message show 14 --account shop --phone 79161234567 --text --numbers
    """
    from heliograph.cli.timeline import find_stories, print_story

    stories = place.read(
        lambda c: find_stories(c, message_id, login=login, phone=phone, is_internal=is_internal)
    )
    shown: list[dict[str, Any]] = [
        story.as_record(with_text=with_text, numbers=numbers) for story in stories
    ]
    if as_json:
        print_json(shown)
        return
    for index, record in enumerate(shown):
        if index:
            click.echo()
        print_story(record)
