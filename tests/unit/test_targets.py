"""URLs taken apart, and the guard of addresses in both directions."""

from __future__ import annotations

import pytest

from heliograph.targets import AddressGuard, HttpError, check_url, take_apart

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
]
ADMITTED = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "192.167.0.1",
    "192.169.0.1",
    "198.17.0.1",
    "198.20.0.1",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00:1450::1",
    "2001:200::1",
    "2003::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_special_addresses_are_refused(address: str) -> None:
    assert not AddressGuard().admits(address)


@pytest.mark.parametrize("address", ADMITTED)
def test_public_addresses_are_admitted(address: str) -> None:
    assert AddressGuard().admits(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "1.2.3.4.5", "[::1]"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert not AddressGuard(allow_private=True).admits(text)


def test_allow_private_opens_private_networks_and_nothing_else() -> None:
    guard = AddressGuard(allow_private=True)
    opened = {a for a in REFUSED if guard.admits(a)}
    assert opened == {
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "::1",
        "fc00::1",
        "fd12::1",
    }


def test_allowed_networks_open_what_they_name() -> None:
    guard = AddressGuard(allowed_networks=["10.1.0.0/16", "fd00:1::/32", "169.254.169.254"])
    assert guard.admits("10.1.2.3")
    assert guard.admits("fd00:1::5")
    assert guard.admits("169.254.169.254")
    assert not guard.admits("10.2.0.1")
    assert not guard.admits("::ffff:10.1.2.3")
    assert not guard.admits("fd00:2::5")


def test_a_wrong_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="host bits"):
        AddressGuard(allowed_networks=["10.0.0.1/8"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/x",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://",
        "http:///path",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other",
        "http://example.com/\x00",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://example.com:port/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1%eth0]/",
        "http://exa|mple.com/",
        "http://-example.com/",
        "http://example..com/",
        "http://" + "a" * 64 + ".com/",
        "http://example.com/" + "a" * 5000,
    ],
)
def test_urls_that_can_not_be_called(url: str) -> None:
    with pytest.raises(HttpError):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "shown"),
    [
        ("http://Example.com", "example.com", 80, "/", "example.com"),
        ("https://example.com/a?b=c#frag", "example.com", 443, "/a?b=c", "example.com"),
        ("http://example.com:8080/", "example.com", 8080, "/", "example.com:8080"),
        ("http://[2001:db8::1]:81/x", "2001:db8::1", 81, "/x", "[2001:db8::1]:81"),
        ("http://h/%D0%B0?q=%20+x", "h", 80, "/%D0%B0?q=%20+x", "h"),
        ("http://h/а?б", "h", 80, "/%D0%B0?%D0%B1", "h"),
        ("http://пример.рф/", "xn--e1afmkfd.xn--p1ai", 80, "/", "xn--e1afmkfd.xn--p1ai"),
        ("http://a_b.example/", "a_b.example", 80, "/", "a_b.example"),
        ("http://good.example@evil.example/", "evil.example", 80, "/", "evil.example"),
    ],
)
def test_urls_taken_apart(url: str, host: str, port: int, path: str, shown: str) -> None:
    target = take_apart(url)
    assert (target.host, target.port, target.path.decode()) == (host, port, path)
    assert target.is_tls == url.startswith("https")
    assert f"Host: {shown}\r\n".encode() in target.head


def test_user_and_password_become_a_header() -> None:
    target = take_apart("http://al%40ex:p%3Aw@h/")
    assert b"Authorization: Basic YWxAZXg6cDp3\r\n" in target.head
    assert b"ex:p" not in target.path
