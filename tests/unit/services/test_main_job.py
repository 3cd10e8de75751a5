"""The walk of a message through the services: real storage, a connector that obeys the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.unit.services.rig import PHONE, PuppetConnector, Rig, open_rig

from heliograph.connectors.base import OutcomeKind, UnknownPolicy
from heliograph.domain.messages import MessageState, MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, Spread
from heliograph.runtime import now_ms
from heliograph.services import clockwork as clockwork_module
from heliograph.services import dispatch as dispatch_module

LONG = "x" * 400  # three parts


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data") as opened:
        yield opened


async def test_accepted_means_claimed_sent_answered_and_charged(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    sent = await rig.send()
    assert (sent.client_ref, sent.part_count, sent.cost_micros) == ("1", 1, 1_000_000)
    assert sent.balance_micros == 10**9 - 1_000_000
    await rig.until(lambda: puppet.sent)
    assert (await rig.status("1")).status == -1
    part = puppet.outcome(OutcomeKind.ACCEPTED, external_id="A1")[0]
    assert part.message.recipient == PHONE
    await rig.reach("1", 0)
    assert await puppet.tell(puppet.receipt("A1"))
    answer = await rig.reach("1", 1)
    assert (answer.err, answer.cost_micros) == (0, 1_000_000)
    assert puppet.free == 1000
    assert (await rig.audit()).is_exact


async def test_a_long_message_ends_with_its_last_part_and_each_part_counts(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    sent = await rig.send(text=LONG)
    assert sent.part_count == 3
    await rig.until(lambda: len(puppet.sent) == 3)
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="a")
    puppet.outcome(OutcomeKind.REJECTED, err=255, reason="spam")
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="c")
    assert await puppet.tell(puppet.receipt("c"))
    assert (await rig.status("1")).status == 0
    assert await puppet.tell(puppet.receipt("a"))
    answer = await rig.reach("1", 20)
    assert (answer.err, answer.cost_micros) == (255, 2_000_000)
    assert await rig.balance() == 10**9 - 2_000_000
    assert (await rig.audit()).is_exact


async def test_what_the_operator_refuses_is_given_back(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    await rig.send()
    await rig.until(lambda: puppet.sent)
    puppet.outcome(OutcomeKind.REJECTED, err=13, reason="ESME_RINVDSTADR")
    answer = await rig.reach("1", 20)
    assert (answer.err, answer.cost_micros) == (13, 0)
    assert await rig.balance() == 10**9
    assert await rig.events("1") == ["rejected"]


async def test_deferred_parts_are_tried_again(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    await rig.send()
    await rig.until(lambda: puppet.sent)
    puppet.outcome(OutcomeKind.DEFERRED, err=220, retry_after_ms=50)
    await rig.until(lambda: puppet.sent)
    puppet.accept()
    await rig.reach("1", 0)
    assert await rig.events("1") == ["deferred"]


async def test_an_upstream_that_can_not_carry_it_is_followed_by_the_next(rig: Rig) -> None:
    first, second = PuppetConnector(1, answers=False), PuppetConnector(2)
    await rig.attach(first, second)
    await rig.send()
    await rig.until(lambda: first.sent)
    part = first.outcome(OutcomeKind.UNROUTABLE, err=248)[0]
    await rig.reach("1", 0)
    assert part.connector_id == second.id
    assert first.free == second.free == 1000


async def test_a_dead_upstream_loses_its_queue_to_the_next(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch_module, "_FAILOVER_MS", 100)
    first, second = PuppetConnector(1, window=0), PuppetConnector(2)
    await rig.attach(first, second)
    await rig.send()
    first.is_up = False
    await rig.reach("1", 0)
    assert second.texts == ["hello"]
    assert "another way" in await rig.events("1")


@pytest.mark.parametrize(
    ("policy", "status", "kinds"),
    [
        (UnknownPolicy.FAIL, 3, ["unknown", "given up"]),
        (UnknownPolicy.RESEND, 0, ["unknown", "sent again"]),
    ],
)
async def test_unknown_outcomes_follow_the_policy(
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
    policy: UnknownPolicy,
    status: int,
    kinds: list[str],
) -> None:
    monkeypatch.setattr(dispatch_module, "_UNKNOWN_GRACE_MS", 100)
    puppet = PuppetConnector(0, answers=False, policy=policy)
    await rig.attach(puppet)
    await rig.send()
    await rig.until(lambda: puppet.sent)
    puppet.answers = True
    puppet.outcome(OutcomeKind.UNKNOWN, reason="the link was lost")
    if policy is UnknownPolicy.RESEND:
        await rig.until(lambda: len(puppet.texts) == 2)
    answer = await rig.reach("1", status)
    assert answer.err == (245 if policy is UnknownPolicy.FAIL else 0)
    assert await rig.events("1") == kinds
    expected = 10**9 if policy is UnknownPolicy.FAIL else 10**9 - 1_000_000
    assert await rig.balance() == expected
    assert (await rig.audit()).is_exact


async def test_a_late_answer_counts_while_the_outcome_is_unknown(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    await rig.send()
    await rig.until(lambda: puppet.sent)
    part = puppet.outcome(OutcomeKind.UNKNOWN)[0]
    assert part.state is MessageState.UNKNOWN
    puppet.free -= 1
    puppet.sent.append(part)
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="late")
    await rig.reach("1", 0)
    assert await puppet.tell(puppet.receipt("late"))
    await rig.reach("1", 1)


async def test_a_late_refusal_counts_while_the_outcome_is_unknown(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    await rig.send()
    await rig.until(lambda: puppet.sent)
    part = puppet.outcome(OutcomeKind.UNKNOWN)[0]
    puppet.free -= 1
    puppet.sent.append(part)
    puppet.outcome(OutcomeKind.DEFERRED, err=220, retry_after_ms=1)
    await rig.until(lambda: puppet.sent)
    puppet.accept()
    await rig.reach("1", 0)
    assert puppet.sent_to == [PHONE, PHONE]
    assert await rig.events("1") == ["unknown", "deferred"]


async def unmatched(rig: Rig) -> list[str]:
    async with rig.runtime.database.read() as connection:
        rows = await connection.execute(text("SELECT external_id FROM unmatched_receipts"))
        return [row[0] for row in rows]


async def test_receipts_before_the_answer_are_stored_and_applied_when_it_comes(rig: Rig) -> None:
    """Such a receipt holds nothing up: it is acknowledged at once, from the disk."""
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    await rig.send()
    await rig.until(lambda: puppet.sent)
    assert await puppet.tell(puppet.receipt("0F", "15"))
    assert await unmatched(rig) == ["0F"]
    assert (await rig.status("1")).status != 1
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="15")
    await rig.reach("1", 1)
    assert await unmatched(rig) == []


async def test_a_receipt_may_be_ahead_for_as_long_as_an_answer_is_waited_for(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    await rig.send()
    await rig.until(lambda: puppet.sent)
    assert await puppet.tell(puppet.receipt("slow"))
    rig.dispatch._receipts.tick(now_ms() + 45_000)
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="slow")
    await rig.reach("1", 1)
    assert await unmatched(rig) == []


async def test_strays_do_not_hold_up_the_receipts_beside_them(rig: Rig) -> None:
    puppet = PuppetConnector(0)
    await rig.attach(puppet)
    await rig.send()
    await rig.reach("1", 0)
    external = str(next(iter(rig.dispatch._tracker.live.values())).parts[0].id)
    strays = [puppet.receipt(f"stray{n}") for n in range(5)]
    assert await puppet.tell(*strays, puppet.receipt(external))
    await rig.reach("1", 1)
    assert len(await unmatched(rig)) == 5


async def test_repeated_foreign_and_contradicting_receipts(rig: Rig) -> None:
    puppet = PuppetConnector(0)
    await rig.attach(puppet)
    await rig.send()
    await rig.reach("1", 0)
    external = str(next(iter(rig.dispatch._tracker.live.values())).parts[0].id)
    expired = puppet.receipt(external, state=MessageState.EXPIRED, err=6)
    assert await puppet.tell(expired, expired)
    await rig.reach("1", 3)
    assert await puppet.tell(puppet.receipt(external))  # better news
    assert (await rig.reach("1", 1)).err == 0
    assert await puppet.tell(
        puppet.receipt(external, state=MessageState.UNDELIVERABLE, err=1)
    )  # worse news
    assert (await rig.status("1")).status == 1
    assert await rig.events("1") == ["receipt"]
    assert await rig.balance() == 10**9 - 1_000_000
    assert (await rig.audit()).is_exact


async def test_one_id_for_all_parts_and_one_id_for_two_messages(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    long = await rig.send(text=LONG)
    await rig.until(lambda: len(puppet.sent) == 3)
    for _ in range(3):
        puppet.outcome(OutcomeKind.ACCEPTED, external_id="same")
    assert await puppet.tell(puppet.receipt("same"))
    answer = await rig.reach(long.client_ref, 1)
    assert answer.cost_micros == 3_000_000
    # Of several messages the newest is meant: operators begin their counting anew.
    older, newer = await rig.send(text="older"), await rig.send(text="newer")
    await rig.until(lambda: len(puppet.sent) == 2)
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="again")
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="again")
    assert await puppet.tell(puppet.receipt("again"), puppet.receipt("again"))
    await rig.reach(newer.client_ref, 1)
    assert (await rig.status(older.client_ref)).status == 0
    assert (await rig.audit()).is_exact


async def test_messages_of_one_id_are_told_apart_by_their_numbers(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    phones = ["79160000001", "79160000002"]
    first, second = [await rig.send(phone) for phone in phones]
    await rig.until(lambda: len(puppet.sent) == 2)
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="again")
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="again")
    receipts = [
        puppet.receipt("again", state=state, err=err)
        for state, err in ((MessageState.UNDELIVERABLE, 1), (MessageState.DELIVERED, 0))
    ]
    for receipt, phone in zip(receipts, phones, strict=True):
        receipt.phone = phone
        assert await puppet.tell(receipt, receipt)
    assert (await rig.reach(first.client_ref, 20, phones[0])).err == 1
    await rig.reach(second.client_ref, 1, phones[1])
    assert (await rig.audit()).is_exact


async def test_a_full_window_waits_in_fair_lanes_and_is_never_overrun(rig: Rig) -> None:
    puppet = PuppetConnector(0, window=10)
    await rig.attach(puppet)
    phones = ",".join(f"7916{n:07d}" for n in range(500))
    sent = await rig.send(phones)
    assert sent.part_count == 500
    await rig.until(lambda: len(puppet.texts) == 500)
    assert puppet.lowest_free == 0
    await rig.until(lambda: puppet.free == 10)


async def test_funds_for_a_hundred_and_two_hundred_at_once(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", balance=100_000_000) as rig:
        puppet = PuppetConnector(0)
        await rig.attach(puppet)
        answers = await asyncio.gather(
            *(rig.try_send(f"7916{n:07d}", f"text {n}") for n in range(200))
        )
        refused = [a for a in answers if isinstance(a, Refused)]
        assert len(refused) == 100
        assert {a.refusal for a in refused} == {Refusal.NO_FUNDS}
        assert await rig.balance() == 0
        number = answers.index(refused[0])
        assert (await rig.status(refused[0].client_ref, f"7916{number:07d}")).status == 24
        assert (await rig.audit()).is_exact


async def test_scheduled_messages_wait_and_can_be_cancelled(rig: Rig) -> None:
    puppet = PuppetConnector(0)
    await rig.attach(puppet)
    soon = now_ms() // 1000 + 2
    await rig.send(time=f"0{soon}")
    await rig.send("79160000001", time="+60")
    assert (await rig.status("1")).status == -1 or now_ms() // 1000 >= soon
    assert await rig.runtime.services.statuses.delete(rig.account, [("2", "79160000001")]) == 1
    assert (await rig.status("2", "79160000001")).status == -3
    assert await rig.balance() == 10**9 - 1_000_000
    await rig.reach("1", 0)
    assert now_ms() // 1000 >= soon
    assert len(puppet.texts) == 1
    assert (await rig.audit()).is_exact


@pytest.mark.parametrize("way", ["cancel", "delete"])
async def test_what_is_cancelled_in_the_moment_of_its_release_is_not_sent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    read = clockwork_module.due_scheduled
    has_read, go_on = asyncio.Event(), asyncio.Event()

    async def read_slowly(*arguments: Any) -> Any:
        page = await read(*arguments)
        if page:
            has_read.set()
            await go_on.wait()
        return page

    monkeypatch.setattr(clockwork_module, "due_scheduled", read_slowly)
    puppet = PuppetConnector(0)
    await rig.attach(puppet)
    sent = await rig.send(due_at=now_ms() + 1_000)
    await asyncio.wait_for(has_read.wait(), 30)
    services = rig.runtime.services
    if way == "cancel":
        assert await services.references.cancel(rig.account, sent.client_ref)
    else:
        assert await services.statuses.delete(rig.account, [(sent.client_ref, PHONE)]) == 1
    go_on.set()
    after = await rig.send(due_at=now_ms() + 500)
    await rig.until(lambda: len(puppet.texts) == 1)
    await rig.reach(after.client_ref, 0)
    assert await rig.balance() == 10**9 - 1_000_000
    assert (await rig.audit()).is_exact


async def test_spread_mailings_go_out_in_portions(rig: Rig) -> None:
    puppet = PuppetConnector(0)
    await rig.attach(puppet)
    phones = ",".join(f"7916{n:07d}" for n in range(30))
    await rig.send(phones, spread=Spread(period_ms=6_000, step_ms=2_000))
    await rig.until(lambda: len(puppet.texts) == 10)
    await rig.until(lambda: len(puppet.texts) == 20)
    assert (await rig.status("1", "79160000029")).status in (-1, 0)


async def test_messages_past_their_life_are_ended_and_given_back(rig: Rig) -> None:
    puppet = PuppetConnector(0, window=0)
    await rig.attach(puppet)
    await rig.send(valid_ms=1_500)
    answer = await rig.reach("1", 3)
    assert (answer.err, answer.cost_micros) == (6, 0)
    puppet.free = 5
    puppet.events.report_ready(puppet)  # type: ignore[union-attr]
    await asyncio.sleep(0.1)
    assert puppet.texts == []
    assert await rig.balance() == 10**9


@pytest.mark.parametrize("kind", [OutcomeKind.DEFERRED, OutcomeKind.UNROUTABLE])
async def test_put_off_when_its_life_is_over(rig: Rig, kind: OutcomeKind) -> None:
    """The clockwork has passed it while it was on the wire, and does not come again."""
    first, second = PuppetConnector(1, answers=False), PuppetConnector(2)
    await rig.attach(first, second)
    sent = await rig.send(valid_ms=100)
    await rig.until(lambda: first.sent)
    ended_at = first.sent[0].message.expires_at
    await rig.until(lambda: rig.runtime.engine.clockwork._swept_waiting > ended_at)
    first.outcome(kind, err=220, retry_after_ms=1)
    answer = await rig.reach(sent.client_ref, 3)
    assert (answer.err, answer.cost_micros) == (220, 0)
    assert second.texts == []
    assert await rig.balance() == 10**9
    assert (await rig.audit()).is_exact


async def test_silence_of_the_operator_ends_with_245(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", "sending.receipt_wait_hours=0.0003") as rig:
        puppet = PuppetConnector(0)
        await rig.attach(puppet)

        async def knows_nothing(parts: object) -> dict[int, None]:
            return {}

        puppet.query = knows_nothing  # type: ignore[method-assign, assignment]
        await rig.send(valid_ms=500)
        answer = await rig.reach("1", 3)
        assert (answer.err, answer.cost_micros) == (245, 1_000_000)


async def test_the_operator_is_asked_before_a_message_is_given_up(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data", "sending.receipt_wait_hours=0.0003") as rig:
        puppet = PuppetConnector(0)
        await rig.attach(puppet)
        await rig.send(valid_ms=500)
        await rig.reach("1", 1)
        assert len(puppet.asked) == 1


async def test_a_start_takes_up_what_was_left(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data") as rig:
        puppet = PuppetConnector(0, window=1, answers=False)
        await rig.attach(puppet)
        await rig.send(text="claimed")
        await rig.until(lambda: puppet.sent)
        await rig.send(text="waiting")
        puppet.sent.clear()  # it dies without a word
        await rig.retire(puppet)
        number = puppet.id
    async with open_rig(tmp_path / "data") as rig:
        puppet = PuppetConnector(number, forgets=True)
        await rig.dispatch.attach(puppet)
        await rig.reach("2", 0)
        assert puppet.texts == ["waiting"]
        assert await rig.events("1") == ["given up"]  # nobody is there to resend it
        assert (await rig.audit()).is_exact


async def test_what_waits_for_a_connector_taken_away_goes_another_way(rig: Rig) -> None:
    first, second = PuppetConnector(1, window=0), PuppetConnector(2)
    await rig.attach(first, second)
    await rig.send()
    await rig.dispatch.detach(first.id, 0)
    await rig.dispatch.adopt()
    await rig.reach("1", 0)
    assert second.texts == ["hello"]


async def test_a_connector_that_forgets_is_asked_after_a_start(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "data") as rig:
        puppet = PuppetConnector(0)
        await rig.attach(puppet)
        await rig.send()
        await rig.reach("1", 0)
        await rig.retire(puppet)
        number = puppet.id
    async with open_rig(tmp_path / "data") as rig:
        await rig.dispatch.attach(PuppetConnector(number, forgets=True))
        await rig.reach("1", 1)


async def test_refusals_that_carry_an_id_can_be_asked_for(rig: Rig) -> None:
    puppet = PuppetConnector(0)
    await rig.attach(puppet)
    bad_number = await rig.try_send("123")
    assert isinstance(bad_number, Refused)
    assert bad_number.refusal is Refusal.BAD_NUMBER
    assert (await rig.status(bad_number.client_ref, "123")).status == 22
    bad_sender = await rig.try_send(sender="much too long a name")
    assert isinstance(bad_sender, Refused)
    assert bad_sender.refusal is Refusal.SENDER_DENIED
    assert (await rig.status(bad_sender.client_ref)).status == 23
    mixed = await rig.send("79160000001,123", "mixed")
    assert [line.refusal for line in mixed.lines] == [None, Refusal.BAD_NUMBER]
    assert (await rig.status(mixed.client_ref, "123")).status == 22
    assert mixed.cost_micros == 1_000_000


async def test_a_type_that_nobody_carries_is_refused(rig: Rig) -> None:
    puppet = PuppetConnector(0)
    puppet.carries = frozenset({MessageType.SMS})
    await rig.attach(puppet)
    rig.runtime.directory._abilities_of = lambda kind, settings: puppet.carries
    await rig.runtime.directory.load()
    answer = await rig.try_send(text="__VIBER__ hello")
    assert isinstance(answer, Refused)
    assert answer.refusal is Refusal.NO_ROUTE
    assert (await rig.status(answer.client_ref)).status == 25


@pytest.mark.parametrize("kind", [OutcomeKind.DEFERRED, OutcomeKind.UNROUTABLE])
async def test_what_is_put_off_after_its_life_ends_at_once(rig: Rig, kind: OutcomeKind) -> None:
    puppet = PuppetConnector(1, window=1, answers=False)
    other = PuppetConnector(2, answers=False)
    await rig.attach(puppet, other)
    await rig.send(valid_ms=1_000)
    await rig.until(lambda: puppet.sent)
    waiting = await rig.send(valid_ms=1_000)
    await rig.reach(waiting.client_ref, 3)  # so the clockwork has been there
    puppet.outcome(kind, err=220, retry_after_ms=1_000)
    assert (await rig.reach("1", 3)).err == 220
    assert not other.sent
    assert await rig.balance() == 10**9
    assert (await rig.audit()).is_exact
