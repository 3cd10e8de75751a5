"""Throws damaged SMPP at the parser and both session roles for a while.

The one invariant: *whatever bytes arrive, a session returns events and the codec returns a PDU or
raises RemoteProtocolError; nothing else is raised, and what is kept between calls stays below the
largest PDU.* Every answer a session gives to garbage must itself be decodable.

    python tests/fuzz/smpp_framing.py --seconds 60 [--seed 1]

The seed is printed first; the same seed repeats the same run up to its length.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time
from collections.abc import Callable

from heliograph.protocols.smpp import (
    PDU_BY_COMMAND,
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    EsmeSession,
    FrameBuffer,
    Pdu,
    QuerySm,
    RemoteProtocolError,
    Session,
    SessionConfig,
    SmeAddress,
    SmscSession,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    Tlvs,
    decode,
    encode,
    is_receipt,
    read_receipt,
)

MAX_COMMAND_LENGTH = 4_096  # small, so that the bound is met often

_SEEDS: tuple[Pdu, ...] = (
    *(kind() for kind in PDU_BY_COMMAND.values()),
    BindTransceiver(system_id="alex", password="123"),
    BindReceiver(system_id="alex", password="123", interface_version=0x50, address_range="7*"),
    BindTransceiverResp(system_id="smsc", tlvs=Tlvs([Tlv(0x0210, b"\x34")])),
    SubmitSm(source_addr="ivan", destination_addr="79999999999", short_message=b"Hello"),
    SubmitSm(
        destination_addr="7913",
        validity_period="000001000000000R",
        tlvs=Tlvs([Tlv(0x0424, b"x" * 300), Tlv(0x020C, b"\0\1"), Tlv(0x020C, b"\0\2")]),
    ),
    SubmitSmResp(message_id="855469"),
    DeliverSm(
        source_addr="79999999999",
        esm_class=4,
        short_message=b"id:855469 sub:001 dlvrd:001 submit date:2401011200 done date:2401011201 "
        b"stat:DELIVRD err:000 text:Hello",
        tlvs=Tlvs([Tlv(0x001E, b"855469\0"), Tlv(0x0427, b"\2"), Tlv(0x0423, b"\3\0\0")]),
    ),
    SubmitMulti(dest_address=(SmeAddress(destination_addr="7913"),) * 3, short_message=b"Hi"),
    QuerySm(message_id="855469"),
)

_LENGTHS = (0, 1, 4, 15, 16, 17, MAX_COMMAND_LENGTH, MAX_COMMAND_LENGTH + 1, 0xFFFF, 0xFFFFFFFF)


def _set_length(rng: random.Random, data: bytearray) -> None:
    data[:4] = rng.choice(_LENGTHS).to_bytes(4, "big")


def _flip(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 4, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _cut_with_right_length(rng: random.Random, data: bytearray) -> None:
    del data[rng.randint(16, len(data)) :]
    data[:4] = len(data).to_bytes(4, "big")


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randint(1, 40))
    data[:4] = len(data).to_bytes(4, "big")


def _drop_nuls(_rng: random.Random, data: bytearray) -> None:
    data[16:] = data[16:].replace(b"\0", b"\1")


def _change_command(rng: random.Random, data: bytearray) -> None:
    command_id = rng.choice([*PDU_BY_COMMAND, 0x99, 0x80000099, 0xFFFFFFFF])
    data[4:8] = command_id.to_bytes(4, "big")


def _noise(rng: random.Random, data: bytearray) -> None:
    data[:] = rng.randbytes(rng.randint(1, 64))


_MUTATIONS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _set_length,
    _flip,
    _flip,
    _cut,
    _cut_with_right_length,
    _cut_with_right_length,
    _insert,
    _insert,
    _drop_nuls,
    _change_command,
    _noise,
)


def make_segment(rng: random.Random) -> bytes:
    """A few PDUs, some of them damaged."""
    segment = bytearray()
    for _ in range(rng.randint(1, 6)):
        sequence_number = rng.choice((0, 1, 2, 3, 0x7FFFFFFF, 0xFFFFFFFF))
        data = bytearray(encode(rng.choice(_SEEDS), sequence_number))
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            if data:
                rng.choice(_MUTATIONS)(rng, data)
            if len(data) < 16:
                break
        segment += data
    return bytes(segment)


def make_session(rng: random.Random) -> Session:
    """A session of either role, bound or not, with requests waiting or not."""
    config = SessionConfig(
        max_command_length=MAX_COMMAND_LENGTH, inbound_max=rng.choice((None, 3)), window_max=5
    )
    if rng.random() < 0.5:
        smsc = SmscSession(0.0, config)
        if rng.random() < 0.7:
            (bind,) = smsc.receive(encode(BindTransceiver(system_id="a"), 1), 0.0)
            assert isinstance(bind, BindTransceiver)
            smsc.accept_bind(bind, "centre")
            smsc.send(DeliverSm(), 0.0, context="delivery")
        return smsc
    esme = EsmeSession(0.0, config)
    if rng.random() < 0.7:
        esme.send(BindTransceiver(system_id="a"), 0.0)
        esme.receive(encode(BindTransceiverResp(system_id="centre"), 1), 0.0)
        esme.send(SubmitSm(), 0.0, context="message")
        esme.send(QuerySm(message_id="1"), 0.0, context="query")
    return esme


def run_case(rng: random.Random) -> int:
    """One connection's life; returns how many events it made. Raises when the invariant fails."""
    session = make_session(rng)
    events = 0
    now = 0.0
    for _ in range(rng.randint(1, 8)):
        segment = make_segment(rng)
        size = rng.choice((1, 7, 100, len(segment) or 1))
        for at in range(0, len(segment), size):
            now += rng.random()
            for event in session.receive(segment[at : at + size], now):
                events += 1
                if isinstance(event, DeliverSm) and is_receipt(event):
                    read_receipt(event, near_ms=0)
            assert len(session._buffer) <= MAX_COMMAND_LENGTH, "the buffer grows"
        session.tick(now + rng.choice((0.0, 30.0, 500.0)))
        answers = session.take_output()
        buffer = FrameBuffer()
        for frame in buffer.feed(answers):
            decode(frame)
        assert buffer.error is None, "an answer of ours has a wrong length"
        assert len(buffer) == 0, "an answer of ours is not whole"
    for frame in (make_segment(rng), rng.randbytes(rng.randint(0, 80))):
        with contextlib.suppress(RemoteProtocolError):
            decode(frame)
    return events


def run(seconds: float, seed: int) -> tuple[int, int]:
    """Run cases for a time; returns how many cases and events there were."""
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    cases = events = 0
    while time.monotonic() < end:
        events += run_case(rng)
        cases += 1
    return cases, events


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fuzz the SMPP parser and sessions.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None, help="default: from the clock")
    arguments = parser.parse_args()
    seed = time.time_ns() % 2**32 if arguments.seed is None else arguments.seed
    print(f"smpp_framing: seed {seed}, {arguments.seconds:g} s", flush=True)
    cases, events = run(arguments.seconds, seed)
    print(f"smpp_framing: {cases} connections, {events} events, invariant held")


if __name__ == "__main__":
    main()
