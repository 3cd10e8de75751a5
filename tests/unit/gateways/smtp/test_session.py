"""The SMTP dialogue over real sockets: what clients do, and what nobody should."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.unit.gateways.smtp.fakes import Client, Door, open_door

from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.gateways.http.certificates import TlsFiles

ORDER = "alex:123:::0,0,ivan:79161234567:Hello"


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def texts_of(door: Door) -> list[str]:
    return [request.entries[0].text for request in door.services.submit.sent]


async def test_a_plain_session(door: Door) -> None:
    client = await door.connect()
    assert client.greeting == "220 example.com ESMTP Heliograph"  # type: ignore[attr-defined]
    said = await client.say("EHLO me")
    assert "SIZE 102400" in said
    assert "8BITMIME" in said
    assert "AUTH LOGIN PLAIN" in said
    assert "STARTTLS" not in said
    assert await client.mail("Content-Type: text/plain\r\n\r\n" + ORDER) == "250 2.0.0 OK"
    assert await client.mail("\r\n" + ORDER + " again") == "250 2.0.0 OK"
    assert texts_of(door) == ["Hello", "Hello again"]
    assert (await client.say("QUIT")).startswith("221")
    assert await client.reply() == ""


async def test_helo_is_enough(door: Door) -> None:
    client = await door.connect()
    assert (await client.say("HELO me")).startswith("250")
    assert (await client.say("MAIL FROM:<>")).startswith("250")
    assert (await client.say("RCPT TO:<SEND@Example.COM>")).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    assert (await client.say(ORDER + "\r\n.")).startswith("250")
    assert texts_of(door) == ["Hello"]


@pytest.mark.parametrize(
    "exchange",
    [
        ["AUTH PLAIN " + encode(b"\0me\0secret")],
        ["AUTH PLAIN", encode(b"\0me\0secret")],
        ["AUTH LOGIN", encode(b"me"), encode(b"secret")],
        ["AUTH LOGIN " + encode(b"me"), encode(b"\xff")],
        ["AUTH LOGIN", "", ""],
    ],
)
async def test_any_credentials_will_do(door: Door, exchange: list[str]) -> None:
    client = await door.connect()
    await client.say("EHLO me")
    for line in exchange[:-1]:
        assert (await client.say(line)).startswith("334")
    assert (await client.say(exchange[-1])).startswith("235")
    assert (await client.say("MAIL FROM:<a@b.c> AUTH=<>")).startswith("250")


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("send@example.com", "250"),
        ("send@send.example.com", "250"),
        ("alex@sms.example.com", "250"),
        ("nobody@sms.example.com", "250"),
        ("send@example.org", "550"),
        ("send@sub.example.com", "550"),
        ("root@example.com", "550"),
        ("alex@example.com", "550"),
        ("alex@sms.example.org", "550"),
        ("send%example.org@example.com", "550"),
        ("a@b@example.org", "55"),
        ("send", "550"),
        ("79161234567@sms.example.com", "530"),
    ],
)
async def test_only_addresses_of_ours(door: Door, recipient: str, code: str) -> None:
    client = await door.connect()
    await client.say("EHLO me")
    await client.say("MAIL FROM:<a@b.c>")
    assert (await client.say(f"RCPT TO:<{recipient}>")).startswith(code)


async def test_without_domains_every_domain_is_ours() -> None:
    async with open_door(domains=()) as door:
        client = await door.connect()
        assert (await client.mail(ORDER, "send@send.smsc.ru")).startswith("250")
        await client.say("RSET")
        await client.say("MAIL FROM:<a@b.c>")
        assert (await client.say("RCPT TO:<root@send.smsc.ru>")).startswith("550")


async def test_order_of_commands(door: Door) -> None:
    client = await door.connect()
    assert (await client.say("MAIL FROM:<a@b.c>")).startswith("503")
    await client.say("EHLO me")
    assert (await client.say("RCPT TO:<send@example.com>")).startswith("503")
    assert (await client.say("DATA")).startswith("503")
    await client.say("MAIL FROM:<a@b.c>")
    assert (await client.say("DATA")).startswith("503")
    await client.say("RCPT TO:<send@example.com>")
    assert (await client.say("RSET")).startswith("250")
    assert (await client.say("DATA")).startswith("503")


@pytest.mark.parametrize(
    "body",
    [
        f"Subject: x\n\n{ORDER}",
        f"\n{ORDER}\n",
        ORDER,
        f"Subject: x\r\r{ORDER}\r",
        f"Subject: x\n\n{ORDER}\n.\n\n\n",
    ],
)
async def test_bare_line_ends_are_text(door: Door, body: str) -> None:
    client = await door.connect()
    assert (await client.mail(body)).startswith("250")
    assert [text.split("\n")[0] for text in texts_of(door)] == ["Hello"]


@pytest.mark.parametrize("end", ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\n.\r"])
async def test_no_second_mail_hides_in_one(door: Door, end: str) -> None:
    client = await door.connect()
    hidden = f"{end}MAIL FROM:<a@b.c>{end}"
    assert (await client.mail(f"\r\n{ORDER}{hidden}")).startswith("250")
    assert len(door.services.submit.sent) == 1
    assert "MAIL FROM" in texts_of(door)[0]


async def test_dots_are_unstuffed(door: Door) -> None:
    client = await door.connect()
    await client.mail(f"\r\n{ORDER}\r\n..\r\n..two\r\n.")
    assert texts_of(door) == ["Hello\n.\n.two"]


async def test_one_byte_at_a_time(door: Door) -> None:
    client = await door.connect()
    data = f"EHLO a\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<send@example.com>\r\nDATA\r\n{ORDER}\r\n.\r\n"
    for byte in data.encode():
        client.writer.write(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0)
    replies = [await client.reply() for _ in range(5)]
    assert [reply[:3] for reply in replies] == ["250", "250", "250", "354", "250"]


async def test_everything_in_one_write_by_a_client_that_reads_nothing(door: Door) -> None:
    client = await door.connect()
    data = f"EHLO a\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<send@example.com>\r\nDATA\r\n{ORDER}\r\n.\r\n"
    mail = data.replace("EHLO a\r\n", "")
    client.writer.write((data + mail * 20 + "QUIT\r\n").encode())
    client.writer.write_eof()
    while await client.reply():
        pass
    assert len(door.services.submit.sent) == 21


async def test_a_mail_that_came_whole_is_carried_out_without_its_client(door: Door) -> None:
    entered, may_go_on = asyncio.Event(), asyncio.Event()
    submit = door.services.submit
    send = submit.send

    async def wait(request: SendRequest) -> Submitted | Refused:
        entered.set()
        await may_go_on.wait()
        return await send(request)

    submit.send = wait  # type: ignore[method-assign]
    client = await door.connect()
    await client.begin()
    client.writer.write(f"{ORDER}\r\n.\r\n".encode())
    await entered.wait()
    client.writer.transport.abort()
    await asyncio.sleep(0.05)
    may_go_on.set()
    await door.server.stop(5)
    assert texts_of(door) == ["Hello"]
    assert len(door.services.outcomes) == 1


# Sizes ------------------------------------------------------------------------------------------


async def test_a_hundred_kilobytes_are_taken(door: Door) -> None:
    client = await door.connect()
    numbers = ",".join(f"7916{i:07}" for i in range(8000))
    body = f"\r\nalex:123:::0,0,:{numbers}:Hello"
    assert 90_000 < len(body) < 102_400
    assert (await client.mail(body)).startswith("250")
    assert len(door.services.submit.sent[0].entries[0].recipients) == 8000


@pytest.mark.parametrize("line", [b"x" * 998 + b"\r\n", b"x\n", b"\r\n", b"\r", b".\n", b"."])
async def test_more_is_refused_with_552_and_the_session_goes_on(door: Door, line: bytes) -> None:
    client = await door.connect()
    body = line * (1_000_000 // len(line))
    assert (await client.mail(b"x" + body)).startswith("552")
    assert (await client.mail(ORDER)).startswith("250")
    assert texts_of(door) == ["Hello"]


async def test_a_size_that_was_announced_is_refused_at_once(door: Door) -> None:
    client = await door.connect()
    await client.say("EHLO me")
    assert (await client.say("MAIL FROM:<a@b.c> SIZE=102401")).startswith("552")
    assert (await client.say("MAIL FROM:<a@b.c> SIZE=102400 BODY=8BITMIME")).startswith("250")


async def pour(client: Client) -> None:
    for _ in range(10_000):
        client.writer.write(b"x" * 10_000)
        await client.writer.drain()


async def test_a_client_that_never_stops_sending_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("heliograph.gateways.smtp.session._MAX_DRAINED_BYTES", 1_000_000)
    async with open_door() as door:
        client = await door.connect()
        await client.begin()
        with pytest.raises(ConnectionError):
            await pour(client)


async def test_endless_commands(door: Door) -> None:
    client = await door.connect()
    assert (await client.say("X" * 500_000)).startswith("500")
    assert (await client.say("NOOP " + "x" * 3000)).startswith("500")
    assert (await client.say("EHLO me")).startswith("250")


async def test_recipients_are_bounded(door: Door) -> None:
    client = await door.connect()
    await client.say("EHLO me")
    await client.say("MAIL FROM:<a@b.c>")
    replies = [await client.say(f"RCPT TO:<a{i}@sms.example.com>") for i in range(51)]
    assert [reply[:3] for reply in replies] == ["250"] * 50 + ["452"]


# What is not SMTP -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\nE: f\r\nMAIL FROM:<a@b.c>\r\n\r\n",
        bytes.fromhex("16030100c8010000c40303") + b"\n" * 20,
        b"\x00\x00\x00\x10\x00\x00\x00\x15\n" * 10,
        b"\xff\xfe\xfd\n" * 10,
        b"AUTH\r\nAUTH X\r\nAUTH PLAIN !!!\r\nAUTH PLAIN =\r\n",
        b"EHLO\r\nHELO\r\nMAIL\r\nMAIL FROM\r\nRCPT TO:\r\nVRFY \xff\r\nEXPN x\r\nHELP \xd0\r\n",
        b"EHLO \xff\xfe\r\nMAIL FROM:<\xff@\xfe>\r\nRCPT TO:<\xd0\xb6@sms.example.com>\r\n",
        b"EHLO a\r\nMAIL FROM:" + b"(" * 1500 + b"\r\nMAIL FROM:<" + b'"' * 1500 + b"\r\n",
        b"EHLO a\r\nMAIL FROM:<@a,@b:c@d>\r\nRCPT TO:<" + b"a." * 700 + b"@x>\r\n",
    ],
)
async def test_what_is_not_smtp_harms_nobody(
    door: Door, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    neighbour = await door.connect()
    client = await door.connect()
    client.writer.write(data)
    client.writer.write_eof()
    while reply := await client.reply():
        assert "Traceback" not in reply
        assert "Exception" not in reply
    assert (await neighbour.mail(ORDER)).startswith("250")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_session_of_nothing_but_noise_ends(door: Door) -> None:
    client = await door.connect()
    for _ in range(30):
        if not await client.say("NONSENSE"):
            break
    else:
        pytest.fail("it went on")


async def test_a_session_of_nothing_but_noops_ends(door: Door) -> None:
    client = await door.connect()
    replies = [await client.say("NOOP") for _ in range(101)]
    assert replies[99].startswith("250")
    assert replies[100].startswith("421")


# Time and connections ---------------------------------------------------------------------------


async def test_idle_sessions_end() -> None:
    async with open_door(idle_s=0.1) as door:
        client = await door.connect()
        assert (await client.reply()).startswith("421")
        assert await client.reply() == ""


async def test_a_slow_mail_ends() -> None:
    async with open_door(mail_s=1) as door:
        client = await door.connect()
        await client.begin()
        # Read without `reply`: what is written after the end is answered by a reset.
        reader: Any = client.reader
        async with asyncio.timeout(30):
            while not reader._buffer:
                client.writer.write(b"x")
                await asyncio.sleep(0.02)
        assert bytes(reader._buffer).startswith(b"421")
        assert not door.services.submit.sent


async def test_connections_are_bounded() -> None:
    async with open_door(max_connections=3, max_connections_per_address=2) as door:
        first = await door.connect()
        await door.connect()
        third = await door.connect()
        assert third.greeting.startswith("421")  # type: ignore[attr-defined]
        assert await third.reply() == ""
        await first.say("QUIT")
        greeting = "421"
        async with asyncio.timeout(30):  # until the server has seen its end
            while not greeting.startswith("220"):
                await asyncio.sleep(0.02)
                greeting = (await door.connect()).greeting  # type: ignore[attr-defined]


async def test_a_stop_lets_a_mail_finish(door: Door) -> None:
    entered = asyncio.Event()
    submit = door.services.submit
    send = submit.send

    async def wait(request: SendRequest) -> Submitted | Refused:
        entered.set()
        await asyncio.sleep(0.1)
        return await send(request)

    submit.send = wait  # type: ignore[method-assign]
    client = await door.connect()
    idle = await door.connect()
    await client.begin()
    client.writer.write(f"{ORDER}\r\n.\r\n".encode())
    await entered.wait()
    await door.server.stop(5)
    assert (await client.reply()).startswith("250")
    assert (await client.reply()).startswith("421")
    assert (await idle.reply()).startswith("421")


# Outcomes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refusal.NO_FUNDS, "250"),
        (Refusal.DUPLICATE, "250"),
        (Refusal.BAD_NUMBER, "250"),
        (Refusal.OVERLOADED, "451"),
        (Refusal.SYSTEM_ERROR, "451"),
    ],
)
async def test_only_what_is_over_in_a_while_may_come_again(
    door: Door, refusal: Refusal, code: str
) -> None:
    door.services.submit.outcome = Refused(refusal)
    client = await door.connect()
    assert (await client.mail(ORDER)).startswith(code)
    assert door.services.outcomes == [f"refused: {refusal.value}"]


async def test_a_bug_is_a_451_that_tells_nothing(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    quoted = "the password is secret"

    def fail(request: SendRequest) -> Submitted | Refused:
        raise RuntimeError(quoted)

    door.services.submit.decide = fail
    client = await door.connect()
    reply = await client.mail(ORDER)
    assert reply.startswith("451")
    assert "secret" not in reply + caplog.text
    assert "RuntimeError" in caplog.text
    assert door.services.limits.inside == 0
    assert (await client.say("NOOP")).startswith("250")


async def test_nothing_of_a_mail_is_logged(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await door.connect()
    await client.say("EHLO secret-host")
    await client.say("AUTH PLAIN " + encode(b"\0secret-login\0secret-password"))
    await client.say("MAIL FROM:<secret@secret.example>")
    await client.say("RCPT TO:<secret@sms.example.com>")
    await client.say("RCPT TO:<send@example.com>")
    await client.say("DATA")
    await client.say("Subject: secret\r\n\r\nalex:secret:::::79161234567:secret\r\n.")
    await client.mail("no order, secret")
    assert "secret" not in caplog.text
    assert "79161234567" not in caplog.text


# TLS --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> TlsFiles:
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    path = tmp_path / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(path)
    return TlsFiles(certificate=path, key=path)


async def start_tls(client: Client, authority: trustme.CA, extra: bytes = b"") -> Client:
    assert "STARTTLS" in await client.say("EHLO me")
    client.writer.write(b"STARTTLS\r\n" + extra)
    assert (await client.reply()).startswith("220")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    await client.writer.start_tls(context, server_hostname="localhost")
    return client


async def test_starttls(authority: trustme.CA, files: TlsFiles) -> None:
    async with open_door(tls=files) as door:
        client = await start_tls(await door.connect(), authority)
        assert (await client.say("MAIL FROM:<a@b.c>")).startswith("503")  # everything begins anew
        assert "STARTTLS" not in await client.say("EHLO me")
        assert (await client.mail(ORDER)).startswith("250")
        assert (await client.mail("x" * 300_000)).startswith("552")
        assert (await client.say("QUIT")).startswith("221")
        assert texts_of(door) == ["Hello"]


async def test_what_was_sent_before_tls_is_forgotten(
    authority: trustme.CA, files: TlsFiles
) -> None:
    async with open_door(tls=files) as door:
        client = await door.connect()
        await client.say("EHLO me")
        client.writer.write(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.com>\r\n")
        assert (await client.reply()).startswith("220")
        client.writer.close()
        other = await start_tls(await door.connect(), authority)
        assert (await other.say("NOOP")).startswith("250")


async def test_a_broken_handshake_ends_one_connection(
    authority: trustme.CA, files: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_door(tls=files) as door:
        client = await door.connect()
        await client.say("EHLO me")
        assert (await client.say("STARTTLS")).startswith("220")
        client.writer.write(b"GET / HTTP/1.1\r\n\r\n" * 10)
        await client.reader.read()
        other = await start_tls(await door.connect(), authority)
        assert (await other.mail(ORDER)).startswith("250")
