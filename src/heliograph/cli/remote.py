"""Calls to a running gateway through its own HTTP API, as any client makes them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import click

from heliograph.cli.options import Command, Installation
from heliograph.cli.output import ExitCode, Failure, plain

__all__ = ["call", "caller_options"]

_TIMEOUT_S = 30.0
_ANYWHERE = ("0.0.0.0/0", "::/0")  # the person at the keyboard may call any address

# What to do about the errors of the API (send.php and status.php references, errors).
_ADVICE = {
    1: "check the parameters",
    2: "check --login and --password (or --apikey), and the account's list of addresses",
    3: "put money on the account: heliograph account credit LOGIN AMOUNT",
    4: "this address is blocked for some minutes after too many wrong requests",
    5: "check the form of --time, or the id and the number of the message",
    6: "choose another text or sender name",
    7: "check the number",
    8: "see why: heliograph route explain NUMBER --account LOGIN",
    9: "wait a minute, or switch limits.enforce and limits.duplicates off",
}


def caller_options(command: Command) -> Command:
    """Adds --url, --login, --password and --apikey."""
    for option in (
        click.option(
            "--apikey", envvar="HELIOGRAPH_APIKEY", help="API key instead of login and password."
        ),
        click.option("--password", envvar="HELIOGRAPH_PASSWORD", help="Its password."),
        click.option("--login", envvar="HELIOGRAPH_LOGIN", help="Login of the account."),
        click.option(
            "--url",
            envvar="HELIOGRAPH_URL",
            help="Address of the gateway. Without it: the one that runs on the data folder.",
        ),
    ):
        command = option(command)
    return command


def call(
    place: Installation,
    script: str,
    parameters: Mapping[str, str],
    *,
    url: str | None,
    login: str | None,
    password: str | None,
    apikey: str | None,
) -> dict[str, Any]:
    """The JSON answer of ``/sys/<script>.php``. Raises Failure, also for the API's errors."""
    form = {**_credentials(login, password, apikey), **parameters, "fmt": "3", "charset": "utf-8"}
    base = (url or _find_server(place)).rstrip("/")
    answer = asyncio.run(_post(f"{base}/sys/{script}.php", urlencode(form).encode("ascii")))
    if "error_code" in answer:
        number = answer["error_code"]
        advice = _ADVICE.get(number if isinstance(number, int) else 0, "see the reference")
        raise Failure(f"error {plain(number)}: {plain(answer.get('error', ''))}; {advice}")
    return answer


def _credentials(login: str | None, password: str | None, apikey: str | None) -> dict[str, str]:
    if apikey:
        return {"apikey": apikey}
    if not login:
        raise click.UsageError("--login with --password, or --apikey, is needed")
    if password is None:
        if not sys.stdin.isatty():
            raise click.UsageError("--password (or HELIOGRAPH_PASSWORD) is needed")
        password = click.prompt("Password", hide_input=True, err=True)
    return {"login": login, "psw": password}


def _find_server(place: Installation) -> str:
    """Address of the gateway that runs on the data folder, from its ports.json."""
    from heliograph.config import parse_listen

    config = place.config()
    file = config.server.data_dir / "ports.json"
    try:
        port = json.loads(file.read_text(encoding="utf-8"))["http"]
    except (OSError, ValueError, KeyError, TypeError):
        raise Failure(
            f"no gateway runs on {config.server.data_dir} ({file.name} is not there): start it "
            "with `heliograph serve`, or name it with --url",
            ExitCode.SERVER,
        ) from None
    if not port:
        raise Failure("the gateway's HTTP door is off: give it --http", ExitCode.SERVER)
    host = parse_listen(config.http.listen)[0] if config.http.listen else ""
    if host in ("", "0.0.0.0"):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _post(url: str, body: bytes) -> dict[str, Any]:
    from heliograph.httpclient import HttpClient, HttpError

    client = HttpClient(
        allow_private=True,
        allowed_networks=_ANYWHERE,
        timeout_s=_TIMEOUT_S,
        max_response_bytes=4 * 1024 * 1024,
    )
    where = url.rpartition("/sys/")[0]
    try:
        status, content = await client.post_form(url, body)
    except HttpError as error:
        raise Failure(
            f"{where} does not answer: {error}; is the gateway running?", ExitCode.SERVER
        ) from None
    finally:
        await client.close()
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if status != 200 or not isinstance(answer, dict):
        raise Failure(
            f"{where} answered HTTP {status} without a reply of the API: is it a gateway?",
            ExitCode.SERVER,
        )
    return answer
