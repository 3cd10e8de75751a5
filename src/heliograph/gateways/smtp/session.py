"""One SMTP session: aiosmtpd with bounds of ours, and what the mail door says to its commands.

What is different from aiosmtpd, and why:

- orders are one long line, so lines are as long as a mail may be;
- a mail above the limit is thrown away while it comes and not kept, with or without line ends in
  it; a client that does not stop sending is cut off;
- a mail that has come whole is carried out even when the client does not wait for the reply, and
  a client that has closed its own side still gets the replies to what it sent before;
- nothing is logged of what strangers send: commands and bodies hold passwords and people's numbers.

Credentials of AUTH are always accepted, as client programs have settings for a mail relay's login
(smtp reference, section 1); whom they belong to is asked where it matters.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from heliograph.domain.refusals import Refusal
from heliograph.gateways.smtp.addresses import Addressee, OrderAddress, read_address
from heliograph.gateways.smtp.errors import REPLIES, TAKEN, TRY_LATER
from heliograph.gateways.smtp.intake import Credentials, MailIntake
from heliograph.gateways.smtp.ports import MailSettings

__all__ = ["MailHandler", "MailSession"]

_IDENT = "ESMTP Heliograph"
_MAX_COMMAND_BYTES = 2048
# Recipients of one mail: addresses that are forwarded; an order needs one.
_MAX_RECIPIENTS = 50
# How much of a mail above the limit is read before the client is cut off.
_MAX_DRAINED_BYTES = 64 * 1024 * 1024
# Commands of one session. A relay keeps a session for many mails; nobody needs help a hundred
# times.
_CALL_LIMITS = {"MAIL": 1000, "RCPT": 10_000, "DATA": 1000, "RSET": 2000, "NOOP": 100, "*": 20}
_TOO_LARGE = "552 5.3.4 The mail is too large"


class MailHandler:
    """The door's answers. One object serves every session."""

    def __init__(self, intake: MailIntake, settings: MailSettings) -> None:
        self._intake = intake
        self._domains = settings.domains
        self.tasks: set[asyncio.Task[str]] = set()

    async def handle_RCPT(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Takes an address of ours."""
        meaning = read_address(address, self._domains)
        if meaning is None:
            return "550 5.1.1 There is no such address here, and nothing is relayed"
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        if isinstance(meaning, Addressee) and not meaning.login:
            credentials = _credentials_of(session)
            if credentials is None:
                return "530 5.7.0 Log in to send to a phone"
            account = await self._intake.identify(credentials, _address_of(session))
            if isinstance(account, Refusal):
                reply = REPLIES[account]
                return "550 5.7.1 Wrong login or password" if reply == TAKEN else reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Carries the mail out; the reply comes after the commit."""
        meanings = [read_address(each, self._domains) for each in envelope.rcpt_tos]
        data = envelope.content
        assert isinstance(data, bytes)
        address = _address_of(session)
        work: list[Awaitable[str]] = []
        if any(isinstance(meaning, OrderAddress) for meaning in meanings):
            work.append(self._intake.take_order(data, address))
        addressees = [meaning for meaning in meanings if isinstance(meaning, Addressee)]
        if addressees:
            sender = (envelope.mail_from or "").strip("<>")
            work.append(
                self._intake.forward(
                    data,
                    list(dict.fromkeys(addressees)),
                    address=address,
                    credentials=_credentials_of(session),
                    envelope_sender=sender,
                )
            )
        task = asyncio.create_task(_carry_out(work), name="mail")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return await asyncio.shield(task)

    async def handle_VRFY(
        self, server: SMTP, session: Session, envelope: Envelope, address: str
    ) -> str:
        """Says nothing about anybody."""
        return "252 2.5.2 Send some mail, and it will be seen"

    async def handle_exception(self, error: Exception) -> str:
        """The reply to a command that failed; its cause is not for the client."""
        return TRY_LATER


class _Reader(asyncio.StreamReader):
    """A reader whose end ends the session: any other exception is a bad command to aiosmtpd."""

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        """As the original; raises CancelledError at the end of the stream."""
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError:
            raise asyncio.CancelledError from None


class MailSession(SMTP):
    """The protocol object of one connection."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(
        self,
        handler: MailHandler,
        settings: MailSettings,
        *,
        hostname: str,
        tls: ssl.SSLContext | None,
        on_made: Callable[[MailSession, str], str],
        on_lost: Callable[[MailSession], None],
    ) -> None:
        """`on_made` gives the reply that refuses the connection, or ''."""
        self.command_size_limit = _MAX_COMMAND_BYTES
        # aiosmtpd keeps this one per class, and every session would change it for the others.
        self.command_size_limits = defaultdict(lambda: _MAX_COMMAND_BYTES)
        self.line_length_limit = settings.max_mail_bytes + _MAX_COMMAND_BYTES
        super().__init__(
            handler,
            data_size_limit=settings.max_mail_bytes,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident=_IDENT,
            tls_context=tls,
            timeout=settings.idle_s,
            auth_require_tls=False,
            authenticator=_accept,
            command_call_limit=_CALL_LIMITS,
            loop=asyncio.get_running_loop(),
        )
        reader = _Reader(limit=self.line_length_limit, loop=self.loop)
        asyncio.StreamReaderProtocol.__init__(
            self, reader, client_connected_cb=self._cb_client_connected, loop=self.loop
        )
        self._mail_s = settings.mail_s
        self._on_made = on_made
        self._on_lost = on_lost
        self._is_counted = False

    def connection_made(self, transport: Any) -> None:
        """Also called again when TLS begins."""
        if not self._is_counted:
            self._is_counted = True
            peer = transport.get_extra_info("peername")
            if refusal := self._on_made(self, str(peer[0]) if peer else ""):
                transport.write(f"{refusal}\r\n".encode("ascii"))
                transport.close()
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The end of the connection."""
        self._on_lost(self)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The client has sent its last byte; what it sent before is answered."""
        if self.session is not None and self.session.ssl is not None:
            return super().eof_received()  # TLS has no half-open connections
        return asyncio.StreamReaderProtocol.eof_received(self)

    def end(self, reply: str) -> None:
        """Closes the connection, with a last reply."""
        transport: Any = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(f"{reply}\r\n".encode("ascii"))
            transport.close()

    def abort(self) -> None:
        """Closes the connection at once."""
        transport: Any = self.transport
        if transport is not None:
            transport.abort()

    def _timeout_cb(self) -> None:
        self.end("421 4.4.2 Too slow")

    def _getparams(self, params: Any) -> dict[str, str | bool] | None:
        # A server that offers AUTH has to take this parameter (RFC 4954, 5); it means nothing here.
        return super()._getparams([each for each in params if not each.startswith("AUTH=")])

    async def smtp_DATA(self, arg: str | None) -> None:
        """Reads a mail of bounded size."""
        if await self.check_helo_needed():
            return
        assert self.envelope is not None
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        self._reset_timeout(self._mail_s)
        await self.push("354 End the mail with <CRLF>.<CRLF>")
        content = await self._read_mail()
        if content is None:
            self.envelope = self._create_envelope()
            await self.push(_TOO_LARGE)
            return
        self.envelope.content = self.envelope.original_content = content
        reply = await self._call_handler_hook("DATA")
        self.envelope = self._create_envelope()
        self._reset_timeout()
        await self.push(reply)

    async def _read_mail(self) -> bytes | None:
        """The mail without the dots that stand for dots; None when it was too large."""
        limit = self.data_size_limit or 0
        lines: list[bytes] = []
        size = 0
        is_inside_line = False
        while True:
            try:
                # Nothing but CRLF . CRLF ends a mail: other line ends inside it are text, so that
                # nobody can hide a second mail in one that a relay took for a single one.
                line = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                size += len(await self._reader.read(error.consumed))
                is_inside_line = True
                lines.clear()
            else:
                if line == b".\r\n" and not is_inside_line:
                    break
                is_inside_line = False
                size += len(line)
                if size > limit:
                    lines.clear()
                else:
                    lines.append(line[1:] if line.startswith(b".") else line)
            if size > _MAX_DRAINED_BYTES:
                await self.push(_TOO_LARGE)
                self.abort()
                raise asyncio.CancelledError
        return None if size > limit else b"".join(lines)


async def _carry_out(work: list[Awaitable[str]]) -> str:
    """`TAKEN` if anything was taken: it must not come again because the rest was busy."""
    replies = [await each for each in work]
    return TAKEN if TAKEN in replies else replies[0]


def _accept(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    return AuthResult(success=True, auth_data=data)


def _credentials_of(session: Session) -> Credentials | None:
    data: Any = session.auth_data
    if not isinstance(data, LoginPassword):
        return None
    return data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace")


def _address_of(session: Session) -> str:
    peer: Any = session.peer
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
