"""The SMPP door under clients that other people wrote, with tshark looking at the wire."""

from __future__ import annotations

import asyncio
import codecs
import json
import shutil
import time
from collections.abc import Iterator
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
from tests.interop.capture import watched

from heliograph.services.authentication import hash_password

_HERE = Path(__file__).parent
PHONE = "79161234567"
PASSWORD = "secret12"  # eight signs: some clients take no more
CLIENTS = ("smpplib", "aio", "node", "perl")
OCTETS = "octet_unspecified_II"  # what aiosmpplib calls data_coding 4
UNLIMITED = ("limits.enforce=false", "limits.duplicates=false")
LONG = "All work and no play makes Jack a dull boy. " * 8


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("door") / "data", *UNLIMITED, doors=("smpp",))
    for login in CLIENTS:
        running.create_account(login, smpp_hash=hash_password(PASSWORD)[0])
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()


def text_of(door: Gateway, login: str, message_id: str) -> dict[str, Any]:
    """The message as its owner reads it over HTTP."""
    answer: dict[str, Any] = door.status(message_id, PHONE, all=1, login=login)
    return answer


# --- smpplib --------------------------------------------------------------------------------------


class SmpplibClient:
    """PyPI's smpplib, as its manual shows it. It has no cancel_sm."""

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

    def send_octets(self, octets: bytes) -> list[str]:
        """A message of octets; its id."""
        self._client.send_message(
            source_addr_ton=smpplib.consts.SMPP_TON_ALNUM,
            source_addr="smpplib",
            destination_addr=PHONE,
            short_message=octets,
            data_coding=smpplib.consts.SMPP_ENCODING_BINARY,
            registered_delivery=True,
        )
        before = len(self.ids)
        self.poll(lambda: len(self.ids) > before)
        return [self.ids[-1]]

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
            "binary": self.send_octets(b"\1\2\xff"),
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
    async with watched(door.smpp, tmp_path / "smpplib.pcap") as tap:
        client = SmpplibClient(tap.port)
        sent = await asyncio.to_thread(client.run)
    assert len(sent["long"]) == 3
    for message_id in (each for ids in sent.values() for each in ids):
        assert "stat:DELIVRD" in client.receipts[message_id]
    shown = {name: text_of(door, "smpplib", ids[0])["message"] for name, ids in sent.items()}
    assert shown == {
        "short": "Hello {smpplib} @ €",
        "long": LONG,
        "cyrillic": "Привет, мир",
        "binary": "000102ff",
    }
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
    async with watched(door.smpp, tmp_path / "aio.pcap") as tap:
        # It sends octets by a codec of one's own, and has neither query_sm nor cancel_sm.
        latin = codecs.lookup("latin-1")
        octets = {OCTETS: codecs.CodecInfo(latin.encode, latin.decode, name=OCTETS)}
        esme = ESME("127.0.0.1", tap.port, "aio", PASSWORD, hook=hook, custom_codecs=octets)
        running = asyncio.create_task(esme.start())
        texts = ["Hello aiosmpplib", "Привет, мир", LONG, "\1\2\xff"]
        for number, text in enumerate(texts):
            message = TheirSubmitSm(
                short_message=text,
                source=PhoneNumber("aio", TON.ALPHANUMERIC, NPI.UNKNOWN),
                destination=PhoneNumber(PHONE, TON.INTERNATIONAL, NPI.ISDN),
                validity_period=timedelta(hours=2),
                log_id=str(number),
                auto_message_payload=True,
                encoding=OCTETS if text == "\1\2\xff" else None,
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
    shown = [text_of(door, "aio", each)["message"] for each in ids]
    assert shown == [*texts[:3], "000102ff"]
    # Receipts are matched to messages: aiosmpplib gives them the log_id of their submit_sm.
    assert sorted(receipt.log_id for receipt in hook.receipts) == ["0", "1", "2", "3"]
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
    """All commands that npm's smpp can send."""
    async with watched(door.smpp, tmp_path / "node.pcap") as tap:
        script = str(_HERE / "smpp_client.cjs")
        told = json.loads(await run_program(*node, script, str(tap.port), "node", PASSWORD))
    ids = told["ids"]
    assert told["bound"] == [0, "smsc"]
    assert set(told["statuses"].values()) == {0}
    # It speaks 5.0, where a message that waits for its time is SCHEDULED.
    assert (told["query"], told["cancel"], told["alive"], told["unbound"]) == ([0, 0], 0, 0, 0)
    assert told["multi"] == [0, [["12", 0x0B]]]
    assert (told["replaced"], told["unknown"]) == (0, [0x67, 0x11, 0x13])
    receipts = {receipt["id"]: receipt for receipt in told["receipts"]}
    assert len(told["receipts"]) == len(ids) + 1  # two of them for the two numbers of one id
    assert set(receipts) == set(ids.values())
    assert receipts[ids["later"]]["state"] == 4
    assert {receipts[ids[n]]["state"] for n in ids if n != "later"} == {2}
    expected = {
        "short": "Hello @ node {€}",
        "cyrillic": "Привет из ноды",
        "binary": "00000102ff",
        "payload": LONG.strip(),
        "part1": LONG.strip(),
        "data": "by data_sm",
        "later": "another text",
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
    async with watched(door.smpp, tmp_path / "perl.pcap") as tap:
        script = str(_HERE / "smpp_client.pl")
        output = await run_program("perl", script, str(tap.port), "perl", PASSWORD)
    rows = [line.split() for line in output.splitlines()]
    assert rows[0] == ["bound", "0", "smsc"]
    ids = {row[1]: row[3] for row in rows if row[0] == "sent"}
    assert {row[2] for row in rows if row[0] == "sent"} == {"0"}
    assert len(ids) == len(set(ids.values())) == 8
    ends = {row[1]: row[2] for row in rows if row[0] == "receipt"}
    assert {row[3] for row in rows if row[0] == "receipt"} == {"4"}
    assert ends == {
        message_id: "DELETED" if name == "later" else "DELIVRD" for name, message_id in ids.items()
    }
    assert rows.count(["receipt", ids["multi"], "DELIVRD", "4"]) == 2
    assert ["unsuccess", "12", "11"] in rows
    for expected in (
        *(["query", "0", "1"], ["replace", "0"], ["cancel", "0"]),
        *(["enquire", "0"], ["unbound", "0"]),
    ):
        assert expected in rows
    assert text_of(door, "perl", ids["cyrillic"])["message"] == "Перл"
    assert text_of(door, "perl", ids["binary"])["message"] == "00000102ff"
    assert text_of(door, "perl", ids["data"])["message"] == "by data sm"
    assert text_of(door, "perl", ids["later"])["message"] == "another text"
    long = ("Practical extraction and report language. " * 6).strip()
    assert text_of(door, "perl", ids["part0"])["message"].strip() == long
