"""What every connector promises, asked of each of them: the port of `heliograph.connectors.base`.

The SMPP connector runs against the built-in SMSC over real sockets.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.contract.connector_events import Recorder, make_message, make_parts, send

from heliograph.connectors.base import Connector, OutcomeKind
from heliograph.connectors.registry import build
from heliograph.connectors.virtual.smsc import SmscServer, serve_smsc
from heliograph.domain.messages import MessageState

Maker = Callable[..., Connector]
_WINDOW = 8


@pytest.fixture
async def smsc() -> AsyncIterator[SmscServer]:
    server = await serve_smsc()
    yield server
    await server.close()


@pytest.fixture(params=["virtual", "smpp"])
async def make(request: pytest.FixtureRequest, smsc: SmscServer) -> AsyncIterator[Maker]:
    """Makes a connector that is stopped after the test."""
    made: list[Connector] = []

    def make_connector(**settings: Any) -> Connector:
        settings.setdefault("window", _WINDOW)
        if request.param == "smpp":
            latency_ms = settings.pop("latency_ms", 0)
            smsc.chaos.latency_ms = latency_ms
            settings |= {"host": "127.0.0.1", "port": smsc.port, "reconnect_first_s": 0.05}
        connector = build(id=1, name="test", kind=request.param, settings=settings)
        made.append(connector)
        return connector

    yield make_connector
    for connector in made:
        await connector.stop(0)


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


async def _start(connector: Connector, recorder: Recorder) -> Connector:
    await connector.start(recorder)
    await recorder.until(lambda: connector.is_up and recorder.ready)
    return connector


async def test_every_part_gets_one_outcome_and_one_receipt(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    parts = make_parts(200)
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.receipts) == 200)
    assert [part for part, _ in recorder.outcomes] == parts
    assert set(recorder.kinds()) == {OutcomeKind.ACCEPTED}
    ids = [outcome.external_id for _, outcome in recorder.outcomes]
    assert len(set(ids)) == 200
    assert all(ids)
    assert Counter(r.candidates[0] for r in recorder.receipts) == Counter(ids)
    assert {r.state for r in recorder.receipts} == {MessageState.DELIVERED}
    # Outcomes and receipts come as many at once as there are, not one by one.
    assert recorder.calls["outcomes"] < 200
    assert recorder.calls["receipts"] < 200


async def test_never_more_slots_than_the_window(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(latency_ms=30), recorder)
    assert connector.take(1_000) == _WINDOW
    assert connector.take(1) == 0
    connector.give_back(3)
    assert connector.take(1_000) == 3
    connector.give_back(_WINDOW)
    parts = make_parts(60)
    await send(connector, recorder, parts)
    assert sum(s.in_flight for s in connector.status()) <= _WINDOW
    await recorder.until(lambda: len(recorder.outcomes) == 60)
    assert connector.take(1_000) == _WINDOW
    connector.give_back(_WINDOW)


async def test_slots_are_free_again_when_the_outcome_is_reported(
    make: Maker, recorder: Recorder
) -> None:
    connector = make(window=1)
    taken: list[int] = []
    report = recorder.report_outcomes

    def report_and_take(source: Connector, outcomes: Any) -> None:
        report(source, outcomes)
        taken.append(source.take(1))

    recorder.report_outcomes = report_and_take  # type: ignore[method-assign]
    await _start(connector, recorder)
    assert connector.take(5) == 1
    connector.submit(make_parts(1))
    await recorder.until(lambda: recorder.outcomes)
    assert taken == [1]


async def test_nothing_is_granted_before_start_and_after_stop(
    make: Maker, recorder: Recorder
) -> None:
    connector = make()
    assert not connector.is_up
    assert connector.take(1) == 0
    await _start(connector, recorder)
    await connector.stop(1)
    assert not connector.is_up
    assert connector.take(1) == 0


async def test_stop_waits_for_answers_that_come_in_time(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(latency_ms=100), recorder)
    parts = make_parts(_WINDOW)
    await send(connector, recorder, parts)
    await connector.stop(5)
    assert recorder.kinds() == [OutcomeKind.ACCEPTED] * _WINDOW


async def test_stop_reports_unknown_for_the_rest(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(latency_ms=60_000), recorder)
    parts = make_parts(_WINDOW)
    await send(connector, recorder, parts)
    await connector.stop(0.05)
    assert recorder.kinds() == [OutcomeKind.UNKNOWN] * _WINDOW
    assert {part.id for part, _ in recorder.outcomes} == {part.id for part in parts}


async def test_parts_claimed_before_a_stop_are_put_off(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    assert connector.take(2) == 2
    await connector.stop(0)
    connector.submit(make_parts(2))
    assert not recorder.outcomes
    await recorder.until(lambda: len(recorder.outcomes) == 2)
    assert recorder.kinds() == [OutcomeKind.DEFERRED] * 2


async def test_what_could_not_be_stored_comes_again(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    recorder.is_storing = False
    await send(connector, recorder, make_parts(3))
    await recorder.until(lambda: recorder.calls["receipts"] > 0)
    await asyncio.sleep(0.05)
    assert not recorder.receipts
    recorder.is_storing = True
    await recorder.until(lambda: len(recorder.receipts) == 3)


async def test_pacing_holds_the_rate(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(parts_per_second=100, window=100), recorder)
    started = asyncio.get_running_loop().time()
    await send(connector, recorder, make_parts(40))
    await recorder.until(lambda: len(recorder.outcomes) == 40)
    elapsed = asyncio.get_running_loop().time() - started
    # 40 parts at 100/s with a burst of two: 380 ms; a loaded machine may only be slower.
    assert 0.37 <= elapsed < 30


@pytest.mark.parametrize(
    ("code", "kind", "err"),
    [
        ("1249", OutcomeKind.REJECTED, 249),
        ("1255", OutcomeKind.REJECTED, 255),
        ("7000", OutcomeKind.UNROUTABLE, None),
        ("4001", OutcomeKind.DEFERRED, None),
    ],
)
async def test_refusals(
    make: Maker, recorder: Recorder, code: str, kind: OutcomeKind, err: int | None
) -> None:
    connector = await _start(make(), recorder)
    part = make_message(f"7900000{code}").parts[0]
    await send(connector, recorder, [part])
    await recorder.until(lambda: recorder.outcomes)
    [outcome] = recorder.outcomes_of(part)
    assert outcome.kind is kind
    assert err is None or outcome.err == err
    assert outcome.reason
    assert (outcome.retry_after_ms > 0) is (kind is OutcomeKind.DEFERRED)
    assert not recorder.receipts


async def test_a_part_that_was_put_off_is_taken_later(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    part = make_message("79000004002").parts[0]
    for attempt in range(1, 4):
        await send(connector, recorder, [part])
        await recorder.until(lambda wanted=attempt: len(recorder.outcomes) == wanted)
    kinds = [o.kind for o in recorder.outcomes_of(part)]
    assert kinds == [OutcomeKind.DEFERRED, OutcomeKind.DEFERRED, OutcomeKind.ACCEPTED]


@pytest.mark.parametrize(
    ("code", "state", "err"),
    [
        ("0000", MessageState.DELIVERED, 0),
        ("0001", MessageState.UNDELIVERABLE, 1),
        ("0006", MessageState.UNDELIVERABLE, 6),
        ("0013", MessageState.UNDELIVERABLE, 13),
        ("0240", MessageState.UNDELIVERABLE, 240),
        ("0253", MessageState.REJECTED, 253),
        ("2006", MessageState.EXPIRED, 6),
    ],
)
async def test_ends(
    make: Maker, recorder: Recorder, code: str, state: MessageState, err: int
) -> None:
    connector = await _start(make(), recorder)
    part = make_message(f"7900000{code}").parts[0]
    await send(connector, recorder, [part])
    await recorder.until(lambda: recorder.receipts and recorder.outcomes)
    [receipt] = recorder.receipts
    assert part.external_id in receipt.candidates
    assert (receipt.state, receipt.err) == (state, err)


async def test_a_receipt_may_come_twice_and_in_any_order(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    twice, early = make_message("79000006001").parts[0], make_message("79000006002").parts[0]
    await send(connector, recorder, [twice, early])
    await recorder.until(lambda: len(recorder.receipts) == 3 and len(recorder.outcomes) == 2)
    named = Counter(r.candidates[0] for r in recorder.receipts)
    assert named == {twice.external_id: 2, early.external_id: 1}


async def test_handsets_write_back(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    await send(connector, recorder, make_message("79000009000", "Ping", sender="2442").parts)
    await recorder.until(lambda: recorder.incoming)
    [incoming] = recorder.incoming
    assert (incoming.source, incoming.destination) == ("79000009000", "2442")
    assert incoming.text == "Ping"
    assert incoming.received_at > 1_700_000_000_000


async def test_query_tells_the_end_of_a_part(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    lost = make_message("79000000006").parts[0]
    never = make_message("79991112233").parts[0]
    await send(connector, recorder, [lost])
    await recorder.until(lambda: recorder.receipts)
    answers = await connector.query([lost, never])
    report = answers[lost.id]
    assert report is not None
    assert (report.state, report.err) == (MessageState.UNDELIVERABLE, 6)
    assert report.candidates == (lost.external_id,)
    assert answers[never.id] is None
    await recorder.until(lambda: connector.take(_WINDOW) == _WINDOW)  # no slot got lost


async def test_status_names_every_session(make: Maker, recorder: Recorder) -> None:
    connector = await _start(make(), recorder)
    await send(connector, recorder, make_parts(5))
    await recorder.until(lambda: len(recorder.outcomes) == 5)
    [status] = connector.status()
    assert (status.state, status.submitted, status.in_flight) == ("bound", 5, 0)
