"""What becomes of a mail that has come whole: an order is sent, other mail is forwarded.

The answer is a reply of SMTP; `250` means that what the mail asked for is on disk, or that nothing
can be done with it. The owner of the account reads which of them in its request log.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from heliograph.domain.accounts import Account
from heliograph.domain.mail_forwarding import (
    compose_text,
    is_open_at,
    read_rules,
    take_phones,
)
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest, Submitted
from heliograph.gateways.smtp.addresses import Addressee
from heliograph.gateways.smtp.errors import REPLIES, TAKEN, TRY_LATER
from heliograph.gateways.smtp.orders import ParameterError, request_of
from heliograph.gateways.smtp.ports import MailServices
from heliograph.protocols.email.markup import text_of_html
from heliograph.protocols.email.mime import Mail, MailError, parse_mail
from heliograph.protocols.email.order import Order, OrderError, read_order

__all__ = ["Credentials", "MailIntake"]

# Reading a mail of this size takes a moment that everybody else would wait.
_LARGE_MAIL_BYTES = 16 * 1024

_log = logging.getLogger("heliograph.smtp")

# Login and password of a session; the login '' with an API key as the password.
Credentials = tuple[str, str]


class MailIntake:
    """Takes mails for the mail door."""

    def __init__(self, services: MailServices, *, clock: Callable[[], int]) -> None:
        """`clock()`: epoch milliseconds."""
        self._services = services
        self._clock = clock

    async def identify(self, credentials: Credentials, address: str) -> Account | Refusal:
        """The account of a login and password, or of a key; or why there is none."""
        login, password = credentials
        authentication = self._services.authentication
        if not password:
            return Refusal.NOT_AUTHORISED
        if not login:
            return await authentication.api_key(password, address)
        known = authentication.try_login_cached(login, password, address)
        return await authentication.login(login, password, address) if known is None else known

    async def take_order(self, data: bytes, address: str) -> str:
        """The reply to a mail with an order from this IP address."""
        mail = await self._parse(data)
        if mail is None:
            return TAKEN
        try:
            order = read_order(mail)
        except OrderError as error:
            _log.info("a mail without an order was dropped")
            if error.login and (owner := self._services.directory.account(error.login)) is not None:
                self._note(owner, "order", f"refused: {error}", is_trusted=False)
            return TAKEN
        account = await self.identify((order.login, order.password), address)
        if isinstance(account, Refusal):
            if (owner := self._services.directory.account(order.login)) is not None:
                self._note(owner, "order", account.value, is_trusted=False)
            return REPLIES[account]
        return await self._guard(account, "order", partial(self._carry_out, account, order, mail))

    async def forward(
        self,
        data: bytes,
        addressees: Sequence[Addressee],
        *,
        address: str,
        credentials: Credentials | None,
        envelope_sender: str,
    ) -> str:
        """The reply to a mail that is to become messages. `credentials`: what the session logged in
        with, not yet verified."""
        mail = await self._parse(data)
        if mail is None:
            return TAKEN
        known = None if credentials is None else await self.identify(credentials, address)
        if isinstance(known, Refusal):
            if REPLIES[known] != TAKEN:
                return REPLIES[known]
            known = None
        replies = [
            await self._forward_to(addressee, mail, known, envelope_sender)
            for addressee in addressees
        ]
        # What was taken for one must not come again because another one was busy.
        return TAKEN if TAKEN in replies else replies[0]

    async def _forward_to(
        self, addressee: Addressee, mail: Mail, known: Account | None, envelope_sender: str
    ) -> str:
        account = self._services.directory.account(addressee.login) if addressee.login else known
        if account is None or account.is_blocked:
            _log.info("a mail for nobody was dropped")
            return TAKEN
        is_owner = known is not None and known.id == account.id
        request = self._compose(account, addressee, mail, envelope_sender, is_owner=is_owner)
        if isinstance(request, str):
            self._note(account, "forwarding", request, is_trusted=is_owner)
            return TAKEN
        return await self._guard(account, "forwarding", partial(self._send, request))

    def _compose(
        self,
        account: Account,
        addressee: Addressee,
        mail: Mail,
        envelope_sender: str,
        *,
        is_owner: bool,
    ) -> SendRequest | str:
        """The request that a mail becomes, or why it becomes none."""
        rules = read_rules(account.settings)
        if rules.is_off:
            return "not forwarded: mfl[0] switches it off"
        if not is_open_at(rules, self._clock(), account.timezone_minutes):
            return "not forwarded: outside the hours mh1 to mh2"
        body = text_of_html(mail.text) if mail.is_html else mail.text
        phones = list(addressee.phones)
        is_named = bool(phones)
        if rules.takes_body_phones and not phones:
            phones, body = take_phones(body)
            is_named = bool(phones)
        if is_named:
            if not is_owner and not rules.trusts(envelope_sender):
                return "not forwarded: a mail that names phones has to log in, or be from mfrom"
            if addressee.login and addressee.phones and not rules.takes_address_phones:
                return "not forwarded: phones in the address need mfl[6]"
        phones = phones or list(rules.phones)
        text = compose_text(
            rules, sender=mail.sender or envelope_sender, subject=mail.subject, body=body
        )
        if not phones:
            return "not forwarded: no phones (mph)"
        if not text:
            return "not forwarded: nothing is left to send"
        return SendRequest(
            account, [Entry(phones, text)], translit=int(rules.is_translit), door="smtp"
        )

    async def _carry_out(self, account: Account, order: Order, mail: Mail) -> tuple[str, str]:
        try:
            request = request_of(account, order, mail)
        except ParameterError as error:
            return f"refused: {error}", TAKEN
        if order.is_test:
            outcome = await self._services.submit.estimate(request)
            said, reply = _describe(outcome)
            return f"only checked: {said}", reply
        return await self._send(request)

    async def _send(self, request: SendRequest) -> tuple[str, str]:
        return _describe(await self._services.submit.send(request))

    async def _guard(
        self, account: Account, what: str, work: Callable[[], Awaitable[tuple[str, str]]]
    ) -> str:
        """Runs `work` as one of the account's requests and notes its outcome; the reply."""
        limits = self._services.limits
        if account.has_limits and not limits.enter(account.id):
            return REPLIES[Refusal.TOO_MANY_AT_ONCE]
        try:
            outcome, reply = await work()
        except Exception as error:
            _log_failure(error)
            return TRY_LATER
        finally:
            if account.has_limits:
                limits.leave(account.id)
        self._note(account, what, outcome)
        return reply

    def _note(self, account: Account, what: str, outcome: str, *, is_trusted: bool = True) -> None:
        self._services.request_log.note(
            account.id, door="smtp", what=what, outcome=outcome, is_trusted=is_trusted
        )

    async def _parse(self, data: bytes) -> Mail | None:
        try:
            if len(data) > _LARGE_MAIL_BYTES:
                return await asyncio.to_thread(parse_mail, data)
            return parse_mail(data)
        except MailError:
            _log.info("a mail that can not be read was dropped")
        except Exception as error:  # the parser met what it does not know: the mail is no order
            _log_failure(error)
        return None


def _describe(outcome: Submitted | Refused) -> tuple[str, str]:
    """(what the log says, the reply)."""
    if isinstance(outcome, Refused):
        said = f"refused: {outcome.refusal.value}"
        if outcome.client_ref:
            said = f"{said} (id {outcome.client_ref})"
        return said, REPLIES[outcome.refusal]
    id = f"id {outcome.client_ref}, " if outcome.client_ref else ""
    faulty = sum(line.refusal is not None for line in outcome.lines)
    said = f"accepted: {id}{len(outcome.lines)} recipients, {outcome.part_count} parts"
    return (f"{said}, {faulty} recipients refused" if faulty else said), TAKEN


def _log_failure(error: BaseException) -> None:
    """Type and place of a bug; its message may quote the mail."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("mail failed: %s\n%s", type(error).__name__, frames)
