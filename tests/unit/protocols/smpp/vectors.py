"""PDUs as octets and as objects: worked by hand from SMPP 3.4 section 4, and well-known examples.

Each vector is (name, octets, PDU); the octets were written from the tables of the standard, not by
the encoder under test.
"""

from __future__ import annotations

from heliograph.protocols.smpp import (
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    Tlvs,
    Unbind,
    UnbindResp,
    UnsuccessSme,
)


def octets(text: str) -> bytes:
    """Bytes of hex digits; parts in quotes are ASCII."""
    pieces = []
    for at, part in enumerate(text.split('"')):
        pieces.append(part.encode("ascii") if at % 2 else bytes.fromhex(part))
    return b"".join(pieces)


RECEIPT_TEXT = (
    b"id:855469 sub:001 dlvrd:001 submit date:2401011200 done date:2401011201 "
    b"stat:DELIVRD err:000 text:Hello"
)

VECTORS: list[tuple[str, bytes, Pdu]] = [
    (
        "bind_transceiver",
        octets('0000001E 00000009 00000000 00000001"alex" 00 "123" 00 00 34 00 00 00'),
        BindTransceiver(
            sequence_number=1, system_id="alex", password="123", interface_version=0x34
        ),
    ),
    (
        "bind_transceiver_resp",
        octets('0000001A 80000009 00000000 00000001 "smsc" 00 0210 0001 34'),
        BindTransceiverResp(sequence_number=1, system_id="smsc", tlvs=Tlvs([Tlv(0x0210, b"\x34")])),
    ),
    (
        "bind_transmitter of 5.0 with every field",
        octets(
            "0000002F 00000002 00000000 7FFFFFFF"
            '"SMPP3TEST" 00 "secret08" 00 "SUBMIT1" 00 50 01 01 00'
        ),
        BindTransmitter(
            sequence_number=0x7FFFFFFF,
            system_id="SMPP3TEST",
            password="secret08",
            system_type="SUBMIT1",
            interface_version=0x50,
            addr_ton=1,
            addr_npi=1,
        ),
    ),
    (
        "bind_transmitter_resp that refuses has no body",
        octets("00000010 80000002 0000000E 00000005"),
        BindTransmitterResp(sequence_number=5, command_status=0x0E),
    ),
    (
        "bind_receiver with an address range",
        octets('00000020 00000001 00000000 00000009 "rx" 00 00 00 34 05 00 "^7913.*" 00'),
        BindReceiver(sequence_number=9, system_id="rx", addr_ton=5, address_range="^7913.*"),
    ),
    (
        "outbind",
        octets('0000001B 0000000B 00000000 00000001 "centre" 00 "pw1" 00'),
        Outbind(sequence_number=1, system_id="centre", password="pw1"),
    ),
    ("unbind", octets("00000010 00000006 00000000 0000000A"), Unbind(sequence_number=10)),
    ("unbind_resp", octets("00000010 80000006 00000000 0000000A"), UnbindResp(sequence_number=10)),
    ("enquire_link", octets("00000010 00000015 00000000 0000000B"), EnquireLink(11)),
    ("enquire_link_resp", octets("00000010 80000015 00000000 0000000B"), EnquireLinkResp(11)),
    ("generic_nack", octets("00000010 80000000 00000003 00000000"), GenericNack(0, 3)),
    (
        "submit_sm",
        octets(
            "00000035 00000004 00000000 00000002"
            '00 0500 "ivan" 00 0101 "79999999999" 00'
            '00 00 00 00 00 01 00 00 00 05 "Hello"'
        ),
        SubmitSm(
            sequence_number=2,
            source_addr_ton=5,
            source_addr="ivan",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="79999999999",
            registered_delivery=1,
            short_message=b"Hello",
        ),
    ),
    (
        "submit_sm with every field and two TLVs",
        octets(
            "0000005D 00000004 00000000 00000003"
            '"CMT" 00 0102 "7913" 00 0304 "7999" 00'
            '43 40 03 "261122120000000+" 00 "000001000000000R" 00 11 01 08 07 04 00410042'
            "0204 0002 BEEF 1403 0003 313233"
        ),
        SubmitSm(
            sequence_number=3,
            service_type="CMT",
            source_addr_ton=1,
            source_addr_npi=2,
            source_addr="7913",
            dest_addr_ton=3,
            dest_addr_npi=4,
            destination_addr="7999",
            esm_class=0x43,
            protocol_id=0x40,
            priority_flag=3,
            schedule_delivery_time="261122120000000+",
            validity_period="000001000000000R",
            registered_delivery=0x11,
            replace_if_present_flag=1,
            data_coding=8,
            sm_default_msg_id=7,
            short_message=b"\x00A\x00B",
            tlvs=Tlvs([Tlv(0x0204, b"\xbe\xef"), Tlv(0x1403, b"123")]),
        ),
    ),
    (
        "submit_sm with message_payload only",
        octets(
            "0000002C 00000004 00000000 00000004"
            '00 0000 00 0000 "79" 00 00 00 00 00 00 00 00 00 00 00 0424 0005 "Hello"'
        ),
        SubmitSm(sequence_number=4, destination_addr="79", tlvs=Tlvs([Tlv(0x0424, b"Hello")])),
    ),
    (
        "submit_sm_resp",
        octets('00000017 80000004 00000000 00000002 "855469" 00'),
        SubmitSmResp(sequence_number=2, message_id="855469"),
    ),
    (
        "submit_sm_resp that throttles has no body",
        octets("00000010 80000004 00000058 00000002"),
        SubmitSmResp(sequence_number=2, command_status=0x58),
    ),
    (
        "deliver_sm with a receipt and all TLVs",
        octets(
            "000000CD 00000005 00000000 00000001"
            '00 0101 "79999999999" 00 0500 "ivan" 00 04 00 00 00 00 00 00 00 00 67'
        )
        + RECEIPT_TEXT
        + octets(
            '001E 0007 "855469" 00 0427 0001 02 0423 0003 030000 2000 0006 "1.4000"'
            '2001 0002 0000 2002 0002 0001 2003 0005 "25001"'
        ),
        DeliverSm(
            sequence_number=1,
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr="79999999999",
            dest_addr_ton=5,
            destination_addr="ivan",
            esm_class=4,
            short_message=RECEIPT_TEXT,
            tlvs=Tlvs(
                [
                    Tlv(0x001E, b"855469\0"),
                    Tlv(0x0427, b"\2"),
                    Tlv(0x0423, b"\3\0\0"),
                    Tlv(0x2000, b"1.4000"),
                    Tlv(0x2001, b"\0\0"),
                    Tlv(0x2002, b"\0\1"),
                    Tlv(0x2003, b"25001"),
                ]
            ),
        ),
    ),
    (
        "deliver_sm_resp",
        octets("00000011 80000005 00000000 00000001 00"),
        DeliverSmResp(sequence_number=1),
    ),
    (
        "data_sm",
        octets(
            '0000002D 00000103 00000000 0000000C "WAP" 00 0101 "1234" 00 0101 "5678" 00'
            '00 01 04 0424 0004 "DATA"'
        ),
        DataSm(
            sequence_number=12,
            service_type="WAP",
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr="1234",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="5678",
            registered_delivery=1,
            data_coding=4,
            tlvs=Tlvs([Tlv(0x0424, b"DATA")]),
        ),
    ),
    (
        "data_sm_resp that fails with a reason",
        octets("00000016 80000103 000000FE 0000000C 00 0425 0001 02"),
        DataSmResp(sequence_number=12, command_status=0xFE, tlvs=Tlvs([Tlv(0x0425, b"\2")])),
    ),
    (
        "submit_multi to a number and a list",
        octets(
            '00000034 00000021 00000000 0000000D 00 0500 "me" 00 02'
            '01 0101 "7913" 00 02 "friends" 00 00 00 00 00 00 00 00 00 00 02 "Hi"'
        ),
        SubmitMulti(
            sequence_number=13,
            source_addr_ton=5,
            source_addr="me",
            dest_address=(
                SmeAddress(dest_addr_ton=1, dest_addr_npi=1, destination_addr="7913"),
                DistributionList(dl_name="friends"),
            ),
            short_message=b"Hi",
        ),
    ),
    (
        "submit_multi_resp with one refusal",
        octets('0000001E 80000021 00000000 0000000D "a1" 00 01 0101 "791" 00 0000000B'),
        SubmitMultiResp(
            sequence_number=13,
            message_id="a1",
            unsuccess_sme=(
                UnsuccessSme(
                    dest_addr_ton=1,
                    dest_addr_npi=1,
                    destination_addr="791",
                    error_status_code=0x0B,
                ),
            ),
        ),
    ),
    (
        "query_sm",
        octets('0000001C 00000003 00000000 0000000E "855469" 00 0500 "me" 00'),
        QuerySm(sequence_number=14, message_id="855469", source_addr_ton=5, source_addr="me"),
    ),
    (
        "query_sm_resp",
        octets('0000002A 80000003 00000000 0000000E "855469" 00 "240101120100000+" 00 02 00'),
        QuerySmResp(
            sequence_number=14,
            message_id="855469",
            final_date="240101120100000+",
            message_state=2,
        ),
    ),
    (
        "cancel_sm",
        octets('00000020 00000008 00000000 0000000F 00 "42" 00 0500 "me" 00 0101 "7913" 00'),
        CancelSm(
            sequence_number=15,
            message_id="42",
            source_addr_ton=5,
            source_addr="me",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="7913",
        ),
    ),
    ("cancel_sm_resp", octets("00000010 80000008 00000011 0000000F"), CancelSmResp(15, 0x11)),
    (
        "replace_sm",
        octets('0000001F 00000007 00000000 00000010 "42" 00 0500 "me" 00 00 00 01 00 02 "Hi"'),
        ReplaceSm(
            sequence_number=16,
            message_id="42",
            source_addr_ton=5,
            source_addr="me",
            registered_delivery=1,
            short_message=b"Hi",
        ),
    ),
    ("replace_sm_resp", octets("00000010 80000007 00000000 00000010"), ReplaceSmResp(16)),
    (
        "alert_notification",
        octets('0000001F 00000102 00000000 00000011 0101 "79" 00 0500 "me" 00 0422 0001 00'),
        AlertNotification(
            sequence_number=17,
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr="79",
            esme_addr_ton=5,
            esme_addr="me",
            tlvs=Tlvs([Tlv(0x0422, b"\0")]),
        ),
    ),
]

IDS = [name for name, _, _ in VECTORS]
