"""The SMPP door under clients that other people wrote, with tshark looking at the wire."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.gsm
from aiosmpplib import ESME, NPI, TON, PhoneNumber
from aiosmpplib import SubmitSm as TheirSubmitSm
from aiosmpplib.hook import AbstractHook
from aiosmpplib.protocol import DeliverSm as TheirDeliverSm
from aiosmpplib.protocol import SubmitSmResp as TheirSubmitSmResp
from tests.harness.gateway import Gateway, wait_for
from tests.harness.ports import free_ports
from tests.interop.capture import WireTap, tapped

_HERE = Path(__file__).parent
PHONE = "79161234567"
PASSWORD = "secret12"  # eight signs: some clients take no more
CLIENTS = ("smpplib", "aio", "node", "perl", "kannel")
UNLIMITED = ("limits.enforce=false", "limits.duplicates=false")
LONG = "All work and no play makes Jack a dull boy. " * 8


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("door") / "data", *UNLIMITED, doors=("smpp",))
    for login in CLIENTS:
        running.create_account(login)
        running.cli("account", "set", login, "--smpp-password", PASSWORD)
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()


@asynccontextmanager
async def watched(door: Gateway, capture: Path) -> AsyncIterator[WireTap]:
    """A tap on the door; what the server sent through it must be in order for tshark."""
    async with tapped(door.smpp) as tap:
        yield tap
    if shutil.which("tshark") is None:
        return
    tap.write_pcap(capture)
    fields = ["smpp.command_id", "ip.src", "_ws.malformed", "_ws.expert.message"]
    command = ["tshark", "-r", str(capture), "-d", f"tcp.port=={door.smpp},smpp", "-T", "fields"]
    command += ["-Y", "smpp", *(part for field in fields for part in ("-e", field))]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=90, check=True
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    from_server = [row for row in rows if row[1] == "10.0.0.2"]
    assert from_server
    assert [row for row in from_server if any(row[2:])] == []


def text_of(door: Gateway, login: str, message_id: str) -> dict[str, Any]:
    """The message as its owner reads it over HTTP."""
    answer: dict[str, Any] = door.status(message_id, PHONE, all=1, login=login)
    return answer


# --- smpplib --------------------------------------------------------------------------------------


class SmpplibClient:
    """PyPI's smpplib, as its manual shows it."""

    def __init__(self, port: int) -> None:
        self.ids: list[str] = []
        self.receipts: dict[str, str] = {}
        self.states: list[tuple[int, int]] = []
        self._client = smpplib.client.Client(
            "127.0.0.1", port, allow_unknown_opt_params=True, timeout=10
        )
        self._client.set_message_sent_handler(lambda pdu: self.ids.append(pdu.message_id.decode()))
        self._client.set_message_received_handler(self._take)
        self._client.set_query_resp_handler(
            lambda pdu: self.states.append((pdu.status, pdu.message_state))
        )

    def _take(self, pdu: Any) -> int:
        self.receipts[pdu.receipted_message_id.decode()] = pdu.short_message.decode()
        return 0

    def send(self, text: str, **fields: Any) -> list[str]:
        """Ids of the parts."""
        parts, coding, kind = smpplib.gsm.make_parts(text)
        ids = []
        for part in parts:
            sent = self._client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
                source_addr="smpplib",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                destination_addr=PHONE,
                short_message=part,
                data_coding=coding,
                esm_class=kind,
                registered_delivery=True,
                **fields,
            )
            assert sent is not None
            before = len(self.ids)
            self.poll(lambda before=before: len(self.ids) > before)
            ids.append(self.ids[-1])
        return ids

    def poll(self, is_done: Any) -> None:
        ends = time.monotonic() + 20
        while not is_done():
            assert time.monotonic() < ends
            self._client.read_once()

    def run(self) -> dict[str, list[str]]:
        client = self._client
        client.connect()
        client.bind_transceiver(system_id="smpplib", password=PASSWORD)
        sent = {
            "short": self.send("Hello {smpplib} @ €"),
            "long": self.send(LONG),
            "cyrillic": self.send("Привет, мир"),
        }
        later = self.send("later", schedule_delivery_time="000000010000000R")
        client.query_message(
            message_id=later[0], source_addr_ton=5, source_addr_npi=0, source_addr="smpplib"
        )
        self.poll(lambda: self.states)
        wanted = [message_id for ids in sent.values() for message_id in ids]
        self.poll(lambda: set(wanted) <= set(self.receipts))
        client.unbind()
        client.disconnect()
        return sent


async def test_smpplib(door: Gateway, tmp_path: Path) -> None:
    async with watched(door, tmp_path / "smpplib.pcap") as tap:
        client = SmpplibClient(tap.port)
        sent = await asyncio.to_thread(client.run)
    assert len(sent["long"]) == 3
    for message_id in (each for ids in sent.values() for each in ids):
        assert "stat:DELIVRD" in client.receipts[message_id]
    shown = {name: text_of(door, "smpplib", ids[0])["message"] for name, ids in sent.items()}
    assert shown == {"short": "Hello {smpplib} @ €", "long": LONG, "cyrillic": "Привет, мир"}
    assert client.states == [(0, 1)]


# --- aiosmpplib -----------------------------------------------------------------------------------


class Hook(AbstractHook):  # type: ignore[misc]
    """Collects what aiosmpplib tells."""

    def __init__(self) -> None:
        self.answers: list[TheirSubmitSmResp] = []
        self.receipts: list[TheirDeliverSm] = []
        self.errors: list[Exception] = []

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        """Nothing."""

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        """Sorts."""
        if isinstance(smpp_message, TheirSubmitSmResp):
            self.answers.append(smpp_message)
        elif isinstance(smpp_message, TheirDeliverSm):
            self.receipts.append(smpp_message)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        """Keeps."""
        self.errors.append(error)


# It leaves its stream to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_aiosmpplib(door: Gateway, tmp_path: Path) -> None:
    hook = Hook()
    async with watched(door, tmp_path / "aio.pcap") as tap:
        esme = ESME("127.0.0.1", tap.port, "aio", PASSWORD, hook=hook)
        running = asyncio.create_task(esme.start())
        texts = ["Hello aiosmpplib", "Привет, мир", LONG]
        for number, text in enumerate(texts):
            message = TheirSubmitSm(
                short_message=text,
                source=PhoneNumber("aio", TON.ALPHANUMERIC, NPI.UNKNOWN),
                destination=PhoneNumber(PHONE, TON.INTERNATIONAL, NPI.ISDN),
                validity_period=timedelta(hours=2),
                log_id=str(number),
                auto_message_payload=True,
            )
            await esme.broker.enqueue(message)
        await asyncio.to_thread(
            wait_for, lambda: len(hook.receipts) == len(texts), what="receipts by aiosmpplib"
        )
        await esme.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert hook.errors == []
    ids = [answer.message_id for answer in hook.answers]
    assert [text_of(door, "aio", each)["message"] for each in ids] == texts
    # Receipts are matched to messages: aiosmpplib gives them the log_id of their submit_sm.
    assert sorted(receipt.log_id for receipt in hook.receipts) == ["0", "1", "2"]
    parsed = [receipt.parse_receipt() for receipt in hook.receipts]
    assert {each["id"] for each in parsed} == set(ids)
    assert {each["stat"] for each in parsed} == {"DELIVRD"}


# --- npm smpp, Perl's Net::SMPP -------------------------------------------------------------------


async def run_program(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=_HERE
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_node_smpp(door: Gateway, tmp_path: Path, npm_modules: Path, node: list[str]) -> None:
    async with watched(door, tmp_path / "node.pcap") as tap:
        script = str(_HERE / "smpp_client.cjs")
        told = json.loads(await run_program(*node, script, str(tap.port), "node", PASSWORD))
    ids = told["ids"]
    assert told["bound"] == [0, "smsc"]
    assert set(told["statuses"].values()) == {0}
    # It speaks 5.0, where a message that waits for its time is SCHEDULED.
    assert (told["query"], told["cancel"], told["alive"], told["unbound"]) == ([0, 0], 0, 0, 0)
    receipts = {receipt["id"]: receipt for receipt in told["receipts"]}
    assert set(receipts) == set(ids.values())
    assert receipts[ids["later"]]["state"] == 4
    assert {receipts[ids[n]]["state"] for n in ids if n != "later"} == {2}
    expected = {
        "short": "Hello @ node {€}",
        "cyrillic": "Привет из ноды",
        "binary": "00000102ff",
        "payload": LONG.strip(),
        "part1": LONG.strip(),
    }
    assert {n: text_of(door, "node", ids[n])["message"] for n in expected} == expected


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("perl") is None, reason="perl is not installed")
async def test_net_smpp(door: Gateway, tmp_path: Path) -> None:
    found = await asyncio.create_subprocess_exec(
        "perl", "-MNet::SMPP", "-e", "1", stderr=asyncio.subprocess.DEVNULL
    )
    if await found.wait():
        pytest.skip("libnet-smpp-perl is not installed")
    async with watched(door, tmp_path / "perl.pcap") as tap:
        script = str(_HERE / "smpp_client.pl")
        output = await run_program("perl", script, str(tap.port), "perl", PASSWORD)
    rows = [line.split() for line in output.splitlines()]
    assert rows[0] == ["bound", "0", "smsc"]
    ids = {row[1]: row[3] for row in rows if row[0] == "sent"}
    assert {row[2] for row in rows if row[0] == "sent"} == {"0"}
    assert len(ids) == len(set(ids.values())) == 6
    ends = {row[1]: row[2] for row in rows if row[0] == "receipt"}
    assert {row[3] for row in rows if row[0] == "receipt"} == {"4"}
    assert ends == {
        message_id: "DELETED" if name == "later" else "DELIVRD" for name, message_id in ids.items()
    }
    for expected in (["query", "0", "1"], ["cancel", "0"], ["enquire", "0"], ["unbound", "0"]):
        assert expected in rows
    assert text_of(door, "perl", ids["cyrillic"])["message"] == "Перл"
    assert text_of(door, "perl", ids["binary"])["message"] == "00000102ff"
    long = ("Practical extraction and report language. " * 6).strip()
    assert text_of(door, "perl", ids["part0"])["message"].strip() == long


# --- Kannel ---------------------------------------------------------------------------------------

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


async def send_by_kannel(sendsms: int, numbers: range, receiver: int, text: str) -> list[int]:
    """Sends a message to each number over one kept connection; HTTP statuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sendsms)
    statuses = []
    for number in numbers:
        told = f"http%3A%2F%2F127.0.0.1%3A{receiver}%2Fdlr%2F{number}%2F%25d"
        path = (
            f"/cgi-bin/sendsms?username=tester&password=foobar&from=kannel&to=7916{number:07d}"
            f"&text={text}+{number}&dlr-mask=3&dlr-url={told}"
        )
        writer.write(f"GET {path} HTTP/1.1\r\nHost: kannel\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        statuses.append(int(head.split(b" ", 2)[1]))
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
    writer.close()
    return statuses


async def run_kannel(door: Gateway, folder: Path, count: int, port: int) -> dict[str, list[str]]:
    """Sends `count` messages through Kannel; what its receipts said, by number."""
    ends: dict[str, list[str]] = {}
    receiver = await asyncio.get_running_loop().create_server(
        lambda: Receiver(ends), "127.0.0.1", 0
    )
    told = receiver.sockets[0].getsockname()[1]
    async with kannel(folder, port) as sendsms:
        share = count // 10
        statuses = await asyncio.gather(
            *(
                send_by_kannel(sendsms, range(1000000 + at, 1000000 + at + share), told, "hello")
                for at in range(0, count, share)
            )
        )
        assert {status for each in statuses for status in each} == {202}
        await asyncio.to_thread(
            wait_for, lambda: len(ends) == count, timeout_s=90, what="receipts by Kannel"
        )
    receiver.close()
    return ends


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("bearerbox") is None, reason="kannel is not installed")
async def test_kannel_loses_nothing(door: Gateway, tmp_path: Path) -> None:
    before = door.metric("heliograph_messages_finished_total")
    ends = await run_kannel(door, tmp_path, 10_000, door.smpp)
    assert len(ends) == 10_000
    # 1 is "delivered"; each was told once.
    assert {tuple(kinds) for kinds in ends.values()} == {("1",)}
    assert door.metric("heliograph_messages_finished_total") - before == 10_000
    assert not await asyncio.to_thread(door.audit)


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("bearerbox") is None, reason="kannel is not installed")
async def test_kannel_under_tshark(door: Gateway, tmp_path: Path) -> None:
    async with watched(door, tmp_path / "kannel.pcap") as tap:
        ends = await run_kannel(door, tmp_path, 50, tap.port)
    assert len(ends) == 50
