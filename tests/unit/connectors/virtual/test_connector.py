"""The built-in network beyond the contract: types of messages, handsets, late and lost answers."""

from __future__ import annotations

import pytest
from tests.contract.connector_events import Recorder, make_message, send

from heliograph.connectors.base import OutcomeKind
from heliograph.connectors.virtual.connector import VirtualConnector
from heliograph.connectors.virtual.settings import VirtualSettings
from heliograph.domain.messages import MessageState, MessageType


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


async def _start(recorder: Recorder, **settings: int) -> VirtualConnector:
    connector = VirtualConnector(id=1, name="v", settings=VirtualSettings(**settings))
    await connector.start(recorder)
    return connector


@pytest.mark.parametrize("type", list(MessageType))
async def test_every_type_is_delivered(recorder: Recorder, type: MessageType) -> None:
    connector = await _start(recorder)
    recipient = "user@example.com" if type is MessageType.EMAIL else "79991112233"
    message = make_message(recipient, "Text", type=type)
    await send(connector, recorder, message.parts)
    await recorder.until(lambda: recorder.receipts)
    assert recorder.receipts[0].state is MessageState.DELIVERED
    shown = [(m.type, m.recipient, m.sender, m.text) for m in connector.handsets]
    assert shown == ([] if type is MessageType.HLR else [(type, recipient, "ivan", "Text")])
    await connector.stop(0)


@pytest.mark.parametrize(
    ("code", "ported", "roaming"),
    [("8000", False, False), ("8001", True, False), ("8002", False, True)],
)
async def test_a_query_answers_with_the_network(
    recorder: Recorder, code: str, ported: bool, roaming: bool
) -> None:
    connector = await _start(recorder)
    message = make_message(f"7900000{code}", "", type=MessageType.HLR)
    await send(connector, recorder, message.parts)
    await recorder.until(lambda: recorder.receipts)
    detail = recorder.receipts[0].detail
    assert detail is not None
    assert set(detail) == {"imsi", "msc", "mcc", "mnc", "cn", "net", "rcn", "rnet"}
    assert (detail["mcc"], detail["mnc"]) == ("250", "02" if ported else "01")
    assert bool(detail["rnet"]) is roaming
    assert len(detail["imsi"]) == 15
    await connector.stop(0)


async def test_a_long_message_reaches_the_handset_once(recorder: Recorder) -> None:
    connector = await _start(recorder)
    await send(connector, recorder, make_message(text="x" * 400, part_count=3).parts)
    await recorder.until(lambda: len(recorder.receipts) == 3)
    assert [m.text for m in connector.handsets] == ["x" * 400]
    await connector.stop(0)


async def test_silence_is_unknown_and_a_stray_receipt_names_nobody(recorder: Recorder) -> None:
    connector = await _start(recorder)
    parts = [make_message(f"7900000{code}").parts[0] for code in ("5000", "5001")]
    await send(connector, recorder, parts)
    await recorder.until(lambda: recorder.receipts)
    assert recorder.kinds() == [OutcomeKind.UNKNOWN] * 2
    assert recorder.receipts[0].candidates[0].startswith("stray-")
    await connector.stop(0)


async def test_a_late_answer_is_reported_once_more(recorder: Recorder) -> None:
    connector = await _start(recorder, window=1)
    [part] = make_message("79000005002").parts
    await send(connector, recorder, [part])
    await recorder.until(lambda: len(recorder.receipts) == 1)
    kinds = [o.kind for o in recorder.outcomes_of(part)]
    assert kinds == [OutcomeKind.UNKNOWN, OutcomeKind.ACCEPTED]
    assert connector.take(5) == 1  # the slot came free once, not twice
    await connector.stop(0)


async def test_handsets_write(recorder: Recorder) -> None:
    connector = await _start(recorder)
    connector.receive("79991112233", "2442", "Привет")
    await recorder.until(lambda: recorder.incoming)
    assert recorder.incoming[0].text == "Привет"
    await connector.stop(0)


async def test_many_thousands_a_second_in_few_calls(recorder: Recorder) -> None:
    connector = await _start(recorder, window=1_000)
    parts = [make_message(f"7999{n:07d}").parts[0] for n in range(5_000)]
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.receipts) == 5_000)
    assert recorder.calls["outcomes"] <= 20
    assert recorder.calls["receipts"] <= 20
    await connector.stop(0)
