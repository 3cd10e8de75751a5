"""Which addresses become short, and by which codes."""

from __future__ import annotations

import pytest

from heliograph.domain.short_links import (
    CODE_CHARS,
    MAX_LINKS,
    find_links,
    is_code,
    location_of,
    make_code,
    standing_code,
)
from heliograph.protocols.sms.gsm7 import encode


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see http://example.com/a?b=1&c=2.", ["http://example.com/a?b=1&c=2"]),
        ("(www.example.com/x), and more", ["www.example.com/x"]),
        ("https://ru.wikipedia.org/wiki/A_(B) ok", ["https://ru.wikipedia.org/wiki/A_(B)"]),
        ("Привет: https://пример.рф/путь!", ["https://пример.рф/путь"]),
        ("HTTPS://EXAMPLE.COM", ["HTTPS://EXAMPLE.COM"]),
        ("http://a.ru http://a.ru/b http://a.ru", ["http://a.ru/b", "http://a.ru"]),
        ("write to me@www.example.com", []),
        ("http:// and www. and http://localhost", []),
        ("no link, example.com", []),
        ("http://a.ru/<script>", ["http://a.ru/"]),
        ("http://a.ru/" + "x" * 3000, []),
    ],
)
def test_links_in_a_text(text: str, found: list[str]) -> None:
    assert find_links(text) == found


def test_not_more_links_than_people_read() -> None:
    text = " ".join(f"http://a.ru/{n}" for n in range(50))
    assert len(find_links(text)) == MAX_LINKS


def test_codes() -> None:
    codes = {make_code() for _ in range(1000)}
    assert len(codes) == 1000
    for code in [*codes, standing_code("http://a.ru"), standing_code("\ud800")]:
        assert is_code(code)
        assert len(encode(code)) == CODE_CHARS  # a septet each
    assert standing_code("http://a.ru") == standing_code("http://a.ru")
    assert standing_code("http://a.ru") != standing_code("http://a.rf")
    assert not is_code("a" * 9)
    assert not is_code("sys/send.p")


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("http://example.com/a?b=1&c=%20#d", "http://example.com/a?b=1&c=%20#d"),
        ("www.example.com", "http://www.example.com"),
        ("https://пример.рф/я", "https://xn--e1afmkfd.xn--p1ai/%D1%8F"),
        ("http://a.ru/\u2028x", "http://a.ru/%E2%80%A8x"),
        ("http://[::1/", "http://[::1/"),
    ],
)
def test_locations(target: str, location: str) -> None:
    assert location_of(target) == location
