"""Our octets as others read them: tshark's SMPP dissector and the smpplib library."""

from __future__ import annotations

import shutil
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
import smpplib.client
import smpplib.command
import smpplib.smpp
from tests.unit.protocols.smpp.vectors import VECTORS

from heliograph.protocols.smpp import (
    BindTransceiver,
    DeliverSm,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    TlvTag,
    decode,
    encode,
    make_tlvs,
)

TSHARK = shutil.which("tshark") or ""
PORT = 2775


def smpplib_name(pdu: Pdu) -> str:
    """The class name smpplib would give to a PDU."""
    name = type(pdu).__name__
    return name.replace("Sm", "SM") if name.endswith(("Sm", "SmResp")) else name


# Vectors of the commands that smpplib has classes for.
SHARED = [row for row in VECTORS if hasattr(smpplib.command, smpplib_name(row[2]))]
# Names of SMPP 3.4 that the dissector spells otherwise or shows in pieces.
IN_PIECES = {
    "esm_class",
    "registered_delivery",
    "schedule_delivery_time",
    "validity_period",
    "final_date",
    "short_message",
    "dest_address",
    "unsuccess_sme",
    "address_range",
    "tlvs",
    "message_state",
}


def checksum(data: bytes) -> int:
    """The ones' complement sum of IP (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def write_pcap(path: Path, segments: list[bytes]) -> None:
    """A capture of one TCP stream to the SMPP port, one segment a packet, all headers by hand."""
    loop = bytes((127, 0, 0, 1))
    packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, 101)]  # LINKTYPE_RAW
    sequence = 1
    for at, segment in enumerate(segments):
        tcp = struct.pack("!HHIIBBHHH", 40_000, PORT, sequence, 1, 5 << 4, 0x18, 0xFFFF, 0, 0)
        length = 20 + len(tcp) + len(segment)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, at, 0, 64, 6, 0, loop, loop)
        ip = ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:]
        packets.append(struct.pack("<IIII", at, 0, length, length) + ip + tcp + segment)
        sequence += len(segment)
    path.write_bytes(b"".join(packets))


def dissect(path: Path, *fields: str) -> list[list[str]]:
    """One row for each packet: the values of the fields, the first of each."""
    command = [TSHARK, "-r", str(path), "-d", f"tcp.port=={PORT},smpp", "-T", "fields"]
    command += ["-E", "separator=/t", "-E", "occurrence=f"]
    for name in fields:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.debian
@pytest.mark.skipif(not TSHARK, reason="tshark (Debian package tshark) is not installed")
class TestTshark:
    def test_every_vector_is_dissected_as_meant(self, tmp_path: Path) -> None:
        capture = tmp_path / "vectors.pcap"
        octets = [encode(pdu, pdu.sequence_number) for _, _, pdu in VECTORS]
        write_pcap(capture, octets)
        header = ["smpp.command_id", "smpp.command_status", "smpp.sequence_number"]
        names = sorted(
            {
                name
                for _, _, pdu in VECTORS
                for name in pdu.__dataclass_fields__
                if name not in IN_PIECES | {"sequence_number", "command_status", "command_id"}
            }
        )
        columns = ["_ws.malformed", *header, *(f"smpp.{name}" for name in names)]
        rows = dissect(capture, *columns, "smpp.sm_length", "smpp.message")
        assert len(rows) == len(VECTORS)
        for (label, _, pdu), row in zip(VECTORS, rows, strict=True):
            assert row[0] == "", label
            assert int(row[1], 0) == pdu.command_id
            # The dissector reads the field that is null in requests only where it has meaning.
            if pdu.is_response:
                assert int(row[2], 0) == pdu.command_status, label
            assert int(row[3], 0) == pdu.sequence_number
            seen = dict(zip(names, row[4:], strict=False))
            for name in names:
                value = getattr(pdu, name, None)
                if not value or pdu.command_id in (0x21, 0x80000021):
                    continue
                shown = seen[name]
                assert (int(shown, 0) if isinstance(value, int) else shown) == value, (label, name)
            message = getattr(pdu, "short_message", b"")
            if message:
                assert int(row[-2]) == len(message)
                assert bytes.fromhex(row[-1].replace(":", "")) == message

    def test_receipt_tlvs(self, tmp_path: Path) -> None:
        capture = tmp_path / "receipt.pcap"
        payload = b"\x05\x00\x03\x07\x02\x01first part"
        tlvs = make_tlvs(
            {
                TlvTag.RECEIPTED_MESSAGE_ID: "855469",
                TlvTag.MESSAGE_STATE: 2,
                TlvTag.NETWORK_ERROR_CODE: b"\x03\x01\x02",
                TlvTag.USER_MESSAGE_REFERENCE: 0xBEEF,
                TlvTag.SAR_MSG_REF_NUM: 0x1234,
                TlvTag.MESSAGE_PAYLOAD: payload,
            }
        )
        write_pcap(capture, [encode(DeliverSm(esm_class=0x44, tlvs=tlvs), 1)])
        (row,) = dissect(
            capture,
            "_ws.malformed",
            "smpp.receipted_message_id",
            "smpp.message_state",
            "smpp.network_error.type",
            "smpp.network_error.code",
            "smpp.user_message_reference",
            "smpp.sar_msg_ref_num",
            "smpp.message_payload",
            "smpp.esm.submit.msg_type",
            "smpp.esm.submit.features",
        )
        assert row[:2] == ["", "855469"]
        assert [int(value, 0) for value in row[2:7]] == [2, 3, 0x102, 0xBEEF, 0x1234]
        assert bytes.fromhex(row[7].replace(":", "")) == payload
        assert [int(value, 0) for value in row[8:]] == [1, 1]

    def test_times(self, tmp_path: Path) -> None:
        capture = tmp_path / "times.pcap"
        pdu = SubmitSm(
            schedule_delivery_time="261122120000012+", validity_period="000001020304000R"
        )
        write_pcap(capture, [encode(pdu, 1)])
        (row,) = dissect(capture, "smpp.schedule_delivery_time", "smpp.validity_period_r")
        assert "Nov 22, 2026 09:00:00" in row[0].replace("  ", " ")
        assert float(row[1]) == 86_400 + 2 * 3600 + 3 * 60 + 4

    def test_many_pdus_in_one_segment(self, tmp_path: Path) -> None:
        capture = tmp_path / "pipeline.pcap"
        requests = [encode(SubmitSm(destination_addr="7913"), n) for n in range(1, 21)]
        stream = b"".join(requests)
        # The dissector wants to see a whole header in the first packet.
        cuts = [0, 20, 300, len(stream)]
        write_pcap(capture, [stream[a:b] for a, b in pairwise(cuts)])
        command = [TSHARK, "-r", str(capture), "-d", f"tcp.port=={PORT},smpp", "-T", "fields"]
        command += ["-e", "smpp.sequence_number", "-E", "occurrence=a"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        numbers = [int(n, 0) for n in done.stdout.replace(",", " ").split()]
        assert numbers == list(range(1, 21))


class TestSmpplib:
    """The library parses what we write, and we parse what it writes."""

    @pytest.mark.parametrize("pdu", [pdu for _, _, pdu in SHARED], ids=[row[0] for row in SHARED])
    def test_reads_our_pdus(self, pdu: Pdu) -> None:
        client = smpplib.client.Client("127.0.0.1", 1, allow_unknown_opt_params=True)
        theirs = smpplib.smpp.parse_pdu(
            encode(pdu, pdu.sequence_number), client=client, allow_unknown_opt_params=True
        )
        assert theirs.sequence == pdu.sequence_number
        assert theirs.status == pdu.command_status
        for field in pdu.__dataclass_fields__:
            value = getattr(pdu, field, None)
            seen = getattr(theirs, field, None)
            if value and isinstance(seen, bytes):
                ours = value if isinstance(value, bytes) else str(value).encode("latin-1")
                assert seen == ours, field
            elif value and isinstance(value, int) and isinstance(seen, int):
                assert seen == value, field

    def test_we_read_its_submit(self) -> None:
        client = smpplib.client.Client("127.0.0.1", 1, allow_unknown_opt_params=True)
        theirs = smpplib.smpp.make_pdu(
            "submit_sm",
            client=client,
            source_addr_ton=5,
            source_addr="ivan",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="79999999999",
            short_message=b"Hello",
            data_coding=8,
            registered_delivery=1,
            user_message_reference=513,
        )
        pdu = decode(theirs.generate())
        assert isinstance(pdu, SubmitSm)
        assert (pdu.source_addr_ton, pdu.source_addr) == (5, "ivan")
        assert pdu.destination_addr == "79999999999"
        assert (pdu.short_message, pdu.data_coding) == (b"Hello", 8)
        assert pdu.tlvs.number(TlvTag.USER_MESSAGE_REFERENCE) == 513

    def test_we_read_its_bind_and_answer(self) -> None:
        client = smpplib.client.Client("127.0.0.1", 1, allow_unknown_opt_params=True)
        bind = smpplib.smpp.make_pdu(
            "bind_transceiver",
            client=client,
            system_id="alex",
            password="123",
            system_type="ISO",
            interface_version=0x34,
        )
        pdu = decode(bind.generate())
        assert isinstance(pdu, BindTransceiver)
        assert (pdu.system_id, pdu.password, pdu.system_type) == ("alex", "123", "ISO")
        answer = smpplib.smpp.make_pdu("submit_sm_resp", client=client, message_id="855469")
        response = decode(answer.generate())
        assert isinstance(response, SubmitSmResp)
        assert response.message_id == "855469"
