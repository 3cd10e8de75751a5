"""`heliograph simulate`: operators to try things on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from heliograph.cli.options import json_option, numbers_option
from heliograph.cli.output import Failure, mask_number, plain, print_json_line, show_moment

if TYPE_CHECKING:
    from heliograph.connectors.virtual.carrier import Carrier
    from heliograph.connectors.virtual.chaos import Arrival, Chaos
    from heliograph.protocols.smpp.pdu import DeliverSm

__all__ = ["simulate"]

_ID_BASES = ["decimal", "hex", "hex-upper", "hex-padded", "uuid"]


@click.group()
def simulate() -> None:
    """Simulated operators, with bad habits if wanted.

    \b
    Example:
      heliograph simulate smsc --port 2775
    """


@simulate.command("smsc")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=2775,
    show_default=True,
    help="Port; 0: any free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--system-id", default="", help="Let only this login in.")
@click.option("--password", default="", help="Let only this password in.")
@click.option(
    "--receipt-delay",
    "receipt_delay_ms",
    type=click.IntRange(0),
    default=0,
    metavar="MS",
    help="From the answer to the receipt, milliseconds.",
)
@click.option(
    "--undeliverable",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Share of numbers that are never reached, 0 to 1.",
)
@click.option(
    "--latency",
    "latency_ms",
    type=click.IntRange(0),
    default=0,
    metavar="MS",
    help="From a submit to its answer, milliseconds.",
)
@click.option(
    "--id-base",
    type=click.Choice(_ID_BASES),
    default="decimal",
    show_default=True,
    help="How message ids are written in answers.",
)
@click.option(
    "--receipt-id-base",
    type=click.Choice(_ID_BASES),
    help="How receipts write them; without it as in answers.",
)
@click.option(
    "--receipt-form",
    type=click.Choice(["text", "tlv", "both"]),
    default="both",
    show_default=True,
    help="Where a receipt names its message.",
)
@click.option("--receipt-early", is_flag=True, help="Receipts come before the answers.")
@click.option("--receipt-twice", is_flag=True, help="Every receipt comes twice.")
@click.option(
    "--drop-every",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Never answer each Nth submit.",
)
@click.option(
    "--throttle-every",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Refuse each Nth submit with ESME_RTHROTTLED.",
)
@click.option(
    "--disconnect-after",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Drop the connection at each Nth submit.",
)
@click.option("--shuffle-answers", is_flag=True, help="Answers come in another order.")
@numbers_option
@json_option
def smsc(
    *,
    host: str,
    port: int,
    system_id: str,
    password: str,
    receipt_delay_ms: int,
    undeliverable: float,
    numbers: bool,
    as_json: bool,
    **chaos: Any,
) -> None:
    """Be an operator's SMSC: take messages over SMPP, answer, send receipts, until Ctrl-C.

    Numbers ending in 0000 and four digits choose their own end (docs/reference/virtual-network.md).
    Every message and every receipt is printed; with --json one line of JSON each. Texts are printed
    as they came: it is a simulation.

    \b
    Example:
      heliograph simulate smsc --port 2775 --id-base hex --receipt-id-base decimal
      heliograph connector add sim --set host=127.0.0.1 --set port=2775
    """
    from heliograph.connectors.virtual.carrier import Carrier
    from heliograph.connectors.virtual.chaos import Chaos

    chaos["receipt_id_base"] = chaos["receipt_id_base"] or ""
    printer = Printer(numbers=numbers, as_json=as_json)
    carrier = Carrier(
        receipt_delay_ms=receipt_delay_ms, undeliverable_share=undeliverable, is_magic=True
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(
            _run(
                printer,
                carrier,
                Chaos(**chaos),
                address=(host, port),
                credentials=(system_id, password),
            )
        )


class Printer:
    """Says what happens: one line each, for people or as JSON."""

    def __init__(self, *, numbers: bool, as_json: bool) -> None:
        self._numbers = numbers
        self._as_json = as_json

    def listening(self, host: str, port: int) -> None:
        """The port is open."""
        self._say({"event": "listening", "host": host, "port": port}, f"listening on {host}:{port}")

    def arrived(self, arrival: Arrival) -> None:
        """A message was taken."""
        source, destination = self._mask(arrival.source), self._mask(arrival.destination)
        at = show_moment(arrival.received_at)
        record = {
            "event": "message",
            "at": at,
            "system_id": arrival.system_id,
            "id": arrival.message_id,
            "from": source,
            "to": destination,
            "text": arrival.text,
        }
        who = f"{arrival.system_id}: " if arrival.system_id else ""
        line = f"{at}  {who}{source} -> {destination}  id {arrival.message_id}  {arrival.text}"
        self._say(record, line)

    def reported(self, pdu: DeliverSm, at_ms: int) -> None:
        """A receipt goes out."""
        source, text = self._mask(pdu.source_addr), pdu.short_message.decode("latin-1")
        # The text of the message is repeated at the end of a receipt: it was printed already.
        text = text.partition(" text:")[0]
        at = show_moment(at_ms)
        record = {"event": "receipt", "at": at, "from": source, "receipt": text}
        self._say(record, f"{at}  receipt from {source}  {text}")

    def _mask(self, address: str) -> str:
        return mask_number(address, is_shown=self._numbers)

    def _say(self, record: Mapping[str, object], line: str) -> None:
        if self._as_json:
            print_json_line(record)
        else:
            click.echo(plain(line))


async def _run(
    printer: Printer,
    carrier: Carrier,
    chaos: Chaos,
    *,
    address: tuple[str, int],
    credentials: tuple[str, str],
) -> None:
    from heliograph.connectors.virtual.smsc import serve_smsc

    host, port = address
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    try:
        server = await serve_smsc(
            host,
            port,
            system_id=credentials[0],
            password=credentials[1],
            carrier=carrier,
            chaos=chaos,
        )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure(
            f"{host}:{port} can not be opened: {reason}; choose another --port (0: any free one)"
        ) from None
    server.on_arrival = printer.arrived
    server.on_receipt = lambda pdu: printer.reported(pdu, _now_ms())
    printer.listening(host, server.port)
    try:
        await stopping.wait()
    finally:
        await server.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
