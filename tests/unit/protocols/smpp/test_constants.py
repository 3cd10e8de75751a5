"""Names for people, and the public list of the package."""

from __future__ import annotations

import dataclasses

import pytest

import heliograph.protocols.smpp as package
from heliograph.protocols.smpp import CommandStatus, describe_command, describe_status
from heliograph.protocols.smpp.layout import LAYOUTS
from heliograph.protocols.smpp.pdu import PDU_BY_COMMAND


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (0, "ESME_ROK"),
        (0x58, "ESME_RTHROTTLED"),
        (0x112, "ESME_RINVBCASTCHANIND"),
        (0x400, "0x00000400"),
    ],
)
def test_status_names(status: int, name: str) -> None:
    assert describe_status(status) == name


def test_command_names() -> None:
    assert describe_command(4) == "submit_sm"
    assert describe_command(0x80000103) == "data_sm_resp"
    assert describe_command(0x99) == "0x00000099"


def test_both_names_of_the_tlv_statuses() -> None:
    assert CommandStatus["ESME_RINVTLVSTREAM"] is CommandStatus.ESME_RINVOPTPARSTREAM


def test_every_pdu_has_a_layout_whose_fields_are_its_attributes() -> None:
    assert set(LAYOUTS) == set(PDU_BY_COMMAND)
    for command_id, layout in LAYOUTS.items():
        names = [field.name for field in layout.fields] + ["tlvs"] * layout.has_tlvs
        known = [field.name for field in dataclasses.fields(PDU_BY_COMMAND[command_id])]
        assert ["sequence_number", "command_status", *names] == known


def test_public_list_is_complete() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert {kind.__name__ for kind in PDU_BY_COMMAND.values()} <= set(package.__all__)
