"""Taking turns: many PDUs of one client leave room for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from heliograph.gateways.smpp.connection import Connection
from heliograph.gateways.smpp.ports import Services, SmppSettings
from heliograph.gateways.smpp.turns import PDUS_A_TURN, Turns
from heliograph.protocols.smpp import EnquireLink, EnquireLinkResp, decode, encode
from heliograph.protocols.smpp.framing import FrameBuffer

COUNT = 700


class Worker:
    def __init__(self, name: str, turns: int, log: list[str]) -> None:
        self.name = name
        self.left = turns
        self.log = log

    def take_turn(self) -> bool:
        self.log.append(self.name)
        self.left -= 1
        return self.left > 0


async def turns_of_the_loop(until: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if until():
            return
        await asyncio.sleep(0)
    raise TimeoutError


async def test_round_by_round() -> None:
    turns, log = Turns(), list[str]()
    turns.join(Worker("a", 3, log))
    turns.join(Worker("b", 1, log))
    turns.join(Worker("c", 2, log))
    assert log == []
    await turns_of_the_loop(lambda: len(log) >= 6)
    assert log == ["a", "b", "c", "a", "c", "a"]


async def test_a_turn_of_the_loop_has_an_end() -> None:
    turns, log = Turns(budget_s=0), list[str]()
    turns.join(Worker("a", 3, log))
    for done in range(1, 4):
        asyncio.get_running_loop().call_soon(log.append, "others")
        await asyncio.sleep(0)
        assert log == ["a", "others"] * done
    turns.join(Worker("b", 1, log))  # an empty line begins again
    await turns_of_the_loop(lambda: len(log) >= 7)
    assert log[-1] == "b"


async def test_a_mistake_of_one_does_not_stop_the_line() -> None:
    class Broken:
        def take_turn(self) -> bool:
            raise RuntimeError("broken")

    loop = asyncio.get_running_loop()
    errors: list[Any] = []
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    turns, log = Turns(), list[str]()
    turns.join(Broken())
    turns.join(Worker("a", 2, log))
    await turns_of_the_loop(lambda: len(log) >= 2)
    assert [str(error) for error in errors] == ["broken"]


class Owner:
    """As much of a server as an unbound connection asks for."""

    settings = SmppSettings()
    services = cast(Services, None)
    is_stopping = False

    def __init__(self) -> None:
        self.turns = Turns(budget_s=0)
        self.reasons: list[str] = []

    def now_ms(self) -> int:
        return 0

    def connected(self, connection: Connection) -> bool:
        return True

    def lost(self, connection: Connection) -> None:
        pass

    def refused(self, reason: str) -> None:
        self.reasons.append(reason)


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.octets = b""
        self.writes = 0
        self.is_reading_now = True
        self.is_aborted = False

    def write(self, data: Any) -> None:
        self.octets += bytes(data)
        self.writes += 1

    def is_closing(self) -> bool:
        return self.is_aborted

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self.is_aborted = True


def read(connection: Connection, octets: bytes) -> None:
    buffer = connection.get_buffer(-1)
    buffer[: len(octets)] = octets
    connection.buffer_updated(len(octets))


async def test_a_flood_is_handled_a_few_at_a_time() -> None:
    owner, wire = Owner(), Wire()
    connection = Connection(cast(Any, owner), 1, is_tls=False)
    connection.connection_made(wire)
    asked = b"".join(encode(EnquireLink(), n) for n in range(1, COUNT + 1))
    read(connection, asked)
    assert connection.session.backlog == COUNT - PDUS_A_TURN
    assert wire.is_reading_now
    read(connection, encode(EnquireLink(), COUNT + 1))  # behind what waits
    assert not wire.is_reading_now  # until less waits
    last = encode(EnquireLinkResp(), COUNT + 1)
    await turns_of_the_loop(lambda: wire.octets.endswith(last))
    assert wire.is_reading_now
    assert wire.writes >= COUNT // PDUS_A_TURN
    answers = [decode(frame) for frame in FrameBuffer().feed(wire.octets)]
    assert answers == [EnquireLinkResp(n) for n in range(1, COUNT + 2)]


async def test_a_connection_that_has_gone_leaves_the_line() -> None:
    owner, wire = Owner(), Wire()
    connection = Connection(cast(Any, owner), 1, is_tls=False)
    connection.connection_made(wire)
    read(connection, encode(EnquireLink(), 1) * COUNT)
    connection.connection_lost(None)
    assert connection.session.backlog == 0
    assert not connection.take_turn()


async def test_a_broken_stream_ends_after_what_came_before() -> None:
    owner, wire = Owner(), Wire()
    connection = Connection(cast(Any, owner), 1, is_tls=False)
    connection.connection_made(wire)
    read(connection, encode(EnquireLink(), 1) * 20 + b"\0\0\0\1" * 4)
    assert not wire.is_aborted
    await turns_of_the_loop(lambda: wire.is_aborted)
    assert owner.reasons == ["broken_stream"]
    assert wire.octets.count(encode(EnquireLinkResp(), 1)) == 20
