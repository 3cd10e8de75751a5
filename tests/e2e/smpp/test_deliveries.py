"""Receipts and incoming messages to the binds of their owners."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.harness.esme import PHONE, Esme, eventually, message, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

from heliograph.protocols.smpp import (
    CommandStatus,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    encode,
)

UNLIMITED = ("limits.enforce=false", "limits.duplicates=false")
LONG = "The quick brown fox jumps over the lazy dog. " * 8
S = CommandStatus


def by_http(door: Gateway, message_id: str, phone: str = PHONE, **fields: Any) -> Any:
    return door.status(message_id, phone, all=1, **fields)


# --- deliveries -----------------------------------------------------------------------------------


async def test_receipts_wait_for_a_bind(door: Gateway) -> None:
    door_only = await Esme.bind(door.smpp, LOGIN, PASSWORD, kind="tx")
    answer = await door_only.ask(message("for later"))
    wait_for(lambda: by_http(door, answer.message_id)["status"] == 1)
    taker = await Esme.bind(door.smpp, LOGIN, PASSWORD, kind="rx")
    await receipt_of(taker, answer.message_id)
    await door_only.close()
    await taker.close()


async def test_binds_take_turns(door: Gateway) -> None:
    takers = [await Esme.bind(door.smpp, "turns", PASSWORD) for _ in range(3)]
    for number in range(30):
        takers[0].send(message(f"turn {number}"))
    await asyncio.to_thread(
        wait_for, lambda: sum(len(taker.inbox) for taker in takers) == 30, what="30 receipts"
    )
    assert all(5 <= len(taker.inbox) <= 15 for taker in takers)
    for taker in takers:
        await taker.close()


async def test_refused_and_unanswered_deliveries_come_again(door: Gateway) -> None:
    esme = await Esme.bind(door.smpp, "refuser", PASSWORD)
    esme.answers = int(S.ESME_RX_T_APPN)
    answer = await esme.ask(message("refused"))
    await receipt_of(esme, answer.message_id)
    esme.answers = False  # says nothing
    await esme.deliveries(2)
    esme.answers = True
    await esme.deliveries(3)
    assert {pdu.tlvs.text(0x001E) for pdu in esme.inbox} == {answer.message_id}
    listed = await asyncio.to_thread(
        door.cli, "callbacks", "list", "--account", "refuser", "--json"
    )
    assert '"receipt"' in listed
    await esme.close()


async def test_a_lost_bind_gives_its_deliveries_to_the_next(door: Gateway) -> None:
    first = await Esme.bind(door.smpp, "taker", PASSWORD)
    first.answers = False
    answer = await first.ask(message("whose receipt"))
    await receipt_of(first, answer.message_id)
    await first.close()
    second = await Esme.bind(door.smpp, "taker", PASSWORD, kind="rx")
    await receipt_of(second, answer.message_id)
    await second.close()


async def test_receipts_over_a_restart(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", *UNLIMITED, doors=("smpp",))
    gateway.create_account()
    await asyncio.to_thread(gateway.start)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD, kind="tx")
    ids = {(await esme.ask(message(f"m{n}"))).message_id for n in range(30)}
    gateway.kill()
    await esme.close()
    await asyncio.to_thread(gateway.start)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD)
    await esme.deliveries(30)
    assert {pdu.tlvs.text(0x001E) for pdu in esme.inbox} == ids
    await esme.close()
    assert await asyncio.to_thread(gateway.stop) == 0


async def test_a_stop_answers_what_it_took_and_says_goodbye(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", *UNLIMITED, doors=("smpp",))
    gateway.create_account()
    await asyncio.to_thread(gateway.start)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD, kind="tx")
    esme.write(b"".join(encode(message(f"m{n}"), n) for n in range(10, 210)))
    await esme.find(lambda p: p.sequence_number == 10)
    stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
    unbind = await esme.find(lambda p: isinstance(p, Unbind))
    esme.write(encode(UnbindResp(), unbind.sequence_number))
    await esme.closed()
    assert await stopping == 0
    taken = {p.message_id for p in esme.log if isinstance(p, SubmitSmResp) and not p.command_status}
    assert taken
    await esme.close()
    await asyncio.to_thread(gateway.start)
    esme = await Esme.bind(gateway.smpp, LOGIN, PASSWORD)
    await eventually(lambda: taken <= {str(pdu.tlvs.text(0x001E)) for pdu in esme.inbox})
    await esme.close()
    assert await asyncio.to_thread(gateway.stop) == 0


async def test_incoming_messages(door: Gateway) -> None:
    await asyncio.to_thread(door.cli, "numbering", "assign", "3434", "taker")
    await asyncio.to_thread(door.settle)
    esme = await Esme.bind(door.smpp, "taker", PASSWORD)
    for text, coding, octets in (
        ("Hello @", 0, b"Hello \0"),
        ("Привет", 8, "Привет".encode("utf-16-be")),
    ):
        esme.inbox.clear()
        esme.send(message(text, phone="79000009000", source_addr="3434", registered_delivery=0,
                          data_coding=8, short_message=text.encode("utf-16-be")))  # fmt: skip
        (pdu,) = await esme.deliveries(1)
        assert (pdu.esm_class, pdu.data_coding, pdu.short_message) == (0, coding, octets)
        assert (pdu.source_addr, pdu.destination_addr) == ("79000009000", "3434")
    # What another process stores comes, too; its lane was up to date, so it has to be woken.
    esme.inbox.clear()
    await asyncio.to_thread(door.cli, "inbox", "send", "79031110001", "+3434", "By hand")
    (pdu,) = await esme.deliveries(1)
    assert (pdu.source_addr, pdu.destination_addr, pdu.short_message) == (
        *("79031110001", "3434"),
        b"By hand",
    )
    await esme.close()
