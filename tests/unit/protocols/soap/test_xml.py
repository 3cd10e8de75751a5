"""XML from strangers: what is taken, what is refused, and that nothing grows."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.soap.xml import MAX_DEPTH, MAX_ELEMENTS, XmlError, parse_xml


def test_a_tree() -> None:
    root = parse_xml(b'<a xmlns="u" x="1"><b>one</b> two <c/> three</a>')
    assert (root.namespace, root.name, root.attributes) == ("u", "a", {"x": "1"})
    assert [child.name for child in root.children] == ["b", "c"]
    assert root.text_of("b") == "one"
    assert root.text_of("nothing") == ""
    assert root.text == " two  three"


def test_cdata_entities_and_comments() -> None:
    text = "<a>1<!-- no -->&lt;<![CDATA[<b>&amp;]]>&#1046;&#x416;&quot;</a>"
    assert parse_xml(text).text == '1<<b>&amp;ЖЖ"'


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        ("<a>Ж</a>".encode(), ""),
        (b"\xef\xbb\xbf" + "<a>Ж</a>".encode(), ""),
        ("<?xml version='1.0' encoding='windows-1251'?><a>Ж</a>".encode("cp1251"), ""),
        ("<?xml version='1.0' encoding='koi8-r'?><a>Ж</a>".encode("koi8-r"), ""),
        ("<?xml version='1.0' encoding='UTF-16'?><a>Ж</a>".encode("utf-16"), ""),
        ("<?xml version='1.0' encoding='windows-1251'?><a>Ж</a>".encode(), "UTF-8"),
        ("<a>Ж</a>".encode("koi8-r"), "koi8-r"),
        ("\r\n<?xml version='1.0'?><a>Ж</a>".encode(), ""),
    ],
)
def test_charsets(data: bytes, charset: str) -> None:
    assert parse_xml(data, charset).text == "Ж"


BOMB = "".join(
    f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' if i else '<!ENTITY e0 "lol">' for i in range(10)
)


@pytest.mark.parametrize(
    "data",
    [
        "",
        " ",
        "text",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a x=1/>",
        "<p:a/>",
        "<a>&nothing;</a>",
        "<a>\x00</a>",
        "<a>&#0;</a>",
        "<a>\ufffe</a>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [" + BOMB + "]><a>&e9;</a>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><a/>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x"><a/>',
        '<?xml-stylesheet href="http://127.0.0.1:1/x"?><a/>',
        "<?xml version='1.0' encoding='no-such-charset'?><a/>",
        "<?xml version='1.0' encoding='zip'?><a/>",
        "<?xml version='1.0' encoding='idna'?><a/>",
        "<a>" * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1),
        "<a>" + "<b/>" * MAX_ELEMENTS + "</a>",
        "<a>" * 100_000,
    ],
)
def test_what_is_refused(data: str) -> None:
    with pytest.raises(XmlError):
        parse_xml(data.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("charset", ["no-such-charset", "zip", "utf-7", "\x00", "utf-32"])
def test_charsets_that_do_not_fit(charset: str) -> None:
    with pytest.raises(XmlError):
        parse_xml(b"\xff\xfe<a>", charset)


@pytest.mark.parametrize(
    "data",
    [
        b"<a " + b" ".join(b'x%d="y"' % i for i in range(60_000)) + b"/>",
        b"<a>" + b"&lt;" * 250_000 + b"</a>",
        b"<a>" + b"<![CDATA[x]]>" * 70_000 + b"</a>",
        b"<a><!--" + b"-" * 1_000_000 + b"</a>",
        b'<a x="' + b"y" * 1_000_000,
        b"<a" + b"a" * 1_000_000 + b"/>",
        b"<a>" + b"\n" * 1_000_000 + b"</a>",
    ],
    ids=["attributes", "entities", "cdata", "comment", "value", "name", "lines"],
)
def test_a_megabyte_of_anything_is_neither_slow_nor_large(data: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    with suppress(XmlError):
        parse_xml(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 3
    assert peak < 40_000_000


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="<>/ab=\"'&;! ?[]-x:", max_size=80)))
def test_anything_is_a_tree_or_an_error(data: bytes | str) -> None:
    with suppress(XmlError):
        assert parse_xml(data).name
