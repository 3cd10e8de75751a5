"""HTML of mails as text."""

from __future__ import annotations

import time

import pytest

from heliograph.protocols.email.markup import remove_tags, text_of_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<b>bold</b> text", "bold text"),
        ("one<br>two<BR/>three<br />", "one\ntwo\nthree"),
        ("<p>one</p>\r\n<p>two</p>", "one\ntwo"),
        ("<div><div>deep</div></div>", "deep"),
        ("a &lt; b &amp;&nbsp;c &#1078;", "a < b & c ж"),
        ("soft\r\n  wrapped\tline", "soft wrapped line"),
        ("<style>p {color: red}</style>x<script>alert(1)</script>y", "xy"),
        ("<head><title>t</title><meta a=b></head><body>x</body>", "x"),
        ("1 < 2 > 1", "1 < 2 > 1"),
        ("x<!-- <b>hidden</b> -->y<!doctype html>z", "xyz"),
        ("x<!-- never ends", "x"),
        ("x<script>never ends", "x"),
        ("<a href='x>y", "y"),
    ],
)
def test_html_becomes_what_a_person_reads(html: str, text: str) -> None:
    assert text_of_html(html) == text


def test_only_tags_are_removed() -> None:
    assert remove_tags("a<br>b <3 c< d ><i>e</i>") == "ab <3 c< d >e"


@pytest.mark.parametrize(
    "html",
    [
        "<" * 100_000,
        "<a" * 50_000,
        "<" + "a" * 100_000,
        "<!--" * 25_000,
        "<script>" * 12_500,
        "<style></script>" * 6_000,
        "&" * 100_000,
        " " * 100_000,
        "<a\n" * 33_000,
    ],
)
def test_no_input_is_slow(html: str) -> None:
    began = time.process_time()
    text_of_html(html)
    remove_tags(html)
    assert time.process_time() - began < 1.0
