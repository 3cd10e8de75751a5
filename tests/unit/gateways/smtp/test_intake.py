"""What becomes of mails: orders of every kind, forwarding, and what their owners read about it."""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage

import pytest
from tests.unit.gateways.http.fakes import ALEX, BAD_LINE, GOOD_LINE
from tests.unit.gateways.smtp.fakes import TEN_MS, FakeServices

from heliograph.domain.messages import MessageType
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.gateways.smtp.addresses import Addressee, OrderAddress, read_address
from heliograph.gateways.smtp.errors import REPLIES, TAKEN
from heliograph.gateways.smtp.intake import Credentials, MailIntake

PHONE = "79161234567"


class Desk:
    """An intake with fakes around it."""

    def __init__(self) -> None:
        self.services = FakeServices()
        self.intake = MailIntake(self.services, clock=lambda: TEN_MS)

    async def order(self, body: str | bytes, *, address: str = "192.0.2.1") -> str:
        data = body.encode() if isinstance(body, str) else body
        return await self.intake.take_order(data, address)

    async def forward(
        self,
        body: str | bytes,
        *addressees: Addressee,
        credentials: Credentials | None = None,
        sender: str = "anna@example.com",
    ) -> str:
        return await self.intake.forward(
            body.encode() if isinstance(body, str) else body,
            addressees,
            address="192.0.2.1",
            credentials=credentials,
            envelope_sender=sender,
        )

    def configure(self, **settings: str) -> None:
        names = {name.replace("mfl", "mfl[") + ("]" if "mfl" in name else ""): value
                 for name, value in settings.items()}  # fmt: skip
        self.services.directory.accounts["alex"] = replace(ALEX, settings=names)
        self.services.authentication.account = self.services.directory.accounts["alex"]

    @property
    def sent(self) -> SendRequest:
        (request,) = self.services.submit.sent
        return request

    @property
    def outcome(self) -> str:
        (outcome,) = self.services.outcomes
        return outcome


@pytest.fixture
def desk() -> Desk:
    return Desk()


# Orders -----------------------------------------------------------------------------------------


async def test_an_order_is_a_request(desk: Desk) -> None:
    body = f"alex:123:ord-15:0101301200,-3:1,0,ivan:{PHONE},79160000000:Text: with colon\r\n"
    assert await desk.order(body) == TAKEN
    request = desk.sent
    assert request.account is desk.services.authentication.account
    assert request.door == "smtp"
    assert request.client_ref == "ord-15"
    assert request.sender == "ivan"
    assert request.translit == 1
    assert (request.time, request.tz_minutes) == ("0101301200", 0)
    assert request.entries[0].recipients == [PHONE, "79160000000"]
    assert request.entries[0].text == "Text: with colon"
    assert desk.services.authentication.seen == [("alex", "123", "192.0.2.1")]
    assert desk.services.request_log.rows == [
        (7, "order", "accepted: id 1234, 1 recipients, 1 parts")
    ]


async def test_what_is_left_out_takes_defaults(desk: Desk) -> None:
    await desk.order(f"alex:123:0:0:0,0,:{PHONE}:Hello")
    request = desk.sent
    assert (request.client_ref, request.time, request.tz_minutes) == ("", "0", None)
    assert request.sender is None
    assert request.type is MessageType.SMS


async def test_a_key(desk: Desk) -> None:
    await desk.order(f":K1:::0,1,:{PHONE}:Flash by key")
    assert desk.sent.type is MessageType.FLASH


@pytest.mark.parametrize(
    ("number", "type", "text", "stored"),
    [
        (0, MessageType.SMS, "Hi", "Hi"),
        (1, MessageType.FLASH, "Hi", "Hi"),
        (2, MessageType.WAP_PUSH, "http://wap.ru\nWAP.RU", "http://wap.ru\nWAP.RU"),
        (3, MessageType.HLR, "", ""),
        (4, MessageType.BINARY, "\x06\x05", "0605"),
        (5, MessageType.BINARY, "0605", "0605"),
        (6, MessageType.PING, "", ""),
        (7, MessageType.MMS, "Hi", "Hi"),
        (9, MessageType.CALL, "Hi", "Hi"),
        (10, MessageType.VIBER, "Hi", "Hi"),
        (11, MessageType.SOCIAL, "Hi", "Hi"),
    ],
)
async def test_every_format(
    desk: Desk, number: int, type: MessageType, text: str, stored: str
) -> None:
    await desk.order(f"alex:123:::0,{number},:{PHONE}:{text}")
    assert desk.sent.type is type
    assert desk.sent.entries[0].text == stored


async def test_groups_of_contacts(desk: Desk) -> None:
    await desk.order(f"alex:123::::G15,{PHONE}:Hello")
    assert desk.sent.has_groups
    assert desk.sent.entries[0].recipients == ["G15", PHONE]


async def test_own_texts(desk: Desk) -> None:
    await desk.order(f"alex:123::,:0,0,ivan::{PHONE}:one\r\nvasya|79160000000:two\r\n")
    first, second = desk.sent.entries
    assert (first.recipients, first.text) == ([PHONE], "one")
    assert (second.text, second.sender) == ("two", "vasya")


async def test_attachments_are_files_of_the_types_that_take_them(desk: Desk) -> None:
    message = EmailMessage()
    message["Subject"] = "Holiday"
    message.set_content(f"alex:123:::0,7,:{PHONE}:Hello")
    message.add_attachment(b"p" * 200, maintype="image", subtype="png", filename="one.png")
    message.add_attachment(b"q" * 200, maintype="audio", subtype="wav", filename="two.wav")
    await desk.order(bytes(message))
    options = desk.sent.options
    assert options["subject"] == "Holiday"
    assert [(f.name, f.content_type, f.content[:1]) for f in options["files"]] == [
        ("one.png", "image/png", b"p"),
        ("two.wav", "audio/wav", b"q"),
    ]
    message.replace_header("Subject", "x")
    desk.services.submit.sent.clear()
    message = EmailMessage()
    message.set_content(f"alex:123:::0,0,:{PHONE}:Hello")
    message.add_attachment(b"logo" * 50, maintype="image", subtype="png", filename="one.png")
    await desk.order(bytes(message))
    assert desk.sent.options == {}


async def test_an_email_takes_the_subject_of_the_mail(desk: Desk) -> None:
    await desk.order("Subject: News\r\n\r\nalex:123:::0,8,a@b.cc:d@e.ff:<b>Hi</b>")
    assert desk.sent.type is MessageType.EMAIL
    assert desk.sent.options == {"subject": "News"}
    assert desk.sent.entries[0].text == "<b>Hi</b>"


async def test_a_test_sends_nothing(desk: Desk) -> None:
    desk.services.submit.outcome = Submitted("", 2, 1, 0, [GOOD_LINE, BAD_LINE])
    assert await desk.order(f"alex:123:::0,0,,1:{PHONE},123:Hello") == TAKEN
    assert not desk.services.submit.sent
    assert len(desk.services.submit.priced) == 1
    assert desk.outcome == "only checked: accepted: 2 recipients, 2 parts, 1 recipients refused"


async def test_refusals_are_written_down(desk: Desk) -> None:
    desk.services.submit.outcome = Refused(Refusal.NO_FUNDS, client_ref="33")
    assert await desk.order(f"alex:123::::{PHONE}:Hello") == TAKEN
    assert desk.outcome == "refused: the balance does not cover the price (id 33)"


@pytest.mark.parametrize(
    "body",
    [
        "alex:123:bad id!:::79161234567:Hello",
        "alex:123:::9:79161234567:Hello",
        "alex:123:::::",
        "alex:123::::79161234567:",
        "alex:123:::::not a list",
        "alex:123::0,99:0,0,:79161234567:Hello",
        "alex:123::::79161234567:" + "x" * 1001,
    ],
)
async def test_bad_parameters_are_written_down(desk: Desk, body: str) -> None:
    assert await desk.order(body) == TAKEN
    assert not desk.services.submit.sent
    assert desk.outcome.startswith("refused: ")
    assert "Hello" not in desk.outcome
    assert PHONE not in desk.outcome


async def test_a_wrong_password_is_no_smtp_error_but_its_owner_knows(desk: Desk) -> None:
    assert await desk.order(f"alex:wrong::::{PHONE}:Hello") == TAKEN
    assert desk.outcome.startswith("wrong login")
    assert desk.services.request_log.untrusted == 1
    assert await desk.order(f"nobody:wrong::::{PHONE}:Hello") == TAKEN
    assert await desk.order(f":K2::::{PHONE}:Hello") == TAKEN
    assert await desk.order("alex:::::7:Hello") == TAKEN
    assert not desk.services.submit.sent
    assert len(desk.services.outcomes) == 2


async def test_an_unknown_format_is_written_down(desk: Desk) -> None:
    assert await desk.order(f"alex:wrong:::0,12:{PHONE}:Hello") == TAKEN
    assert desk.outcome == "refused: format: from 0 to 11"
    assert desk.services.request_log.untrusted == 1
    assert await desk.order(f"nobody:123:::0,x:{PHONE}:Hello") == TAKEN
    assert len(desk.services.outcomes) == 1


@pytest.mark.parametrize("body", ["", "Hello", b"\x00\xff" * 100, "Subject: x\r\n\r\n"])
async def test_mails_without_an_order_are_dropped(desk: Desk, body: str | bytes) -> None:
    assert await desk.order(body) == TAKEN
    assert not desk.services.outcomes


async def test_too_many_at_once_may_come_again(desk: Desk) -> None:
    desk.services.limits.room = 0
    assert (await desk.order(f"alex:123::::{PHONE}:Hello")).startswith("451")
    desk.services.authentication.account = replace(ALEX, has_limits=False)
    assert await desk.order(f"alex:123::::{PHONE}:Hello") == TAKEN


def test_every_refusal_has_a_reply() -> None:
    assert set(REPLIES) == set(Refusal)
    assert {reply[:1] for reply in REPLIES.values()} == {"2", "4"}


# Addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "meaning"),
    [
        ("send@example.com", OrderAddress()),
        ("Send@SEND.example.com.", OrderAddress()),
        ("alex@sms.example.com", Addressee("alex")),
        ('"alex"@sms.example.com', Addressee("alex")),
        ("a.l-e_x@sms.example.com", Addressee("a.l-e_x")),
        ("79161234567@sms.example.com", Addressee("", (PHONE,))),
        ("+79161234567@sms.example.com", Addressee("", (PHONE,))),
        ("alex+79161234567@sms.example.com", Addressee("alex", (PHONE,))),
        (
            "alex+79161234567+79160000000@sms.example.com",
            Addressee("alex", (PHONE, "79160000000")),
        ),
        ("alex+news@sms.example.com", Addressee("alex+news")),
        ("send@sms.example.com", None),
        ("alex@example.com", None),
        ("@sms.example.com", None),
        ("alex@", None),
        ("alex", None),
        ("x" * 1000 + "@sms.example.com", None),
    ],
)
def test_addresses(address: str, meaning: object) -> None:
    assert read_address(address, ("example.com",)) == meaning


# Forwarding -------------------------------------------------------------------------------------


MAIL = (
    "From: Anna <anna@example.com>\r\nSubject: =?utf-8?B?0JrQvtC0?=\r\n"
    "\r\nline one\r\n\r\ntwo  \r\n"
)


async def test_mail_goes_to_the_phones_of_the_account(desk: Desk) -> None:
    desk.configure(mph=f"{PHONE},79160000000")
    assert await desk.forward(MAIL, Addressee("alex")) == TAKEN
    request = desk.sent
    assert request.entries[0].recipients == [PHONE, "79160000000"]
    assert request.entries[0].text == "anna@example.com\nКод\nline one\ntwo"
    assert request.door == "smtp"
    assert desk.outcome == "accepted: id 1234, 1 recipients, 1 parts"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"mfl1": "1"}, "anna@example.com\nline one\ntwo"),
        ({"mfl2": "1"}, "anna@example.com\nКод"),
        ({"mfl3": "1"}, "Код\nline one\ntwo"),
        ({"mfl1": "1", "mfl3": "1"}, "line one\ntwo"),
        ({"mlen": "18"}, "anna@example.com\nК"),
        ({"mlen": "0"}, "anna@example.com\nКод\nline one\ntwo"),
        ({"mh1": "10", "mh2": "11"}, "anna@example.com\nКод\nline one\ntwo"),
        ({"mh1": "22", "mh2": "11"}, "anna@example.com\nКод\nline one\ntwo"),
    ],
)
async def test_rules_of_the_text(desk: Desk, settings: dict[str, str], text: str) -> None:
    desk.configure(mph=PHONE, **settings)
    await desk.forward(MAIL, Addressee("alex"))
    assert desk.sent.entries[0].text == text


async def test_translit(desk: Desk) -> None:
    desk.configure(mph=PHONE, mfl4="1")
    await desk.forward(MAIL, Addressee("alex"))
    assert desk.sent.translit == 1


async def test_html_mail_is_forwarded_as_text(desk: Desk) -> None:
    desk.configure(mph=PHONE, mfl1="1", mfl3="1")
    await desk.forward("Content-Type: text/html\r\n\r\n<p>one</p><p>two</p>", Addressee("alex"))
    assert desk.sent.entries[0].text == "one\ntwo"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "no phones"),
        ({"mph": PHONE, "mfl0": "1"}, "switches it off"),
        ({"mph": PHONE, "mh1": "11", "mh2": "22"}, "outside the hours"),
        ({"mph": PHONE, "mh1": "22", "mh2": "10"}, "outside the hours"),
        ({"mph": PHONE, "mfl1": "1", "mfl2": "1", "mfl3": "1"}, "nothing is left"),
    ],
)
async def test_what_is_not_forwarded(desk: Desk, settings: dict[str, str], reason: str) -> None:
    desk.configure(**settings)
    assert await desk.forward(MAIL, Addressee("alex")) == TAKEN
    assert not desk.services.submit.sent
    assert reason in desk.outcome


async def test_unknown_and_blocked_accounts_get_nothing(desk: Desk) -> None:
    desk.services.directory.accounts["alex"] = replace(
        ALEX, is_blocked=True, settings={"mph": PHONE}
    )
    assert await desk.forward(MAIL, Addressee("alex"), Addressee("nobody")) == TAKEN
    assert not desk.services.submit.sent
    assert not desk.services.outcomes


async def test_who_logged_in_may_name_a_phone(desk: Desk) -> None:
    desk.configure()
    addressee = Addressee("", (PHONE,))
    assert await desk.forward(MAIL, addressee, credentials=("alex", "123")) == TAKEN
    assert desk.sent.entries[0].recipients == [PHONE]
    assert await desk.forward(MAIL, addressee, credentials=("", "K1")) == TAKEN
    assert await desk.forward(MAIL, addressee, credentials=("alex", "wrong")) == TAKEN
    assert await desk.forward(MAIL, addressee) == TAKEN
    assert len(desk.services.submit.sent) == 2


@pytest.mark.parametrize(
    ("settings", "credentials", "sender", "is_sent"),
    [
        ({}, ("alex", "123"), "anna@example.com", False),
        ({"mfl6": "1"}, None, "anna@example.com", False),
        ({"mfl6": "1"}, ("alex", "wrong"), "anna@example.com", False),
        ({"mfl6": "1"}, ("alex", "123"), "anna@example.com", True),
        ({"mfl6": "1", "mfrom": "Anna@example.com"}, None, "anna@EXAMPLE.com", True),
        ({"mfl6": "1", "mfrom": "@example.com"}, None, "anna@example.com", True),
        ({"mfl6": "1", "mfrom": "@example.com"}, None, "anna@evil.example.com", False),
        ({"mfl6": "1", "mfrom": "example.com"}, None, "anna@example.com", False),
        ({"mfl6": "1", "mfrom": "@example.com"}, None, "", False),
    ],
)
async def test_phones_in_the_address(
    desk: Desk,
    settings: dict[str, str],
    credentials: Credentials | None,
    sender: str,
    is_sent: bool,
) -> None:
    desk.configure(mph="79169999999", **settings)
    addressee = Addressee("alex", (PHONE,))
    await desk.forward(MAIL, addressee, credentials=credentials, sender=sender)
    assert [r.entries[0].recipients for r in desk.services.submit.sent] == [[PHONE]] * is_sent


async def test_phones_in_the_body(desk: Desk) -> None:
    desk.configure(mph="79169999999", mfl5="1", mfl1="1", mfl3="1")
    body = f"Subject: x\r\n\r\n+7 (916) 123-45-67; 79160000000:\r\nHello\r\n{PHONE}"
    await desk.forward(body, Addressee("alex"))
    assert not desk.services.submit.sent
    await desk.forward(body, Addressee("alex"), credentials=("alex", "123"))
    assert desk.sent.entries[0].recipients == ["+7 (916) 123-45-67", "79160000000"]
    assert desk.sent.entries[0].text == f"Hello\n{PHONE}"
    desk.services.submit.sent.clear()
    await desk.forward("\r\nHello 79160000000\r\nx", Addressee("alex"))
    assert desk.sent.entries[0].recipients == ["79169999999"]


async def test_one_busy_account_does_not_repeat_the_others(desk: Desk) -> None:
    desk.configure(mph=PHONE)
    outcomes = iter([Refused(Refusal.OVERLOADED), Submitted("1", 1, 0, 0, [GOOD_LINE])])
    desk.services.submit.decide = lambda _: next(outcomes)
    desk.services.directory.accounts["ivan"] = desk.services.directory.accounts["alex"]
    assert await desk.forward(MAIL, Addressee("ivan"), Addressee("alex")) == TAKEN
    desk.services.submit.decide = lambda _: Refused(Refusal.OVERLOADED)
    assert (await desk.forward(MAIL, Addressee("ivan"), Addressee("alex"))).startswith("451")
