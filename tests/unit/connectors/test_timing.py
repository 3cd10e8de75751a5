"""The agenda: batches, order, nothing lost."""

from __future__ import annotations

import asyncio

from heliograph.connectors.timing import Agenda


async def test_entries_of_one_moment_come_in_one_batch_and_in_order() -> None:
    batches: list[list[int]] = []
    agenda: Agenda[int] = Agenda(asyncio.get_running_loop(), batches.append, tick_ms=20)
    for n in range(100):
        agenda.add(0, n)
    agenda.add(400, 201)
    agenda.add(30, 200)
    assert batches == []
    assert len(agenda) == 102
    await asyncio.sleep(0)
    assert batches == [list(range(100))]
    async with asyncio.timeout(30):
        while len(agenda):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert batches[1:] == [[200], [201]]


async def test_clear_gives_back_what_is_left_in_order() -> None:
    batches: list[list[str]] = []
    agenda: Agenda[str] = Agenda(asyncio.get_running_loop(), batches.append)
    agenda.add(500, "later")
    agenda.add(0, "now")
    agenda.add(100, "soon")
    assert agenda.clear() == ["now", "soon", "later"]
    await asyncio.sleep(0.01)
    assert batches == []


async def test_an_entry_may_add_the_next() -> None:
    seen: list[int] = []

    def follow(batch: list[int]) -> None:
        seen.extend(batch)
        if batch[0] < 3:
            agenda.add(0, batch[0] + 1)

    agenda: Agenda[int] = Agenda(asyncio.get_running_loop(), follow)
    agenda.add(0, 1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen == [1, 2, 3]
