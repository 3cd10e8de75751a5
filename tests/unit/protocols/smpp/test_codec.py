"""Single PDUs: vectors both ways, and what happens to bodies that lie."""

from __future__ import annotations

import pytest
from tests.unit.protocols.smpp.vectors import IDS, VECTORS, octets

from heliograph.protocols.smpp import (
    BindTransceiver,
    CommandId,
    CommandStatus,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    LocalProtocolError,
    Pdu,
    PduError,
    QuerySmResp,
    SmeAddress,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    Tlvs,
    decode,
    encode,
)
from heliograph.protocols.smpp.codec import decode_by_table, encode_by_table


def frame(command_id: int, body: bytes, *, status: int = 0, sequence: int = 7) -> bytes:
    """A PDU with a right command_length around any body."""
    header = (16 + len(body), command_id, status, sequence)
    return b"".join(number.to_bytes(4, "big") for number in header) + body


def submit_body(
    *,
    source: bytes = b"me\0",
    destination: bytes = b"7913\0",
    schedule: bytes = b"\0",
    validity: bytes = b"\0",
    service: bytes = b"\0",
    message: bytes = b"\x02Hi",
    tail: bytes = b"",
) -> bytes:
    """Body of a submit_sm with one part replaced."""
    return (
        service + b"\5\0" + source + b"\1\1" + destination + b"\0\0\0" + schedule + validity
        + b"\1\0\0\0" + message + tail
    )  # fmt: skip


@pytest.mark.parametrize(("name", "data", "pdu"), VECTORS, ids=IDS)
def test_decodes_the_vector(name: str, data: bytes, pdu: Pdu) -> None:
    assert decode(data) == pdu
    assert decode_by_table(data) == pdu


@pytest.mark.parametrize(("name", "data", "pdu"), VECTORS, ids=IDS)
def test_encodes_the_vector(name: str, data: bytes, pdu: Pdu) -> None:
    assert encode(pdu, pdu.sequence_number) == data
    assert encode_by_table(pdu, pdu.sequence_number) == data


def refusal(data: bytes) -> PduError | None:
    """The error of decoding, None when it works; any other exception is a failure."""
    try:
        decode(data)
    except PduError as error:
        return error
    return None


@pytest.mark.parametrize(("name", "data", "pdu"), VECTORS, ids=IDS)
def test_no_cut_or_lie_of_length_escapes_as_another_error(name: str, data: bytes, pdu: Pdu) -> None:
    for end in range(len(data)):
        assert refusal(data[:end]) is not None
        error = refusal(frame(int.from_bytes(data[4:8], "big"), data[16:end]))
        if error is not None:
            assert error.sequence_number == 7
            assert error.command_status


def test_every_command_of_the_standard_has_a_vector() -> None:
    seen = {pdu.command_id for _, _, pdu in VECTORS}
    broadcasts = {0x111, 0x112, 0x113, 0x80000111, 0x80000112, 0x80000113}
    missing = {int(command) for command in CommandId} - broadcasts - seen
    # Their bodies are those of bind_transceiver_resp, shared by one row.
    assert missing == {CommandId.BIND_RECEIVER_RESP}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (submit_body(source=b"x" * 21 + b"\0"), CommandStatus.ESME_RINVSRCADR),
        (submit_body(destination=b"7" * 21 + b"\0"), CommandStatus.ESME_RINVDSTADR),
        (submit_body(service=b"SIXSIX\0"), CommandStatus.ESME_RINVSERTYP),
        (submit_body(schedule=b"2" * 17 + b"\0"), CommandStatus.ESME_RINVSCHED),
        (submit_body(validity=b"2" * 17 + b"\0"), CommandStatus.ESME_RINVEXPIRY),
        (submit_body(message=b"\x05Hi"), CommandStatus.ESME_RINVMSGLEN),
        (submit_body(message=b"\x01Hi"), CommandStatus.ESME_RINVOPTPARSTREAM),
        (submit_body(message=b""), CommandStatus.ESME_RINVCMDLEN),
        (submit_body(tail=octets("0204 0002 BE")), CommandStatus.ESME_RINVOPTPARSTREAM),
        (submit_body(tail=octets("0424 FFFF 00")), CommandStatus.ESME_RINVOPTPARSTREAM),
        (submit_body(tail=b"\0\1"), CommandStatus.ESME_RINVOPTPARSTREAM),
        (b"", CommandStatus.ESME_RINVCMDLEN),
        (b"no NUL anywhere", CommandStatus.ESME_RINVCMDLEN),
        (b"\0\5\0source without its end", CommandStatus.ESME_RINVCMDLEN),
    ],
)
def test_bad_submit_is_answered_with_what_is_wrong(body: bytes, status: int) -> None:
    with pytest.raises(PduError) as caught:
        decode(frame(CommandId.SUBMIT_SM, body))
    assert caught.value.command_status == status
    assert caught.value.command_id == CommandId.SUBMIT_SM
    assert caught.value.sequence_number == 7


def test_bounds_that_are_still_good() -> None:
    pdu = decode(
        frame(
            CommandId.SUBMIT_SM,
            submit_body(
                source=b"x" * 20 + b"\0",
                destination=b"7" * 20 + b"\0",
                message=b"\xff" + b"m" * 255,
            ),
        )
    )
    assert isinstance(pdu, SubmitSm)
    assert (len(pdu.source_addr), len(pdu.destination_addr), pdu.sm_length) == (20, 20, 255)


def test_unknown_command() -> None:
    with pytest.raises(PduError) as caught:
        decode(frame(0x00000099, b"whatever", sequence=5))
    assert caught.value.command_status == CommandStatus.ESME_RINVCMDID
    assert caught.value.sequence_number == 5


def test_broadcast_commands_are_unknown() -> None:
    with pytest.raises(PduError) as caught:
        decode(frame(CommandId.BROADCAST_SM, b""))
    assert caught.value.command_status == CommandStatus.ESME_RINVCMDID


def test_unknown_and_repeated_tlvs_are_kept_in_order() -> None:
    tail = octets("1403 0001 41 0204 0002 0001 1403 0001 42 0204 0002 0002")
    pdu = decode(frame(CommandId.SUBMIT_SM, submit_body(tail=tail)))
    assert isinstance(pdu, SubmitSm)
    assert [tag for tag, _ in pdu.tlvs] == [0x1403, 0x0204, 0x1403, 0x0204]
    assert pdu.tlvs.raw(0x1403) == b"A"
    assert pdu.tlvs.all(0x1403) == [b"A", b"B"]
    assert pdu.tlvs.number(0x0204) == 1


def test_zero_padding_after_the_tlvs_is_ignored() -> None:
    pdu = decode(frame(CommandId.SUBMIT_SM, submit_body(tail=b"\0\0\0")))
    assert isinstance(pdu, SubmitSm)
    assert pdu.tlvs == ()


def test_message_in_two_places_is_seen() -> None:
    both = submit_body(tail=octets('0424 0005 "Hello"'))
    pdu = decode(frame(CommandId.SUBMIT_SM, both))
    assert isinstance(pdu, SubmitSm)
    assert pdu.content == b"Hi"
    assert pdu.has_two_contents
    same = decode(frame(CommandId.DELIVER_SM, submit_body(tail=octets('0424 0002 "Hi"'))))
    assert isinstance(same, DeliverSm)
    assert not same.has_two_contents
    payload = decode(
        frame(CommandId.SUBMIT_SM, submit_body(message=b"\0", tail=octets('0424 0005 "Hello"')))
    )
    assert isinstance(payload, SubmitSm)
    assert payload.content == b"Hello"
    assert not payload.has_two_contents


def test_embedded_nul_ends_the_string_and_shifts_the_rest() -> None:
    pdu = decode(frame(CommandId.SUBMIT_SM, submit_body(source=b"m\0e\0")))
    assert isinstance(pdu, SubmitSm)
    assert (pdu.source_addr, pdu.dest_addr_ton) == ("m", ord("e"))
    assert pdu.destination_addr == "\1\x017913"


def test_incoming_addresses_may_be_longer_than_the_standard_has_them() -> None:
    pdu = decode(frame(CommandId.DELIVER_SM, submit_body(source=b"x" * 40 + b"\0")))
    assert isinstance(pdu, DeliverSm)
    assert pdu.source_addr == "x" * 40


def test_octets_above_ascii_survive() -> None:
    pdu = decode(frame(CommandId.SUBMIT_SM, submit_body(source=b"\xcf\xf0\xe8\0")))
    assert isinstance(pdu, SubmitSm)
    assert pdu.source_addr.encode("latin-1") == b"\xcf\xf0\xe8"
    again = decode(encode(pdu, 7))
    assert isinstance(again, SubmitSm)
    assert again.source_addr == pdu.source_addr


class TestBinds:
    """Limits of the bind fields."""

    def body(self, system_id: bytes = b"alex", password: bytes = b"123") -> bytes:
        return system_id + b"\0" + password + b"\0\0\x34\0\0\0"

    def test_long_password_is_read(self) -> None:
        pdu = decode(frame(CommandId.BIND_TRANSCEIVER, self.body(password=b"p" * 64)))
        assert isinstance(pdu, BindTransceiver)
        assert pdu.password == "p" * 64

    def test_longer_password_is_not(self) -> None:
        with pytest.raises(PduError) as caught:
            decode(frame(CommandId.BIND_TRANSCEIVER, self.body(password=b"p" * 65)))
        assert caught.value.command_status == CommandStatus.ESME_RINVPASWD

    def test_long_system_id_is_not(self) -> None:
        with pytest.raises(PduError) as caught:
            decode(frame(CommandId.BIND_TRANSCEIVER, self.body(system_id=b"s" * 16)))
        assert caught.value.command_status == CommandStatus.ESME_RINVSYSID

    def test_password_is_not_shown(self) -> None:
        assert "hunter2" not in repr(BindTransceiver(system_id="a", password="hunter2"))


class TestResponses:
    """A response settles a request, so it is read wherever it can be."""

    def test_id_without_nul(self) -> None:
        pdu = decode(frame(CommandId.SUBMIT_SM_RESP, b"855469"))
        assert isinstance(pdu, SubmitSmResp)
        assert pdu.message_id == "855469"

    @pytest.mark.parametrize("length", [65, 255])
    def test_long_id(self, length: int) -> None:
        pdu = decode(frame(CommandId.SUBMIT_SM_RESP, b"a" * length + b"\0"))
        assert isinstance(pdu, SubmitSmResp)
        assert pdu.message_id == "a" * length

    def test_too_long_id(self) -> None:
        with pytest.raises(PduError) as caught:
            decode(frame(CommandId.SUBMIT_SM_RESP, b"a" * 256 + b"\0"))
        assert caught.value.command_status == CommandStatus.ESME_RINVMSGID

    @pytest.mark.parametrize("command_id", [CommandId.SUBMIT_SM_RESP, CommandId.DELIVER_SM_RESP])
    def test_no_body(self, command_id: int) -> None:
        pdu = decode(frame(command_id, b""))
        assert isinstance(pdu, SubmitSmResp | DeliverSmResp)
        assert pdu.message_id == ""

    def test_refusal_keeps_its_status_whatever_its_body_says(self) -> None:
        pdu = decode(frame(CommandId.QUERY_SM_RESP, b"garbage", status=0x67))
        assert isinstance(pdu, QuerySmResp)
        assert pdu.command_status == CommandStatus.ESME_RQUERYFAIL

    def test_good_query_without_a_body_is_an_error(self) -> None:
        with pytest.raises(PduError):
            decode(frame(CommandId.QUERY_SM_RESP, b""))

    def test_tlvs_of_5_0(self) -> None:
        pdu = decode(frame(CommandId.SUBMIT_SM_RESP, b"1\0" + octets("0428 0001 32")))
        assert isinstance(pdu, SubmitSmResp)
        assert (pdu.message_id, pdu.tlvs.number(0x0428)) == ("1", 50)

    def test_body_behind_enquire_link_is_ignored(self) -> None:
        assert decode(frame(CommandId.ENQUIRE_LINK, b"\0\0\0")) == EnquireLink(7)


@pytest.mark.parametrize(
    ("pdu", "status"),
    [
        (SubmitSm(source_addr="x" * 21), CommandStatus.ESME_RINVSRCADR),
        (SubmitSm(destination_addr="7" * 21), CommandStatus.ESME_RINVDSTADR),
        (SubmitSm(source_addr="a\0b"), CommandStatus.ESME_RINVSRCADR),
        (SubmitSm(source_addr="Магазин"), CommandStatus.ESME_RINVSRCADR),
        (SubmitSm(short_message=b"m" * 256), CommandStatus.ESME_RINVMSGLEN),
        (SubmitSm(esm_class=256), CommandStatus.ESME_RINVCMDLEN),
        (SubmitSm(esm_class=-1), CommandStatus.ESME_RINVCMDLEN),
        (SubmitSm(command_status=-1), CommandStatus.ESME_RINVCMDLEN),
        (SubmitSm(validity_period="1" * 17), CommandStatus.ESME_RINVEXPIRY),
        (SubmitSm(tlvs=Tlvs([Tlv(0x0424, b"x" * 65536)])), CommandStatus.ESME_RINVOPTPARAMVAL),
        (SubmitSm(tlvs=Tlvs([Tlv(0x10000, b"")])), CommandStatus.ESME_RINVOPTPARAMVAL),
        (SubmitSmResp(message_id="i" * 65), CommandStatus.ESME_RINVMSGID),
        (BindTransceiver(password="123456789"), CommandStatus.ESME_RINVPASWD),
        (BindTransceiver(system_id="s" * 16), CommandStatus.ESME_RINVSYSID),
        (SubmitMulti(dest_address=(SmeAddress(),) * 256), CommandStatus.ESME_RINVNUMDESTS),
        (Pdu(), CommandStatus.ESME_RINVCMDID),
    ],
)
def test_what_a_field_cannot_hold_is_refused(pdu: Pdu, status: int) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode(pdu, 1)
    assert caught.value.command_status == status


def test_encoding_leaves_the_pdu_alone() -> None:
    pdu = SubmitSm(destination_addr="7913")
    encode(pdu, 99)
    assert pdu.sequence_number == 0
