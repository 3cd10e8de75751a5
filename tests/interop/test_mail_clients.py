"""Mail programs that other people wrote deliver orders and mails through the mail door.

Python's smtplib, nodemailer (npm), swaks and Postfix as a relay (both Debian).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for
from tests.harness.ports import free_ports

from heliograph.services import administration
from heliograph.storage.accounts import find_account
from heliograph.storage.database import Database
from heliograph.storage.request_log import LoggedRequest, list_requests

PHONE = "79161234567"
ORDERS = "send@send.example.com"
_HERE = Path(__file__).parent


def order(id: str, text: str, *, phone: str = PHONE, options: str = "0,0,Shop") -> str:
    return f"{LOGIN}:{PASSWORD}:{id}::{options}:{phone}:{text}"


class Door:
    """A running gateway with its mail door, and the authority of its certificate."""

    def __init__(self, gateway: Gateway, authority: trustme.CA, folder: Path) -> None:
        self.gateway = gateway
        self.authority = authority
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)

    @property
    def port(self) -> int:
        return self.gateway.smtp

    def delivered(self, id: str, phone: str = PHONE) -> Any:
        """The status of a message after its delivery."""
        return self.gateway.wait_status(id, phone, 1)

    def configure(self, **settings: str) -> None:
        """Changes settings of the account; the gateway has noticed when it returns."""
        names = {
            f"mfl[{name[3:]}]" if name.startswith("mfl") else name: value
            for name, value in settings.items()
        }
        self.gateway.administer(lambda d: administration.change_settings(d, LOGIN, names))
        self.gateway.settle()

    def log(self) -> list[LoggedRequest]:
        """The account's request log, newest first."""

        async def read(database: Database) -> list[LoggedRequest]:
            async with database.read() as connection:
                account = await find_account(connection, LOGIN)
                return await list_requests(connection, account.id)

        rows: list[LoggedRequest] = self.gateway.administer(read)
        return rows


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("mail")
    authority = trustme.CA()
    pem = folder / "server.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    gateway = Gateway(
        folder / "data",
        *("smtp.domains=example.com", "limits.enforce=false"),
        f"smtp.tls_certificate={pem}",
        f"smtp.tls_key={pem}",
        doors=["smtp"],
    )
    gateway.create_account()
    try:
        yield Door(gateway.start(), authority, folder)
    finally:
        gateway.stop()


# smtplib ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["windows-1251", "koi8-r", "utf-8"])
def test_smtplib_as_the_official_libraries_use_it(door: Door, charset: str) -> None:
    """No From, no To, no Subject: a content type, an empty line and the body."""
    text = f"Привет: {charset}"
    mail = f"Content-Type: text/plain; charset={charset}\n\n{order(charset, text)}"
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.sendmail("api@smsc.ru", ORDERS, mail.encode(charset))
    found = door.delivered(charset)
    assert found["message"] == text
    assert found["sender_id"] == "Shop"


def test_smtplib_with_tls_and_a_login_of_its_relay(door: Door) -> None:
    context = ssl.create_default_context()
    door.authority.configure_trust(context)
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.c", ORDERS, "ignored"
    message.set_content(order("tls-1", "Через TLS"))
    with smtplib.SMTP("localhost", door.port) as client:
        client.starttls(context=context)
        client.login("whoever", "whatever")
        for _ in range(3):
            client.send_message(message)
            message.set_content(order(f"tls-{time.time_ns()}", f"Ещё {time.time_ns()}"))
    assert door.delivered("tls-1")["message"] == "Через TLS"


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_smtplib_in_every_transfer_encoding(door: Door, encoding: str) -> None:
    text = f"{encoding}: " + "длинный текст " * 20
    message = EmailMessage()
    message.set_content(order(encoding, text), cte=encoding)
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.send_message(message, "a@b.c", [ORDERS])
    assert door.delivered(encoding)["message"] == text.strip()


def test_smtplib_html_with_marks_and_an_attachment(door: Door) -> None:
    message = EmailMessage()
    message["Subject"] = "Фото"
    marked = order("html-1", "из HTML &amp; с файлом", options="0,7,Shop")
    message.set_content(f"<p>Hello</p><div>[text]{marked}[/text]</div><p>Bye</p>", subtype="html")
    message.add_attachment(b"\x89PNG" * 100, maintype="image", subtype="png", filename="a.png")
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.send_message(message, "a@b.c", [ORDERS])
    found = door.delivered("html-1")
    assert found["message"] == "из HTML & с файлом"
    assert found["type"] == 6


def test_smtplib_is_told_what_is_not_taken(door: Door) -> None:
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("a@b.c", "root@elsewhere.example", "x")
        assert refused.value.recipients["root@elsewhere.example"][0] == 550
        with pytest.raises(smtplib.SMTPSenderRefused) as large:
            client.sendmail("a@b.c", ORDERS, "x\n" * 60_000)
        assert large.value.smtp_code == 552
        client.sendmail("a@b.c", ORDERS, order("after", "after refusals"))
    door.delivered("after")


def test_the_owner_reads_outcomes(door: Door) -> None:
    before = len(door.log())
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.sendmail("a@b.c", ORDERS, order("log-1", "for the log"))
        client.sendmail("a@b.c", ORDERS, order("log-2", "number", phone="123"))
        client.sendmail("a@b.c", ORDERS, f"{LOGIN}:wrong:::::{PHONE}:x")
        client.sendmail("a@b.c", ORDERS, order("log-3", "only a test", options="0,0,Shop,1"))
        client.sendmail("a@b.c", ORDERS, order("log-1", "for the log"))
    rows = wait_for(lambda: rows if len(rows := door.log()) >= before + 5 else None)
    assert [(row.door, row.what, row.outcome) for row in rows[:5]][::-1] == [
        ("smtp", "order", "accepted: id log-1, 1 recipients, 1 parts"),
        ("smtp", "order", "refused: the number is not a valid recipient (id log-2)"),
        (
            "smtp",
            "order",
            "wrong login, password or key, or the address is not on the account's list",
        ),
        ("smtp", "order", "only checked: accepted: 1 recipients, 1 parts"),
        ("smtp", "order", "refused: the same request came within a minute"),
    ]
    assert door.gateway.status("log-3", PHONE)["status"] == -3


def test_nothing_that_was_acknowledged_is_lost_by_a_power_cut(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, doors=["smtp"])
    gateway.create_account()
    gateway.start()
    try:
        with smtplib.SMTP("127.0.0.1", gateway.smtp) as client:
            for number in range(20):
                client.sendmail("a@b.c", "send@any", order(f"cut-{number}", f"text {number}"))
            gateway.kill()
    except smtplib.SMTPServerDisconnected:
        pass
    try:
        gateway.start()
        for number in range(20):
            assert gateway.status(f"cut-{number}", PHONE)["status"] != -3
        assert gateway.audit() == []
        assert gateway.stop() == 0
    finally:
        gateway.kill()
    printed = gateway.output.read_text()
    assert PASSWORD not in printed
    assert PHONE not in printed


# Forwarding -------------------------------------------------------------------------------------


def last_id(door: Door) -> int:
    """The id that the next message without one gets, less one."""
    return int(door.gateway.send("79160009999", f"counts {time.time_ns()}")["id"])


def test_mail_is_forwarded_to_phones(door: Door) -> None:
    door.configure(mph="79165550001", mfl1="", mfl6="1", mlen="60", mfrom="@shop.example")
    message = EmailMessage()
    message["From"], message["Subject"] = "Магазин <robot@shop.example>", "Заказ 17"
    message.set_content("Готов к выдаче.\n\nЖдём вас до вечера, адрес на сайте магазина.")
    text = "robot@shop.example\nЗаказ 17\nГотов к выдаче.\nЖдём вас до вече"
    before = last_id(door)
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.send_message(message, "robot@shop.example", [f"{LOGIN}@sms.example.com"])
        assert door.delivered(str(before + 1), "79165550001")["message"] == text
        recipient = f"{LOGIN}+79165550002+79165550003@sms.example.com"
        client.send_message(message, "robot@shop.example", [recipient])
        door.delivered(str(before + 2), "79165550002")
        door.delivered(str(before + 2), "79165550003")
        client.send_message(message, "robot@evil.example", [recipient])
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.send_message(message, "a@b.c", [f"{PHONE}@sms.example.com"])
        assert next(iter(refused.value.recipients.values()))[0] == 530
        client.login(LOGIN, PASSWORD)
        client.send_message(message, "a@b.c", ["79165550004@sms.example.com"])
        door.delivered(str(before + 3), "79165550004")
    outcomes = wait_for(lambda: [r.outcome for r in door.log() if r.what == "forwarding"][:4])
    assert [outcome.split(":")[0] for outcome in outcomes][::-1] == [
        "accepted",
        "accepted",
        "not forwarded",
        "accepted",
    ]


# nodemailer -------------------------------------------------------------------------------------


def test_nodemailer(door: Door, npm_modules: Path, node: list[str]) -> None:
    attachment = {"filename": "звук.wav", "content": base64.b64encode(b"RIFF" * 100).decode()}
    task = {
        "transport": {
            "host": "localhost",
            "port": door.port,
            "requireTLS": True,
            "auth": {"user": "any", "pass": "any"},
        },
        "mails": [
            {"from": "a@b.c", "to": ORDERS, "text": order("node-1", "Привет, мир: plain")},
            {
                "from": "a@b.c",
                "to": ORDERS,
                "html": f"<p>[text]{order('node-2', '<b>Привет</b> из HTML')}[/text]</p>",
            },
            {
                "from": "a@b.c",
                "to": ORDERS,
                "text": order("node-3", "с файлом", options="0,9,"),
                "attachments": [{**attachment, "encoding": "base64"}],
            },
            {
                "from": "a@b.c",
                "to": ORDERS,
                "text": order("node-4", "в KOI8"),
                "encoding": "base64",
                "textEncoding": "base64",
            },
            {"from": "a@b.c", "to": "root@elsewhere.example", "text": "no relay"},
        ],
    }
    done = subprocess.run(
        [*node, _HERE / "send_with_nodemailer.cjs"],
        input=json.dumps(task),
        env=os.environ | {"NODE_EXTRA_CA_CERTS": str(door.ca_file)},
        cwd=_HERE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    replies = json.loads(done.stdout)
    assert [reply[:3] for reply in replies] == ["250"] * 4 + ["550"]
    assert door.delivered("node-1")["message"] == "Привет, мир: plain"
    assert door.delivered("node-2")["message"] == "Привет из HTML"
    assert door.delivered("node-3")["type"] == 7
    assert door.delivered("node-4")["message"] == "в KOI8"


# swaks ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def swaks() -> str:
    program = shutil.which("swaks")
    if program is None:
        pytest.skip("swaks (Debian) is not installed")
    return program


@pytest.mark.debian
@pytest.mark.parametrize(
    ("id", "options", "codes"),
    [
        ("swaks-1", (), "250"),
        ("swaks-2", ("--protocol", "SMTP"), "250"),
        ("swaks-3", ("--auth", "LOGIN", "--auth-user", "u", "--auth-password", "p"), "235"),
        ("swaks-4", ("--auth", "PLAIN", "--auth-user", "u", "--auth-password", "p"), "235"),
        ("swaks-5", ("--header", "Content-Type: text/plain; charset=utf-8"), "250"),
        ("swaks-6", ("--suppress-data",), "250"),
    ],
)
def test_swaks(door: Door, swaks: str, id: str, options: tuple[str, ...], codes: str) -> None:
    command = [swaks, "--server", "127.0.0.1", "--port", str(door.port), "--from", "a@b.c"]
    command += ["--to", ORDERS, "--helo", "here", "--body", order(id, f"Привет из {id}"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"<-  {codes}" in done.stdout
    assert door.delivered(id)["message"] == f"Привет из {id}"


@pytest.mark.debian
def test_swaks_is_refused_what_is_not_ours(door: Door, swaks: str) -> None:
    command = [swaks, "--server", "127.0.0.1", "--port", str(door.port), "--from", "a@b.c"]
    command += ["--to", "root@example.org", "--helo", "here", "--body", "x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 24  # no recipient was taken
    assert "550 5.1.1" in done.stdout


# Postfix ----------------------------------------------------------------------------------------


_MAIN_CF = """compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.example.org
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{door}
smtp_tls_security_level = may
smtp_host_lookup = native
smtp_dns_support_level = disabled
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:none
minimal_backoff_time = 1s
"""
_MASTER_CF = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@pytest.fixture
def postfix(door: Door) -> Iterator[tuple[int, Callable[[], str]]]:
    """The port of a Postfix that relays everything to the door, and a reader of its log."""
    if not Path("/usr/sbin/postfix").exists():
        pytest.skip("postfix (Debian) is not installed")
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    # Its processes run as another user, who may not look into pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="heliograph-postfix-"))
    folder.chmod(0o755)
    [port] = free_ports(1)
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    (folder / "main.cf").write_text(_MAIN_CF.format(folder=folder, door=door.port))
    (folder / "master.cf").write_text(_MASTER_CF.format(port=port))
    command = ["/usr/sbin/postfix", "-c", str(folder)]
    done = subprocess.run(
        [*command, "start"], capture_output=True, text=True, timeout=60, check=False
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield port, (folder / "log").read_text
    finally:
        subprocess.run([*command, "stop"], capture_output=True, timeout=60, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.debian
def test_postfix_relays(door: Door, postfix: tuple[int, Callable[[], str]]) -> None:
    port, read_log = postfix
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.c", ORDERS, "ignored"
    message.set_content(order("relay-1", "Через Postfix: " + "слово " * 30))
    eight_bit = f"Content-Type: text/plain; charset=koi8-r\n\n{order('relay-2', 'КОИ8')}"
    bare = order("relay-3", "without any header")

    def connect() -> smtplib.SMTP | None:
        try:
            return smtplib.SMTP("127.0.0.1", port)
        except OSError:
            return None

    with wait_for(connect, what="Postfix") as client:
        client.send_message(message)
        client.sendmail("a@b.c", ORDERS, eight_bit.encode("koi8-r"))
        client.sendmail("a@b.c", ORDERS, bare)
        for number in range(20):
            client.sendmail("a@b.c", ORDERS, f"\n{order(f'bulk-{number}', f'text {number}')}")
    text = "Через Postfix: " + "слово " * 30
    assert door.delivered("relay-1")["message"] == text.strip(), read_log()
    assert door.delivered("relay-2")["message"] == "КОИ8"
    assert door.delivered("relay-3")["message"] == "without any header"
    for number in range(20):
        door.delivered(f"bulk-{number}")
    assert read_log().count("status=sent") == 23
