"""The carrier: magic numbers do what the table says, and the page says what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.connectors.base import OutcomeKind
from heliograph.connectors.virtual.carrier import ERROR_ENDS, MAGIC, Carrier, read_code
from heliograph.domain.messages import TRANSITIONS, MessageState

_PAGE = Path(__file__).parents[4] / "docs" / "reference" / "virtual-network.md"


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("79000000006", "0006"),
        ("447701001234", ""),
        ("447700000006", "0006"),
        ("79990000006", ""),
        ("0006", ""),
        ("box.00000002@example.com", "0002"),
        ("box@example0000.0002", ""),
        ("@nickname", ""),
        ("", ""),
    ],
)
def test_which_recipients_are_magic(recipient: str, code: str) -> None:
    assert read_code(recipient) == code


@pytest.mark.parametrize("err", sorted(ERROR_ENDS))
def test_every_error_code_has_its_three_ends(err: int) -> None:
    carrier = Carrier()
    [receipt] = carrier.plan(f"79000000{err:03d}").receipts
    assert (receipt.state, receipt.err) == (ERROR_ENDS[err], err)
    refused = carrier.plan(f"79000001{err:03d}")
    assert (refused.kind, refused.err) == (OutcomeKind.REJECTED, err)
    [expired] = carrier.plan(f"79000002{err:03d}").receipts
    assert (expired.state, expired.err) == (MessageState.EXPIRED, err)


def test_delays_and_deferrals() -> None:
    carrier = Carrier(receipt_delay_ms=50)
    assert carrier.plan("79000003007").receipts[0].after_ms == 7_050
    kinds = [carrier.plan("79000004002", attempts=n).kind for n in range(4)]
    assert kinds == [OutcomeKind.DEFERRED] * 2 + [OutcomeKind.ACCEPTED] * 2


def test_every_line_of_the_table_differs_from_an_ordinary_number() -> None:
    carrier = Carrier()
    ordinary = carrier.plan("79991112233")
    at_home = {"8000", "8001", "8002"}  # these differ in the answer of a query only
    for pattern, _ in MAGIC:
        code = pattern.replace("EEE", "006").replace("SSS", "005").replace("NNN", "001")
        if code not in at_home:
            assert carrier.plan(f"7900000{code}") != ordinary, code


def test_the_states_are_legal_ends_of_a_submitted_part() -> None:
    for state in {*ERROR_ENDS.values(), MessageState.EXPIRED}:
        assert state in TRANSITIONS[MessageState.SUBMITTED]


@given(st.text(max_size=30), st.integers(0, 5))
def test_the_same_question_has_the_same_answer(recipient: str, attempts: int) -> None:
    one, other = Carrier(undeliverable_share=0.5), Carrier(undeliverable_share=0.5)
    assert one.plan(recipient, attempts=attempts) == other.plan(recipient, attempts=attempts)


def test_a_share_of_numbers_is_lost() -> None:
    carrier = Carrier(undeliverable_share=0.2)
    plans = [carrier.plan(f"7999{n:07d}") for n in range(0, 50_000, 7)]
    lost = sum(plan.receipts[0].state is MessageState.UNDELIVERABLE for plan in plans)
    assert lost / len(plans) == pytest.approx(0.2, abs=0.02)


def test_magic_can_be_switched_off() -> None:
    assert Carrier(is_magic=False).plan("79000001006") == Carrier().plan("79991112233")


def test_the_page_has_every_line_of_the_table() -> None:
    page = _PAGE.read_text("utf-8")
    for pattern, meaning in MAGIC:
        assert f"| `{pattern}` | {meaning} |" in page
