"""Orders in mails: every form of the reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.protocols.email.mime import Mail, parse_mail
from heliograph.protocols.email.order import Order, OrderError, read_order


def order_of(text: str, *, is_html: bool = False) -> Order:
    return read_order(Mail(text=text, raw=text, is_html=is_html))


def test_what_libraries_send() -> None:
    order = order_of("alex:123:0:0:0,0,ivan:79999999999:Hello")
    assert order == Order(
        login="alex", password="123", client_ref="0", time="0", translit="0", sender="ivan",
        phones="79999999999", text="Hello",
    )  # fmt: skip
    order = order_of("alex:123:0::0,0,:79999999999,79999999998:Text: with colon\r\n")
    assert (order.time, order.sender) == ("", "")
    assert order.phones == "79999999999,79999999998"
    assert order.text == "Text: with colon"


def test_every_field() -> None:
    order = order_of("alex:202cb:15:0101241200,-3:1,11,ivan,1:79999999999:Happy new year!")
    assert order.client_ref == "15"
    assert (order.time, order.tz) == ("0101241200", "-3")
    assert (order.translit, order.format, order.sender) == ("1", 11, "ivan")
    assert order.is_test


def test_a_key_instead_of_a_password() -> None:
    order = order_of(":MYAPIKEY:::0,1,:79999999999:Flash by key")
    assert (order.login, order.password, order.format) == ("", "MYAPIKEY", 1)
    assert "MYAPIKEY" not in repr(order)


def test_own_texts() -> None:
    order = order_of("alex:123::,:0,0,ivan::79999999999:first text\r\n79999999998:second text\r\n")
    assert (order.phones, order.text) == ("", "")
    assert order.entries == "79999999999:first text\n79999999998:second text"


def test_texts_of_several_lines_end_where_the_mail_does() -> None:
    order = order_of("\r\n\r\nalex:123::::7999:one\r\n\r\n two: three \r\n\r\n   \r\n")
    assert order.text == "one\n\n two: three"


@pytest.mark.parametrize(
    "text",
    [
        "[text]alex:123::,0:0,0,ivan:79999999999:Hello[/text]",
        "Dear server,\n[TEXT]\nalex:123::,0:0,0,ivan:79999999999:Hello\n[/Text]\n-- \nIvan: 1:2",
        "> [text]alex:123::,0:0,0,ivan:79999999999:<b>Hello</b>[/text][text]no[/text]",
        "[text]alex:123::,0:0,0,ivan:79999999999:Hello",
    ],
)
def test_marks_say_where_the_order_is(text: str) -> None:
    order = order_of(text)
    assert (order.login, order.sender, order.text) == ("alex", "ivan", "Hello")


def test_html() -> None:
    html = (
        "<html><head><style>a:b:c:d:e:f:g</style></head><body><p>Hi</p><div>[<b>text</b>]"
        "alex:123:::0,0,ivan:<a href='tel:x'>79999999999</a>:Hel&lt;lo<br>there[/text]</div></body>"
    )
    order = order_of(html, is_html=True)
    assert (order.phones, order.text) == ("79999999999", "Hel<lo\nthere")
    assert order_of("<p>alex:123::::7999:Hello</p>", is_html=True).text == "Hello"


def test_tags_stay_where_they_are_meant() -> None:
    assert order_of("alex:123::::7999:a <b>c</b>").text == "a <b>c</b>"
    mail = "[text]alex:123:::0,8,a@b.cc:d@e.ff:<b>bold</b>[/text]"
    assert order_of(mail).text == "<b>bold</b>"


def test_bytes_of_a_binary_order() -> None:
    data = b"alex:123:::0,4,ivan:79999999999:\x06\x05\x04\xff\xfe"
    order = read_order(parse_mail(b"Content-Type: text/plain; charset=koi8-r\r\n\r\n" + data))
    assert order.text.encode("latin-1") == b"\x06\x05\x04\xff\xfe"


@pytest.mark.parametrize(
    "text",
    ["", " ", "Hello", "alex", "alex:123", "a:b:c:d:e:f", "[text][/text]", "[text]", "[/text]",
     "a:b:c:d:0,12:f:g", "a:b:c:d:0,x:f:g", "a:b:c:d:0,-1:f:g", "a:b:c:d:0,\u0663:f:g"],
)  # fmt: skip
def test_what_is_no_order(text: str) -> None:
    with pytest.raises(OrderError) as failure:
        order_of(text)
    assert "123" not in str(failure.value)


@given(st.text(alphabet="a1:;,[]<>/text\n\r \0é", max_size=80), st.booleans())
def test_any_text_is_an_order_or_an_order_error(text: str, is_html: bool) -> None:
    try:
        order = order_of(text, is_html=is_html)
    except OrderError:
        return
    assert not (order.phones and order.entries)
