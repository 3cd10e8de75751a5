"""Any PDU the layout tables allow survives the wire, and the fast paths equal the tables."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.smpp import (
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    FrameBuffer,
    LocalProtocolError,
    Pdu,
    PduError,
    SmeAddress,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    Tlvs,
    UnsuccessSme,
    decode,
    encode,
)
from heliograph.protocols.smpp.codec import decode_by_table, encode_by_table
from heliograph.protocols.smpp.layout import (
    LAYOUTS,
    CountedOctets,
    CString,
    DestAddresses,
    Field,
    Integer,
    UnsuccessSmes,
)
from heliograph.protocols.smpp.pdu import PDU_BY_COMMAND
from heliograph.protocols.smpp.session import EsmeSession, SmscSession

OCTET = st.integers(0, 255)
SEQUENCE = st.integers(0, 0xFFFFFFFF)
STATUS = st.sampled_from([0, 0, 0, 8, 0x58, 0x400])


def texts(length_max: int) -> st.SearchStrategy[str]:
    """C-octet strings of up to ``length_max`` octets without the NUL."""
    return st.text(
        st.characters(min_codepoint=1, max_codepoint=255, categories=None), max_size=length_max
    )


ADDRESSES = st.one_of(
    st.builds(SmeAddress, dest_addr_ton=OCTET, dest_addr_npi=OCTET, destination_addr=texts(20)),
    st.builds(DistributionList, dl_name=texts(20)),
)
REFUSALS = st.builds(
    UnsuccessSme,
    dest_addr_ton=OCTET,
    dest_addr_npi=OCTET,
    destination_addr=texts(20),
    error_status_code=SEQUENCE,
)
TLVS = st.builds(
    Tlvs,
    st.lists(
        st.builds(Tlv, st.one_of(st.just(0x0424), st.integers(0, 0xFFFF)), st.binary(max_size=20)),
        max_size=4,
    ),
)


def values(field: Field) -> st.SearchStrategy[Any]:
    """Values that a field of a layout can hold."""
    match field:
        case CString():
            return texts(field.length_max - 1)
        case Integer():
            return st.integers(0, 256**field.octets - 1)
        case CountedOctets():
            return st.binary(max_size=255)
        case DestAddresses():
            return st.lists(ADDRESSES, max_size=4).map(tuple)
        case UnsuccessSmes():
            return st.lists(REFUSALS, max_size=4).map(tuple)
    raise AssertionError(f"no strategy for {field}")


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    """Any PDU with any legal content."""
    command_id = draw(st.sampled_from(sorted(LAYOUTS)))
    layout = LAYOUTS[command_id]
    filled = {field.name: draw(values(field)) for field in layout.fields}
    if layout.has_tlvs:
        filled["tlvs"] = draw(TLVS)
    return PDU_BY_COMMAND[command_id](
        sequence_number=draw(SEQUENCE), command_status=draw(STATUS), **filled
    )


# Values of every kind, many of them too long, too large or with a NUL.
ODD_TEXT = st.one_of(texts(22), st.text(max_size=4), st.just("a\0b"), st.just("x" * 66))
ODD_NUMBER = st.one_of(OCTET, OCTET, OCTET, st.integers(-2, 300))
ODD_BODY: dict[str, st.SearchStrategy[Any]] = {
    "source_addr_ton": ODD_NUMBER,
    "source_addr": ODD_TEXT,
    "destination_addr": ODD_TEXT,
    "service_type": ODD_TEXT,
    "validity_period": ODD_TEXT,
    "schedule_delivery_time": ODD_TEXT,
    "esm_class": ODD_NUMBER,
    "command_status": st.integers(-1, 2**32),
    "short_message": st.binary(max_size=300),
    "tlvs": TLVS,
}
ODD_PDUS = st.one_of(
    *(
        st.fixed_dictionaries({}, optional=ODD_BODY).map(lambda filled, kind=kind: kind(**filled))
        for kind in (SubmitSm, DeliverSm)
    ),
    *(
        st.builds(kind, command_status=STATUS, message_id=ODD_TEXT, tlvs=TLVS)
        for kind in (SubmitSmResp, DeliverSmResp)
    ),
)


def outcome(function: Any, *arguments: Any) -> Any:
    """What a call returns, or the type and status of the protocol error it raises."""
    try:
        return function(*arguments)
    except (PduError, LocalProtocolError) as error:
        return (type(error), error.command_status, error.reason)


@given(pdus())
def test_there_and_back(pdu: Pdu) -> None:
    frame = encode(pdu, pdu.sequence_number)
    assert decode(frame) == pdu
    assert decode_by_table(frame) == pdu
    assert encode_by_table(pdu, pdu.sequence_number) == frame


@given(ODD_PDUS, st.one_of(SEQUENCE, st.integers(-1, 2**33)))
def test_fast_encoding_equals_the_table(pdu: Pdu, sequence_number: int) -> None:
    by_table = outcome(encode_by_table, pdu, sequence_number)
    assert outcome(encode, pdu, sequence_number) == by_table
    if isinstance(by_table, bytes):
        assert outcome(decode, by_table) == outcome(decode_by_table, by_table)


@given(pdus(), st.data())
def test_fast_decoding_equals_the_table_on_damaged_frames(pdu: Pdu, data: st.DataObject) -> None:
    frame = bytearray(encode(pdu, pdu.sequence_number))
    for _ in range(data.draw(st.integers(0, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(
            st.one_of(st.just(0), st.just(255), OCTET)
        )
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    for damaged in (bytes(frame), cut, len(cut).to_bytes(4, "big") + cut[4:]):
        assert outcome(decode, damaged) == outcome(decode_by_table, damaged)


@given(st.lists(pdus(), max_size=6), st.lists(st.integers(1, 60), max_size=30))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    sent: list[Pdu], sizes: list[int]
) -> None:
    # The first PDU is a usual one, so that no generated one is taken for another protocol.
    frames = [encode(BindTransceiver(), 1)] + [encode(pdu, pdu.sequence_number) for pdu in sent]
    stream = b"".join(frames)
    buffer = FrameBuffer()
    received: list[bytes] = []
    at = 0
    for size in [*sizes, len(stream)]:
        received += buffer.feed(stream[at : at + size])
        at += size
    assert received == frames
    assert len(buffer) == 0


@given(st.binary(max_size=300), st.booleans(), st.integers(1, 50))
def test_garbage_gives_events_and_never_raises(data: bytes, is_bound: bool, size: int) -> None:
    for session in (EsmeSession(0.0), SmscSession(0.0)):
        if is_bound:
            session.receive(encode(BindTransceiver(), 1), 0.0)
        for at in range(0, len(data), size):
            session.receive(data[at : at + size], 0.0)
        session.take_output()
