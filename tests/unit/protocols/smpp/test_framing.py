"""The receive buffer: every vector whole, byte by byte and with a tail; what is not SMPP."""

from __future__ import annotations

import pytest
from tests.unit.protocols.smpp.vectors import IDS, VECTORS, octets

from heliograph.protocols.smpp import MAX_COMMAND_LENGTH, EnquireLink, FrameBuffer, FramingError
from heliograph.protocols.smpp.codec import encode

LINK = encode(EnquireLink(), 1)


@pytest.mark.parametrize("data", [data for _, data, _ in VECTORS], ids=IDS)
def test_whole(data: bytes) -> None:
    buffer = FrameBuffer()
    assert buffer.feed(data) == [data]
    assert len(buffer) == 0


@pytest.mark.parametrize("data", [data for _, data, _ in VECTORS], ids=IDS)
def test_one_byte_at_a_time(data: bytes) -> None:
    buffer = FrameBuffer()
    for at in range(len(data) - 1):
        assert buffer.feed(data[at : at + 1]) == []
    assert buffer.feed(data[-1:]) == [data]
    assert buffer.feed(LINK) == [LINK]


@pytest.mark.parametrize("data", [data for _, data, _ in VECTORS], ids=IDS)
def test_with_a_tail(data: bytes) -> None:
    for cut in (1, 3, 4, 7, 15):
        buffer = FrameBuffer()
        assert buffer.feed(data + LINK[:cut]) == [data]
        assert len(buffer) == cut
        assert buffer.feed(LINK[cut:] + data) == [LINK, data]


def test_all_vectors_cut_in_every_size() -> None:
    stream = b"".join(data for _, data, _ in VECTORS)
    for size in (1, 2, 5, 16, 17, 100, 1000, len(stream)):
        buffer = FrameBuffer()
        frames = []
        for at in range(0, len(stream), size):
            frames += buffer.feed(stream[at : at + size])
        assert frames == [data for _, data, _ in VECTORS]


def test_ten_thousand_in_one_segment() -> None:
    assert FrameBuffer().feed(LINK * 10_000) == [LINK] * 10_000


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        octets("1603010200 010001FC 0303"),
        b"AMQP\x00\x00\x09\x01",
        octets("0300001300 0E E0 0000 0000 00 0100 0800 0300 0000"),
        b"SSH-2.0-x\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\0\0\0\0\0",
        b"\0\0\0\x20\x12\x34\x56\x78",
    ],
    ids=["get", "http", "tls", "amqp", "rdp", "ssh", "ones", "zeros", "strange command"],
)
def test_foreign_first_bytes(data: bytes) -> None:
    for size in (1, len(data)):
        buffer = FrameBuffer()
        for at in range(0, len(data), size):
            assert buffer.feed(data[at : at + size]) == []
            if buffer.error is not None:
                break
        assert buffer.error is not None
        assert buffer.error.is_foreign
        assert len(buffer) <= 8


def test_foreign_is_seen_at_the_first_byte() -> None:
    buffer = FrameBuffer()
    buffer.feed(b"G")
    assert buffer.error is not None


@pytest.mark.parametrize("length", [0, 1, 15, MAX_COMMAND_LENGTH + 1, 0xFFFFFFFF])
def test_impossible_length_later_on(length: int) -> None:
    buffer = FrameBuffer()
    bad = length.to_bytes(4, "big") + octets("00000004 00000000 00000009")
    assert buffer.feed(LINK + bad) == [LINK]
    assert buffer.error is not None
    assert not buffer.error.is_foreign
    assert buffer.error.sequence_number == 9
    with pytest.raises(FramingError):
        buffer.feed(LINK)


def test_longest_pdu_is_taken_and_nothing_more_is_kept() -> None:
    buffer = FrameBuffer(max_command_length=100)
    longest = octets("00000064 00000004 00000000 00000001") + b"x" * 84
    assert buffer.feed(LINK + longest[:-1]) == [LINK]
    assert len(buffer) == 99
    assert buffer.feed(longest[-1:]) == [longest]
    assert len(buffer) == 0


def test_unknown_command_is_not_foreign() -> None:
    vendor = octets("00000010 00010203 00000000 00000001")
    assert FrameBuffer().feed(vendor) == [vendor]
