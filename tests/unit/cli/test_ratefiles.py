"""Rates from CSV: taken whole or not at all."""

from __future__ import annotations

import pytest

from heliograph.cli.ratefiles import RateFileError, parse_rates
from heliograph.domain.messages import MessageType
from heliograph.domain.tariffs import Rate


def test_rates_of_every_form() -> None:
    text = "type;network;prefix;price\nsms;25001;;1,40\n;;7903;2\nwap-push;250;;0.000001\n\n;;;3\n"
    assert parse_rates(text) == [
        Rate(type=MessageType.SMS, mccmnc="25001", price_micros=1_400_000),
        Rate(prefix="7903", price_micros=2_000_000),
        Rate(type=MessageType.WAP_PUSH, mccmnc="250", price_micros=1),
        Rate(price_micros=3_000_000),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "column price is missing"),
        ("network\n25001\n", "column price is missing"),
        ("price,country\n1,250\n", "unknown column 'country'"),
        ("price,price\n1,2\n", "twice"),
        ("price\nfree\n", "line 2: not an amount"),
        ("price\n-1\n", "line 2: a price is not negative"),
        ("price\n1\n1\n", "line 3: the same rate stands in line 2"),
        ("price,type\n1,pigeon\n", "no message type 'pigeon'"),
        ("price,network,prefix\n1,25001,7\n", "not for both"),
        ("price,network\n1,MTS\n", "'MTS' is not"),
        ("price,network\n1\n", "line 2: it has not as many values"),
        ("price,network\n1,2,3\n", "line 2: it has not as many values"),
        ('price\n"1\n', "line"),
    ],
)
def test_every_mistake_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(RateFileError) as caught:
        parse_rates(text)
    assert words in str(caught.value)


def test_many_mistakes_are_cut() -> None:
    with pytest.raises(RateFileError) as caught:
        parse_rates("price\n" + "x\n" * 1000)
    assert len(caught.value.problems) == 20
