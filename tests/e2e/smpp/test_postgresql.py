"""The SMPP door with its messages, receipts and waiting parts on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import PostgresServer, postgres_server
from tests.harness.esme import PHONE, Esme, eventually, message, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import (
    CancelSm,
    CommandStatus,
    DeliverSm,
    QuerySm,
    ReplaceSm,
    SmeAddress,
    SubmitMulti,
    SubmitSm,
    encode,
    format_relative,
)

__all__ = ["postgres_server"]

pytestmark = pytest.mark.postgres

S = CommandStatus
LATER = format_relative(3_600_000)


@contextmanager
def running(server: PostgresServer, folder: Path, *, join_s: int) -> Iterator[Gateway]:
    """A gateway on a database of its own."""
    name = f"test_{uuid.uuid4().hex}"
    asyncio.run(server.execute(f"CREATE DATABASE {name}"))
    gateway = Gateway(
        folder / "data",
        *("limits.enforce=false", "limits.duplicates=false", f"smpp.join_s={join_s}"),
        f"database.url={server.url(name)}",
        doors=("smpp",),
    )
    gateway.create_account(settings={"fl[1]": "1"})
    gateway.start()
    yield gateway
    assert gateway.audit() == []
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output.read_text(), gateway.output.read_text()[-5000:]
    asyncio.run(server.execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def stored(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """For all tests that kill nothing."""
    with running(postgres_server, tmp_path_factory.mktemp("stored"), join_s=2) as gateway:
        yield gateway


@pytest.fixture
def mortal(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Gateway]:
    """To be killed; parts wait as long as a start may take."""
    with running(postgres_server, tmp_path, join_s=300) as gateway:
        yield gateway


@pytest.fixture
async def esme(stored: Gateway) -> AsyncIterator[Esme]:
    bound = await Esme.bind(stored.smpp, LOGIN, PASSWORD)
    yield bound
    await bound.close()


def shown(gateway: Gateway, message_id: str) -> Any:
    return gateway.status(message_id, PHONE, all=1)


def part(number: int, text: bytes, *, reference: int) -> SubmitSm:
    header = bytes([5, 0, 3, reference, 2, number])
    return message(short_message=header + text, esm_class=0x40)


async def test_a_window_of_messages_and_their_receipts(esme: Esme) -> None:
    esme.write(b"".join(encode(message(f"m{n}"), 10 + n) for n in range(200)))
    await esme.find(lambda p: p.sequence_number == 209)
    ids = {p.message_id for p in esme.log if p.command_id == 0x80000004}  # type: ignore[attr-defined]
    assert len(ids) == 200
    await esme.deliveries(200, timeout_s=60)
    assert {pdu.tlvs.text(0x001E) for pdu in esme.inbox} == ids
    state = await esme.ask(QuerySm(message_id=min(ids)))
    assert (state.message_state, state.error_code) == (2, 0)


async def test_zero_bytes_are_nothing(stored: Gateway, esme: Esme) -> None:
    """PostgreSQL can not hold them."""
    text = "Привет\0\0".encode("utf-16-be")
    sent = await esme.ask(message(short_message=text, data_coding=8))
    assert shown(stored, sent.message_id)["message"] == "Привет"

    def ask(script: str, **fields: Any) -> Any:
        return stored.call(script, fmt=1, **fields)

    assert ask("send", phones=f"{PHONE}\0", mes="a\0b", id="z\0ero", sender="\0Shop") == "zero,1"
    body = {"login": LOGIN, "psw": PASSWORD, "phones": PHONE, "mes": "c\0d", "id": "json"}
    reply = stored.request("/rest/send/", json.dumps(body).encode())
    assert b"error" not in reply[1]
    assert [shown(stored, id)["message"] for id in ("zero", "json")] == ["ab", "cd"]
    for script, fields, answer in (
        ("get", {"get_messages": 1, "phone": "a\0b"}, "0,-3"),
        ("get", {"get_messages": 1, "format": 8, "email": "a\0@b.ru"}, "0,-3"),
        ("get", {"get_answers": 1, "to_phone": "4\0"}, "0,-3"),
        ("tinyurls", {"get": 1, "link": "http://a\0.ru"}, "0,-3"),
        ("tinyurls", {"get": 1, "id": "a\0b"}, "0,-3"),
        ("receive_phones", {"buy": 1, "phone": "7\0"}, "0,-3"),
        ("documents", {"add_account": 1, "sum": 1, "user": "a\0b"}, "0,-6"),
        ("users", {"get_stat": 1, "user": "a\0b"}, "0,-6"),
    ):
        assert ask(script, **fields) == answer, (script, fields)


async def test_query_replace_and_cancel(stored: Gateway, esme: Esme) -> None:
    sent = await esme.ask(message("first", schedule_delivery_time=LATER))
    message_id = sent.message_id
    assert (await esme.ask(QuerySm(message_id=message_id))).message_state == 1
    replaced = await esme.ask(
        ReplaceSm(message_id=message_id, registered_delivery=1, short_message=b"second")
    )
    assert replaced.command_status == 0
    assert shown(stored, message_id)["message"] == "second"
    assert (await esme.ask(CancelSm(message_id=message_id))).command_status == 0
    assert b"stat:DELETED" in (await receipt_of(esme, message_id)).short_message
    assert (await esme.ask(CancelSm(message_id=message_id))).command_status == S.ESME_RCANCELFAIL
    assert (await esme.ask(QuerySm(message_id="987654"))).command_status == S.ESME_RQUERYFAIL


async def test_many_recipients(esme: Esme) -> None:
    numbers = ("79161110001", "12", "79161110002")
    answer = await esme.ask(
        SubmitMulti(
            source_addr="ivan",
            dest_address=tuple(SmeAddress(destination_addr=n) for n in numbers),
            registered_delivery=1,
            short_message=b"to many",
        )
    )
    assert answer.command_status == 0
    assert [each.destination_addr for each in answer.unsuccess_sme] == ["12"]
    for number in (numbers[0], numbers[2]):
        await esme.find(
            lambda p, n=number: isinstance(p, DeliverSm) and p.source_addr == n, timeout_s=20
        )


async def test_joined_parts_and_those_whose_rest_stays_away(stored: Gateway, esme: Esme) -> None:
    other = await Esme.bind(stored.smpp, LOGIN, PASSWORD, kind="tx")
    two = await esme.ask(part(2, b"second half", reference=7))
    one = await other.ask(part(1, b"first half, ", reference=7))
    for answer in (one, two):
        await receipt_of(esme, answer.message_id)
        assert (await esme.ask(QuerySm(message_id=answer.message_id))).message_state == 2
    assert shown(stored, two.message_id)["message"] == "first half, second half"
    lonely = await esme.ask(part(1, b"alone", reference=8))
    pdu = await receipt_of(esme, lonely.message_id)
    assert b"stat:UNDELIV err:241" in pdu.short_message
    await other.close()


async def test_incoming_messages(stored: Gateway, esme: Esme) -> None:
    await asyncio.to_thread(stored.cli, "numbering", "assign", "3434", LOGIN)

    async def is_heard() -> bool:
        text = "Привет".encode("utf-16-be")
        await esme.ask(
            message(phone="79000009000", source_addr="3434", registered_delivery=0,
                    data_coding=8, short_message=text)
        )  # fmt: skip
        await asyncio.sleep(0.5)
        return any(pdu.esm_class == 0 and pdu.short_message == text for pdu in esme.inbox)

    await eventually(is_heard)


async def test_kill_between_the_answer_and_the_receipt(mortal: Gateway) -> None:
    """Messages, receipts and waiting parts are there after kill -9."""
    esme = await Esme.bind(mortal.smpp, LOGIN, PASSWORD, kind="tx")
    ids = {(await esme.ask(message(f"kept {n}"))).message_id for n in range(30)}
    first = await esme.ask(part(1, b"before the kill, ", reference=9))
    await asyncio.to_thread(mortal.kill)
    await esme.close()
    await asyncio.to_thread(mortal.start)
    again = await Esme.bind(mortal.smpp, LOGIN, PASSWORD)
    second = await again.ask(part(2, b"and after it", reference=9))
    ids |= {first.message_id, second.message_id}
    await eventually(lambda: {pdu.tlvs.text(0x001E) for pdu in again.inbox} == ids)
    found = mortal.status(first.message_id, PHONE, all=1)
    assert found["message"] == "before the kill, and after it"
    await again.close()
