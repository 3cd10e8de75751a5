"""The door with every limit on, as it is after an installation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.harness.esme import PHONE, Esme, message, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

from heliograph.protocols.smpp import (
    CommandStatus,
    SubmitSmResp,
    encode,
)

S = CommandStatus
IN_A_ROW = 50


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("limits") / "data", doors=("smpp",))
    running.create_account()
    running.create_account("other")
    running.start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.output.read_text()


async def test_the_same_message_twice_a_minute(door: Gateway) -> None:
    esme = await Esme.bind(door.smpp, LOGIN, PASSWORD)
    assert (await esme.ask(message("the same"))).command_status == 0
    assert (await esme.ask(message("the same"))).command_status == S.ESME_RTHROTTLED
    assert (await esme.ask(message("the same", phone="79161230000"))).command_status == 0
    await esme.close()


async def test_more_than_fifty_in_a_row_to_one_number(door: Gateway) -> None:
    """They are taken, and a receipt tells why they went nowhere."""
    esme = await Esme.bind(door.smpp, "other", PASSWORD)
    last = IN_A_ROW + 10
    esme.write(b"".join(encode(message(f"n{n}"), 10 + n) for n in range(1, last)))
    await esme.find(lambda p: p.sequence_number == 9 + last)
    answers = [p for p in esme.log if isinstance(p, SubmitSmResp)]
    assert {p.command_status for p in answers} == {0}
    for number, answer in enumerate(answers, 1):
        text = (await receipt_of(esme, answer.message_id)).short_message
        assert (b"stat:DELIVRD" in text) == (number <= IN_A_ROW)
        assert (b"stat:REJECTD err:251" in text) == (number > IN_A_ROW)
    found = door.status(answers[-1].message_id, PHONE, all=1, login="other")
    assert (found["status"], found["err"]) == (23, 251)
    # Another number is another matter.
    answer = await esme.ask(message("hello", phone="79161230001"))
    assert b"stat:DELIVRD" in (await receipt_of(esme, answer.message_id)).short_message
    assert door.audit() == []
    await esme.close()
