"""Operator templates: macros, kinds, and no template that takes long."""

from __future__ import annotations

import random
import re
import time

import pytest

from heliograph.domain.messages import MessageType
from heliograph.domain.templates import (
    MAX_MACROS,
    MAX_REPEATS,
    TemplateKind,
    TemplateSet,
    compile_template,
    template_flag,
)


@pytest.mark.parametrize(
    ("template", "text", "fits"),
    [
        ("Hello", "Hello", True),
        ("Hello", " Hello\r\n", True),
        ("Hello", "hello", False),
        ("Code: %d", "Code: 1234", True),
        ("Code: %d", "Code: 12a4", False),
        ("Code: %d.", "Code: 1234.", True),
        ("Code: %w", "Code: 12a4", True),
        ("Code: %w", "Code: 12 a4", False),
        ("%w{1,3}, hello", "Big red apple, hello", True),
        ("%w{1,3}, hello", "One big red apple, hello", False),
        ("%w{2,3}", "one", False),
        ("%w{2}", "one\ntwo", True),
        ("%d{1,3}!", "1 22 333!", True),
        ("%d{1,3}!", "1 2x 3!", False),
        ("%d%w", "12", True),
        ("%d%w", "1", False),
        ("100% of %w", "100% of it", True),
        ("", "anything", False),
    ],
)
def test_what_fits(template: str, text: str, fits: bool) -> None:
    assert compile_template(template).fits(text) is fits


def test_it_agrees_with_a_regular_expression() -> None:
    """Short texts and templates by chance, against the same meaning as a regular expression."""
    chance = random.Random(7)
    word, number = r"\S+", r"[0-9]+"
    pieces = {"%w": word, "%d": number, " ": " ", "a": "a", "1": "1", "!": "!"}
    for run, name in ((word, "w"), (number, "d")):
        for least, most in ((1, 2), (2, 3), (1, 4)):
            repeated = rf"{run}(?:\s+{run}){{{least - 1},{most - 1}}}"
            pieces[f"%{name}{{{least},{most}}}"] = repeated
    fitting = 0
    for _ in range(20_000):
        chosen = [chance.choice(list(pieces)) for _ in range(chance.randint(1, 4))]
        text = "".join(chance.choice("a1 !") for _ in range(chance.randint(1, 8))).strip()
        template = "".join(chosen).strip()
        chosen = re.findall(r"%[wd](?:\{\d,\d\})?|.", template)
        expected = re.fullmatch("".join(pieces[each] for each in chosen), text) is not None
        assert compile_template(template).fits(text) == expected, (template, text)
        fitting += expected
    assert fitting > 500


@pytest.mark.parametrize("template", ["%w{0,3}", "%w{3,2}", "%d{1,101}", "%w" * 11])
def test_what_is_no_template(template: str) -> None:
    with pytest.raises(ValueError, match=r"macros|from 1 to"):
        compile_template(template)


def test_kinds_by_operator_and_sender() -> None:
    templates = TemplateSet(
        [
            ("Shop", "Code %d", "mts_auth"),
            ("Shop", "Code %d", "mega_trn"),
            ("Shop", "Sale!", "mega_adv"),
            ("Bank", "Code %d", "tele2_srv"),
            ("Shop", "%w{9,1}", "soc"),
        ]
    )
    found = templates.match("SHOP", "Code 17")
    assert found == {"mts": TemplateKind.AUTHORISATION, "mega": TemplateKind.TRANSACTIONAL}
    assert templates.match("shop", "Sale!") == {"mega": TemplateKind.ADVERTISING}
    assert templates.match("other", "Code 17") == {}
    assert templates.match("shop", "Code x") == {}


def test_bits_of_the_flag() -> None:
    assert [template_flag(kind) for kind in TemplateKind] == [0x100, 0x300, 0x500, 0x700]


def test_whose_templates_count() -> None:
    assert TemplateSet.operator_of(MessageType.SMS, "25001") == "mts"
    assert TemplateSet.operator_of(MessageType.SMS, "99999") == ""
    assert TemplateSet.operator_of(MessageType.CALL, "25001") == ""
    assert TemplateSet.operator_of(MessageType.SOCIAL, "") == "soc"


@pytest.mark.parametrize(
    "template",
    [
        f"%w{{1,{MAX_REPEATS}}} " * (MAX_MACROS - 1) + "%wx",
        f"%w{{1,{MAX_REPEATS}}}" * MAX_MACROS + "!",
        f"%d{{1,{MAX_REPEATS}}}" * MAX_MACROS,
        "%w" * MAX_MACROS,
    ],
)
def test_no_template_is_slow(template: str) -> None:
    compiled = compile_template(template)
    began = time.process_time()
    for text in ("a " * 499 + "bx", "1 " * 499 + "y!", "1" * 1000, "1 " * 500):
        compiled.fits(text)
    assert time.process_time() - began < 0.5
