"""Kannel's bearerbox and smsbox as an SMPP client of the door, with tshark looking at the wire."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from tests.harness.gateway import Gateway, wait_for
from tests.harness.ports import free_ports
from tests.interop.capture import watched

from heliograph.services.authentication import hash_password

pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(shutil.which("bearerbox") is None, reason="kannel is not installed"),
]

COUNT = 10_000
SENDERS = 10
PASSWORD = "secret12"
LONG = "All work and no play makes Jack a dull boy. " * 8


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(
        tmp_path_factory.mktemp("door") / "data",
        *("limits.enforce=false", "limits.duplicates=false"),
        doors=("smpp",),
    )
    running.create_account("kannel", smpp_hash=hash_password(PASSWORD)[0])
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()


_KANNEL = """
group = core
admin-port = {admin}
admin-password = bar
smsbox-port = {boxes}
box-allow-ip = "127.0.0.1"
log-file = {folder}/core.log
log-level = 1
dlr-storage = internal
sms-resend-freq = 5
sms-incoming-queue-limit = -1

group = smsc
smsc = smpp
smsc-id = gateway
host = 127.0.0.1
port = {smpp}
smsc-username = kannel
smsc-password = {password}
system-type = ""
transceiver-mode = true
max-pending-submits = 100
enquire-link-interval = 10
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}
log-file = {folder}/box.log
log-level = 1

group = sendsms-user
username = tester
password = foobar
max-messages = 5
concatenation = true
forced-smsc = gateway

group = sms-service
keyword = default
text = "no"
max-messages = 0
"""


class Receiver(asyncio.Protocol):
    """The web server that Kannel tells its receipts to; `ends` by what our address says."""

    ends: dict[str, list[str]]

    def __init__(self, ends: dict[str, list[str]]) -> None:
        self.ends = ends
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, self._data = self._data.partition(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            _, _, number, kind = path.split("/")
            self.ends.setdefault(number, []).append(kind)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@asynccontextmanager
async def kannel(folder: Path, smpp: int) -> AsyncIterator[int]:
    """Kannel bound to the gateway; the port of its sendsms."""
    admin, boxes, sendsms = free_ports(3)
    config = folder / "kannel.conf"
    config.write_text(
        _KANNEL.format(
            admin=admin,
            boxes=boxes,
            sendsms=sendsms,
            folder=folder,
            smpp=smpp,
            password=PASSWORD,
        )
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    programs = [await asyncio.create_subprocess_exec("bearerbox", str(config), **quiet)]
    try:
        await reach(boxes)
        programs.append(await asyncio.create_subprocess_exec("smsbox", str(config), **quiet))
        await reach(sendsms)
        yield sendsms
    finally:
        for program in reversed(programs):
            program.terminate()
            try:
                await asyncio.wait_for(program.wait(), 15)
            except TimeoutError:
                program.kill()
                await program.wait()


async def reach(port: int) -> None:
    """Waits until somebody listens there."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


class Order(NamedTuple):
    """What smsbox is asked to send: a number, and the fields of its request."""

    phone: str
    fields: dict[str, str]


def hello(number: int) -> Order:
    return Order(f"7916{number:07d}", {"text": f"hello {number}"})


async def send_by_kannel(sendsms: int, orders: list[Order], receiver: int) -> set[int]:
    """Sends orders over one kept connection; HTTP statuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sendsms)
    statuses = set()
    for order in orders:
        query = {
            "username": "tester",
            "password": "foobar",
            "from": "kannel",
            "to": order.phone,
            "dlr-mask": "3",
            "dlr-url": f"http://127.0.0.1:{receiver}/dlr/{order.phone}/%d",
            **order.fields,
        }
        path = f"/cgi-bin/sendsms?{urlencode(query, encoding='latin-1')}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: kannel\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        statuses.add(int(head.split(b" ", 2)[1]))
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
    writer.close()
    return statuses


async def run_kannel(folder: Path, orders: list[Order], port: int) -> dict[str, list[str]]:
    """Sends orders through Kannel; what its receipts said, by phone."""
    ends: dict[str, list[str]] = {}
    receiver = await asyncio.get_running_loop().create_server(
        lambda: Receiver(ends), "127.0.0.1", 0
    )
    told = receiver.sockets[0].getsockname()[1]
    async with kannel(folder, port) as sendsms:
        statuses = await asyncio.gather(
            *(send_by_kannel(sendsms, orders[at::SENDERS], told) for at in range(SENDERS))
        )
        assert set().union(*statuses) == {202}
        await asyncio.to_thread(
            wait_for, lambda: len(ends) == len(orders), timeout_s=90, what="receipts by Kannel"
        )
    receiver.close()
    return ends


async def test_kannel_loses_nothing(door: Gateway, tmp_path: Path) -> None:
    """Ten thousand messages with receipts, and tshark finds nothing wrong with what it was sent."""
    before = door.metric("heliograph_messages_finished_total")
    orders = [hello(1_000_000 + number) for number in range(COUNT)]
    async with watched(door.smpp, tmp_path / "many.pcap") as tap:
        ends = await run_kannel(tmp_path, orders, tap.port)
    assert len(ends) == COUNT
    # 1 is "delivered"; each was told once.
    assert {tuple(kinds) for kinds in ends.values()} == {("1",)}
    assert door.metric("heliograph_messages_finished_total") - before == COUNT
    assert not await asyncio.to_thread(door.audit)


async def test_kannel_sends_messages_of_every_kind(door: Gateway, tmp_path: Path) -> None:
    unicode = {"coding": "2", "charset": "UTF-8"}
    kinds: dict[str, tuple[dict[str, str], str]] = {
        "79170000001": ({"text": "Hello {kannel} @"}, "Hello {kannel} @"),
        "79170000002": ({"text": LONG}, LONG),
        "79170000003": ({**unicode, "text": latin("Привет, мир")}, "Привет, мир"),
        "79170000004": ({**unicode, "text": latin("Длинно. " * 30)}, "Длинно. " * 30),
        "79170000005": ({"coding": "1", "text": "\x01\x02\xff"}, "000102ff"),
        "79170000006": (
            {"coding": "1", "udh": "\x06\x05\x04\x0b\x84\x23\xf0", "text": "\x01\x02"},
            "0605040b8423f00102",
        ),
    }
    orders = [Order(phone, fields) for phone, (fields, _) in kinds.items()]
    async with watched(door.smpp, tmp_path / "kinds.pcap") as tap:
        ends = await run_kannel(tmp_path, orders, tap.port)
    assert {phone: set(told) for phone, told in ends.items()} == {p: {"1"} for p in kinds}
    shown = {
        phone: door.call("get", get_messages=1, login="kannel", phone=phone)[0]["message"]
        for phone in kinds
    }
    assert shown == {phone: text for phone, (_, text) in kinds.items()}


def latin(text: str) -> str:
    """UTF-8 as octets that `urlencode` writes one by one."""
    return text.encode().decode("latin-1")
