"""A connector that is replaced, because its settings changed, or taken away, at every moment of a
message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.services.rig import PuppetConnector, Rig, open_rig

from heliograph.connectors.base import OutcomeKind, UnknownPolicy

LONG = "x" * 400  # three parts


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data") as opened:
        yield opened


async def replace(
    rig: Rig, puppet: PuppetConnector, *, policy: UnknownPolicy = UnknownPolicy.FAIL
) -> PuppetConnector:
    """What a change of its settings does: another connector of the same number."""
    await rig.dispatch.detach(puppet.id, 0)
    successor = PuppetConnector(puppet.id, policy=policy, answers=False)
    await rig.dispatch.attach(successor)
    await rig.dispatch.adopt()
    return successor


async def test_what_was_never_answered_ends_as_the_policy_says(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    sent = await rig.send()
    await rig.until(lambda: puppet.sent)
    await replace(rig, puppet)
    # Nobody is there any more who could answer late, so there is nothing to wait for.
    answer = await rig.reach(sent.client_ref, 3)
    assert answer.err == 245
    assert (await rig.audit()).is_exact


async def test_what_was_never_answered_is_sent_again_by_the_successor(rig: Rig) -> None:
    puppet = PuppetConnector(0, policy=UnknownPolicy.RESEND, answers=False)
    await rig.attach(puppet)
    sent = await rig.send()
    await rig.until(lambda: puppet.sent)
    successor = await replace(rig, puppet, policy=UnknownPolicy.RESEND)
    await rig.until(lambda: successor.sent)
    successor.outcome(OutcomeKind.ACCEPTED, external_id="A")
    assert await successor.tell(successor.receipt("A"))
    await rig.reach(sent.client_ref, 1)
    assert not successor.sent


async def test_a_message_of_which_one_part_was_sent_goes_on_whole(rig: Rig) -> None:
    puppet = PuppetConnector(0, window=1, answers=False)
    await rig.attach(puppet)
    sent = await rig.send(text=LONG)
    await rig.until(lambda: puppet.sent)
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="A1")
    await rig.until(lambda: puppet.sent)
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="A2")
    await rig.until(lambda: puppet.sent)
    puppet.outcome(OutcomeKind.DEFERRED, retry_after_ms=1)

    successor = await replace(rig, puppet)
    await rig.until(lambda: successor.sent)
    successor.outcome(OutcomeKind.ACCEPTED, external_id="A3")
    assert await successor.tell(*map(successor.receipt, ("A1", "A2", "A3")))
    answer = await rig.reach(sent.client_ref, 1)
    assert answer.cost_micros == 3_000_000


async def test_parts_in_the_lanes_of_a_half_sent_message_go_on_too(rig: Rig) -> None:
    puppet = PuppetConnector(0, window=2, answers=False)
    await rig.attach(puppet)
    sent = await rig.send(text=LONG)
    await rig.until(lambda: len(puppet.sent) == 2)
    puppet.is_up = False  # the third part stays in its lane
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="A1")
    puppet.outcome(OutcomeKind.ACCEPTED, external_id="A2")

    successor = await replace(rig, puppet)
    await rig.until(lambda: successor.sent)
    successor.outcome(OutcomeKind.ACCEPTED, external_id="A3")
    assert await successor.tell(*map(successor.receipt, ("A1", "A2", "A3")))
    answer = await rig.reach(sent.client_ref, 1)
    assert answer.cost_micros == 3_000_000


async def test_what_was_put_off_goes_another_way_when_its_connector_is_taken_away(
    rig: Rig,
) -> None:
    first, second = PuppetConnector(0, answers=False), PuppetConnector(0, answers=False)
    first.name, second.name = "first", "second"
    await rig.attach(first, second)
    sent = await rig.send()
    await rig.until(lambda: first.sent)
    first.outcome(OutcomeKind.DEFERRED, retry_after_ms=1)
    await rig.dispatch.detach(first.id, 0)
    await rig.dispatch.adopt()
    await rig.until(lambda: second.sent)
    second.outcome(OutcomeKind.ACCEPTED, external_id="B")
    await rig.reach(sent.client_ref, 0)


@pytest.mark.interpreted
async def test_what_was_accepted_while_its_connector_went_is_not_lost(rig: Rig) -> None:
    puppet = PuppetConnector(0, answers=False)
    await rig.attach(puppet)
    claim_now = rig.dispatch.claim_now

    def claim_and_go(route: tuple[int, ...], part_count: int) -> int:
        claimed = claim_now(route, part_count)
        rig.dispatch._upstreams.clear()  # as `detach` does, between the claim and its commit
        return claimed

    rig.dispatch.claim_now = claim_and_go  # type: ignore[method-assign]
    sent = await rig.send()
    assert not puppet.sent
    successor = PuppetConnector(puppet.id, answers=False)
    await rig.dispatch.attach(successor)
    await rig.dispatch.adopt()
    await rig.until(lambda: successor.sent)
    successor.outcome(OutcomeKind.ACCEPTED, external_id="A")
    await rig.reach(sent.client_ref, 0)
    assert "unknown" not in await rig.events(sent.client_ref)
