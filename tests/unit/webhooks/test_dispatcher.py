"""The dispatcher between a real database and real HTTP receivers."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest
from sqlalchemy import text
from tests.harness.ports import free_ports

from heliograph.config import Webhooks
from heliograph.domain.accounts import Account
from heliograph.domain.events import OutboxEvent
from heliograph.httpclient import HttpClient
from heliograph.observability import Metrics
from heliograph.storage.database import Database, sqlite_url
from heliograph.storage.journal import Entry, Journal
from heliograph.storage.outbox import Outbox, replay
from heliograph.storage.schema import metadata
from heliograph.storage.statements import INSERT_OUTBOX
from heliograph.webhooks.dispatcher import WebhookDispatcher

pytestmark = pytest.mark.interpreted

MINUTE = 60_000


class Receiver:
    """A client's handler. `answer` decides the status of a call, and may take its time."""

    def __init__(self) -> None:
        self.calls: list[dict[str, str]] = []
        self.heads: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.answer: Callable[[dict[str, str]], Awaitable[int]] = self._accept
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @staticmethod
    async def _accept(_form: dict[str, str]) -> int:
        return 200

    def says(self, status: int) -> None:
        """Every call is answered so from now on."""

        async def answer(_form: dict[str, str]) -> int:
            return status

        self.answer = answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/h"

    @property
    def ids(self) -> list[str]:
        return [call["id"] for call in self.calls]

    async def start(self, port: int = 0) -> None:
        self.port = port or free_ports(1)[0]  # one that is still free after a stop
        self._server = await asyncio.start_server(self._accept_connection, "127.0.0.1", self.port)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].split("\r\n")[0])
                form = dict(parse_qsl((await reader.readexactly(length)).decode("ascii")))
                self.calls.append(form)
                self.heads.append(head)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    status = await self.answer(form)
                finally:
                    self.at_once -= 1
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Directory:
    def __init__(self) -> None:
        self.urls: dict[int, str] = {}
        self.stored: dict[int, str] = {}  # what another process has changed

    async def refresh_if_changed(self) -> bool:
        self.urls |= self.stored
        return True

    def account_by_id(self, account_id: int, /) -> Account | None:
        url = self.urls.get(account_id)
        if url is None:
            return None
        return Account(id=account_id, login=f"a{account_id}", payer_id=1, callback_url=url)


class World:
    """A database, a journal and a dispatcher that can be stopped and started anew."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directory = Directory()
        self.ids = itertools.count(1)
        self.shift_ms = 0
        self.grace_s = 1.0
        self.config: dict[str, Any] = {"allow_private": True, "timeout_s": 5.0}
        self.metrics = Metrics()

    def clock(self) -> int:
        return time.time_ns() // 1_000_000 + self.shift_ms

    def take_ids(self, _count: int) -> int:
        return next(self.ids)

    async def start(self, **config: Any) -> None:
        self.config |= config
        settings = Webhooks(**self.config)
        self.journal = Journal(self.database.writer(), take_ids=self.take_ids)
        await self.journal.open()
        self.client = HttpClient.from_config(settings)
        self.dispatcher = WebhookDispatcher(
            Outbox(self.database, self.journal, self.take_ids),
            self.client,
            self.directory,
            clock=self.clock,
            config=settings,
            metrics=self.metrics,
        )
        surveyed = asyncio.Event()
        survey = self.dispatcher._survey

        async def look_through() -> None:
            await survey()
            surveyed.set()

        self.dispatcher._survey = look_through  # type: ignore[method-assign]
        self.dispatcher.start()
        await asyncio.wait_for(surveyed.wait(), 30)

    async def stop(self) -> None:
        await self.dispatcher.stop(self.grace_s)
        await self.client.close()
        await self.journal.close()

    def event(self, account_id: int = 1, message_id: int = 0, ref: str = "") -> OutboxEvent:
        id = next(self.ids)
        return OutboxEvent(
            id=id,
            account_id=account_id,
            message_id=message_id,
            kind="status",
            payload={"id": ref or str(id), "phone": "79990000001", "status": "1"},
            created_at=self.clock(),
        )

    async def commit(self, events: Sequence[OutboxEvent], *, is_offered: bool = True) -> None:
        """Writes events as the services do, and hands them over after the commit."""
        rows = [
            (
                e.id,
                e.account_id,
                e.message_id,
                e.kind,
                msgspec.json.encode(e.payload).decode(),
                0,
                0,
                e.next_try_at,
                e.created_at,
                0,
                "",
            )
            for e in events
        ]
        await self.journal.write(Entry({INSERT_OUTBOX: rows}, now_ms=self.clock()))
        if is_offered:
            self.dispatcher.offer(events)

    async def count(self, condition: str) -> int:
        async with self.database.read() as connection:
            query = text(f"SELECT COUNT(*) FROM outbox WHERE {condition}")
            return int((await connection.execute(query)).scalar_one())

    async def until(self, is_so: Callable[[], Any], limit_s: float = 30.0) -> None:
        end = time.monotonic() + limit_s
        while True:
            found = is_so()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            assert time.monotonic() < end, "it did not come so"
            await asyncio.sleep(0.01)

    async def until_done(self, count: int) -> None:
        async def is_done() -> bool:
            return await self.count("state = 1") == count

        await self.until(is_done)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = Database(sqlite_url(tmp_path))
    async with database.write() as connection:
        await connection.run_sync(metadata.create_all)
    made = World(database)
    await made.start()
    yield made
    await made.stop()
    await database.close()


@pytest.fixture
async def receiver(world: World) -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    world.directory.urls[1] = made.url
    yield made
    await made.stop()


async def test_an_event_is_called_once_and_marked_done(world: World, receiver: Receiver) -> None:
    event = world.event(message_id=5)
    await world.commit([event])
    await world.until_done(1)
    assert receiver.calls == [{"id": str(event.id), "phone": "79990000001", "status": "1"}]
    assert f"X-Event-Id: {event.id}\r\n" in receiver.heads[0]
    assert await world.count("attempts = 1 AND last_result = 'HTTP 200' AND done_at > 0") == 1
    await world.until(lambda: world.dispatcher.depth == 0)
    assert b'heliograph_callbacks_total{result="done"} 1.0' in world.metrics.render()


async def test_many_events_are_called_once_each_in_the_order_of_their_messages(
    world: World, receiver: Receiver
) -> None:
    async def slowly(form: dict[str, str]) -> int:
        await asyncio.sleep(0.001 * (int(form["id"].split(":")[1]) % 3))
        return 200

    receiver.answer = slowly
    events = [world.event(message_id=1 + n % 20, ref=f"{n % 20}:{n // 20}") for n in range(400)]
    for at in range(0, 400, 50):
        await world.commit(events[at : at + 50])
    await world.until_done(400)
    assert len(receiver.calls) == 400
    for message in range(20):
        steps = [ref for ref in receiver.ids if ref.startswith(f"{message}:")]
        assert steps == [f"{message}:{step}" for step in range(20)]
    assert receiver.most_at_once > 1


async def test_a_failed_event_is_repeated_on_the_published_schedule(
    world: World, receiver: Receiver
) -> None:
    receiver.says(500)
    event = world.event(message_id=5)
    await world.commit([event])
    minutes = [1, 2, 5, 10, 30, 60]
    for attempt, minute in enumerate(minutes, start=1):
        await world.until(lambda n=attempt: world.count(f"attempts = {n}"))
        assert len(receiver.calls) == attempt
        async with world.database.read() as connection:
            row = (await connection.execute(text("SELECT next_try_at, state FROM outbox"))).one()
        assert abs(row.next_try_at - world.clock() - minute * MINUTE) < 5_000
        assert row.state == 0
        world.shift_ms += minute * MINUTE
    await world.until(lambda: world.count("state = 2 AND attempts = 7"))
    assert len(receiver.calls) == 7
    assert [head.partition("X-Event-Attempt: ")[2][0] for head in receiver.heads] == list("1234567")
    async with world.database.read() as connection:
        failed = await connection.execute(text("SELECT COUNT(*) FROM outbox_attempts"))
        assert failed.scalar_one() == 7


async def test_later_events_of_a_message_wait_for_its_failed_one(
    world: World, receiver: Receiver
) -> None:
    refused = {"first"}

    async def answer(form: dict[str, str]) -> int:
        return 500 if form["id"] in refused else 200

    receiver.answer = answer
    await world.commit([world.event(message_id=5, ref="first")])
    await world.until(lambda: world.count("attempts = 1"))
    await world.commit(
        [world.event(message_id=5, ref="second"), world.event(message_id=6, ref="other")]
    )
    await world.until(lambda: "other" in receiver.ids)
    await asyncio.sleep(0.3)
    assert "second" not in receiver.ids
    refused.clear()
    world.shift_ms += MINUTE
    await world.until_done(3)
    assert receiver.ids == ["first", "other", "first", "second"]


async def test_an_account_with_one_bad_event_goes_on_at_once(
    world: World, receiver: Receiver
) -> None:
    async def answer(form: dict[str, str]) -> int:
        return 500 if form["id"] == "bad" else 200

    receiver.answer = answer
    await world.commit([world.event(message_id=1, ref="bad")])
    await world.until(lambda: world.count("attempts = 1"))
    for n in range(5):
        await world.commit([world.event(message_id=10 + n) for _ in range(20)])
        await asyncio.sleep(0.02)
    await world.until_done(100)
    assert len(receiver.calls) == 101


async def test_a_slow_receiver_delays_nobody_and_takes_no_memory(
    world: World, receiver: Receiver
) -> None:
    await world.stop()
    limits = {"per_account_parallel": 8, "per_account_queued": 50, "queued": 400}
    await world.start(parallel=40, timeout_s=60.0, **limits)
    slow = Receiver()
    await slow.start()

    async def hang(_form: dict[str, str]) -> int:
        await asyncio.sleep(60)
        return 200

    slow.answer = hang
    try:
        await world.commit([world.event(message_id=9_999)])
        await world.until_done(1)
        for account in range(2, 22):  # twenty of them: more than all calls allowed at once
            world.directory.urls[account] = slow.url
            await world.commit([world.event(account, message_id=n) for n in range(1, 201)])
        assert world.dispatcher.depth <= 400
        started = time.monotonic()
        for n in range(20):
            await world.commit([world.event(message_id=10_000 + n)])
        await world.until(lambda: len(receiver.calls) == 21)
        assert time.monotonic() - started < 20  # and not the minute of a slow call
        assert slow.most_at_once <= 40
    finally:
        await slow.stop()


async def test_a_dead_receiver_is_probed_and_not_hammered(world: World, receiver: Receiver) -> None:
    port = receiver.port
    receiver.says(503)
    await world.commit([world.event(message_id=n) for n in range(1, 101)])
    await world.until(lambda: world.count("attempts = 1 AND state = 0"))
    await world.until(lambda: world.dispatcher.depth == 0)
    tried = len(receiver.calls)
    assert tried < 60  # what was going on when the circuit opened; the rest was left alone
    await world.commit([world.event(message_id=n) for n in range(200, 300)])
    await asyncio.sleep(1.2)
    assert len(receiver.calls) == tried
    world.shift_ms += 5_000
    await world.until(lambda: len(receiver.calls) == tried + 1)  # the probe
    await asyncio.sleep(1.2)
    assert len(receiver.calls) == tried + 1
    await receiver.stop()
    revived = Receiver()
    await revived.start(port)
    try:
        world.shift_ms += 10_000
        await world.until(lambda: len(revived.calls) >= 100)
        world.shift_ms += 2 * MINUTE
        await world.until_done(200)
        assert len(set(revived.ids)) == len(revived.ids) == 200
    finally:
        await revived.stop()
        await receiver.start()


async def test_what_waited_in_vain_for_a_dead_receiver_is_given_up(
    world: World, receiver: Receiver
) -> None:
    receiver.says(503)
    await world.commit([world.event(message_id=n) for n in range(1, 6)])
    await world.until(lambda: world.count("attempts = 1 AND state = 0"))
    await world.until(lambda: world.dispatcher.depth == 0)
    await world.commit([world.event(message_id=n) for n in range(10, 20)])
    world.shift_ms += 110 * MINUTE
    await world.until(lambda: world.count("state = 2"))

    async def is_over() -> bool:
        return await world.count("state = 2 AND last_result LIKE '%did not answer%'") >= 10

    await world.until(is_over)


async def test_events_left_by_an_earlier_run_are_called(world: World, receiver: Receiver) -> None:
    events = [world.event(message_id=n // 3) for n in range(3, 1203)]
    await world.commit(events, is_offered=False)
    await world.stop()
    await world.start()
    await world.until_done(1200)
    assert sorted(map(int, receiver.ids)) == [e.id for e in events]


async def test_what_does_not_fit_in_memory_is_read_back(world: World, receiver: Receiver) -> None:
    await world.stop()
    await world.start(per_account_queued=20, queued=30)
    events = [world.event(message_id=n // 2) for n in range(2, 602)]
    for at in range(0, 600, 100):
        await world.commit(events[at : at + 100])
        assert world.dispatcher.depth <= 60
    await world.until_done(600)
    assert len(receiver.calls) == 600
    # and the account is back to memory: a new event needs no reading
    await world.until(lambda: not world.dispatcher._lanes or world.dispatcher.depth == 0)
    await world.commit([world.event(message_id=9999)])
    await world.until_done(601)


async def test_an_account_catches_up_under_steady_traffic(world: World, receiver: Receiver) -> None:
    await world.commit([world.event()], is_offered=False)
    world.shift_ms += MINUTE  # the survey finds it: the account is behind
    sent = 1
    end = time.monotonic() + 60
    while time.monotonic() < end:
        await world.commit([world.event(message_id=sent)])
        sent += 1
        lane = world.dispatcher._lanes.get(1)
        if sent > 50 and len(receiver.calls) > 1 and (lane is None or not lane.is_behind):
            break
    else:
        pytest.fail("the account stayed behind")
    await world.until_done(sent)
    assert len(receiver.calls) == sent


async def test_replayed_events_are_called_again(world: World, receiver: Receiver) -> None:
    event = world.event(message_id=5)
    await world.commit([event])
    await world.until_done(1)
    await world.until(lambda: world.dispatcher.depth == 0)
    assert await replay(world.database, now_ms=world.clock(), message_id=5) == 1
    await world.until(lambda: len(receiver.calls) == 2)
    await world.until_done(1)


async def test_an_address_that_was_mended_just_before_is_called(
    world: World, receiver: Receiver
) -> None:
    good, world.directory.urls[1] = world.directory.urls[1], "http://127.0.0.1:9/gone"
    await world.commit([world.event(message_id=5)])
    await world.until(lambda: world.count("state = 0 AND attempts = 1"))
    world.directory.stored[1] = good
    assert await replay(world.database, now_ms=world.clock(), message_id=5) == 1
    await world.until_done(1)
    assert len(receiver.calls) == 1


async def test_events_without_an_address_are_given_up(world: World) -> None:
    world.directory.urls[3] = ""
    await world.commit([world.event(2), world.event(3)])
    await world.until(lambda: world.count("state = 2 AND attempts = 0"))


async def test_a_refused_address_is_a_failure_with_its_reason(world: World) -> None:
    await world.stop()
    await world.start(allow_private=False)
    world.directory.urls[1] = "http://127.0.0.1:9/h?md5=secret"
    world.directory.urls[2] = "not a url"
    await world.commit([world.event(1), world.event(2)])

    async def is_told() -> bool:
        return await world.count("attempts = 1 AND last_result <> ''") == 2

    await world.until(is_told)
    assert await world.count("last_result LIKE '%may be called%'") == 1
    assert await world.count("last_result LIKE '%secret%'") == 0


async def test_a_stop_finishes_what_is_going_on_and_loses_nothing(
    world: World, receiver: Receiver
) -> None:
    may_answer = asyncio.Event()

    async def slowly(_form: dict[str, str]) -> int:
        await may_answer.wait()
        return 200

    receiver.answer = slowly
    await world.commit([world.event(message_id=n) for n in range(1, 101)])
    await world.until(lambda: receiver.at_once == 32)
    world.grace_s = 30.0
    stopping = asyncio.create_task(world.stop())
    await world.until(lambda: world.dispatcher._is_stopping)
    may_answer.set()
    await stopping
    assert await world.count("state = 1") == 32
    assert await world.count("state = 0 AND attempts = 0") == 68
    receiver.answer = receiver._accept
    await world.start()
    await world.until_done(100)
    assert len(receiver.calls) == 100


async def test_a_stop_does_not_wait_for_a_call_that_hangs(world: World, receiver: Receiver) -> None:
    async def hang(_form: dict[str, str]) -> int:
        await asyncio.sleep(60)
        return 200

    receiver.answer = hang
    await world.commit([world.event(message_id=1)])
    await world.until(lambda: receiver.at_once == 1)
    started = time.monotonic()
    await world.dispatcher.stop(0.2)
    assert time.monotonic() - started < 3
    assert await world.count("state = 0 AND attempts = 0") == 1
