"""Reassembly: any order, repeated fragments, gaps after the wait, a bound on memory."""

from __future__ import annotations

import random

from heliograph.connectors.smpp.reassembly import Fragment, Reassembly

_TEXT = ["first ", "second ", "third"]


def _fragment(number: int, reference: int = 1, total: int = 3, text: str = "") -> Fragment:
    content = (text or _TEXT[number - 1]).encode("ascii")
    return Fragment("7999", "2442", reference, total, number, content, 0)


def test_any_order_and_repeats() -> None:
    for seed in range(6):
        numbers = [1, 2, 3, 2]
        random.Random(seed).shuffle(numbers)
        reassembly = Reassembly()
        whole = [m for n in numbers if (m := reassembly.add(_fragment(n), 0))]
        assert whole[0].text == "first second third"
        reassembly.forget(_fragment(1).key)
        assert len(reassembly) == 0


def test_a_last_fragment_refused_makes_the_message_whole_again() -> None:
    reassembly = Reassembly()
    reassembly.add(_fragment(1, total=2), 0)
    first = reassembly.add(_fragment(2, total=2), 0)
    again = reassembly.add(_fragment(2, total=2), 0)
    assert first is not None
    assert again is not None
    assert first.text == again.text


def test_a_character_cut_in_two_is_joined() -> None:
    octets = "😀".encode("utf-16-be")
    reassembly = Reassembly()
    halves = [Fragment("a", "b", 1, 2, n + 1, octets[n * 2 : n * 2 + 2], 8) for n in (0, 1)]
    reassembly.add(halves[1], 0)
    whole = reassembly.add(halves[0], 0)
    assert whole is not None
    assert whole.text == "😀"


def test_what_waited_too_long_is_handed_over_with_gaps() -> None:
    reassembly = Reassembly(wait_ms=1_000)
    reassembly.add(_fragment(2), 0)
    reassembly.add(_fragment(1, reference=2), 500)
    assert reassembly.expire(999) == []
    [(key, incoming)] = reassembly.expire(1_000)
    assert incoming.text == "…second …"
    assert len(reassembly) == 2  # until it is stored
    reassembly.forget(key)
    assert len(reassembly) == 1


def test_memory_is_bounded() -> None:
    reassembly = Reassembly(messages_max=10)
    for reference in range(15):
        reassembly.add(_fragment(1, reference=reference), 0)
    ended = reassembly.expire(0)
    assert [key[2] for key, _ in ended] == [0, 1, 2, 3, 4]
