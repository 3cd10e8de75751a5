"""`oms.php`: Office Mobile Service, by which Outlook and SharePoint send text messages.

Sending goes through the send script like everything else (soap reference, part 2).
"""

from __future__ import annotations

from datetime import UTC, datetime

from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.authentication import authenticate
from heliograph.gateways.http.envelopes import Answer, Asked
from heliograph.gateways.http.parameters import Parameters
from heliograph.gateways.http.ports import AuthenticationPort
from heliograph.gateways.http.soap import AnswerScript
from heliograph.protocols.forms.charsets import UTF_8
from heliograph.protocols.forms.replies import Format
from heliograph.protocols.soap.envelope import SoapError
from heliograph.protocols.soap.oms import (
    OPERATIONS,
    OmsMessage,
    read_message,
    read_user,
    write_oms_wsdl,
    write_response,
    write_result,
    write_service_info,
    write_user_info,
)
from heliograph.protocols.soap.xml import XmlError

__all__ = ["OmsService"]

_SERVICE = "SMS_SENDER"
# Errors of the send script in the words of OMS; all others are `others`.
_CODES = {0: "ok", 2: "invalidUser", 3: "lowBalance", 7: "invalidRecipient"}
_BAD_PARAMETERS = 1


class OmsService:
    """Answers the operations of OMS."""

    name = "oms"

    def __init__(self, answer: AnswerScript, authentication: AuthenticationPort) -> None:
        self._answer = answer
        self._authentication = authentication

    def describe(self, address: str) -> str:
        """The WSDL for the address at which it was asked."""
        return write_oms_wsdl(address)

    async def carry_out(self, asked: Asked) -> Answer:
        """Raises SoapError when there is no such operation."""
        operation = asked.request.body.name
        argument = OPERATIONS.get(operation)
        if argument is None:
            raise SoapError("there is no such operation", asked.request.version)
        document = asked.request.fields.get(argument, "")
        error = 0
        if operation == "GetServiceInfo":
            text = write_service_info(asked.endpoint)
        elif operation == "GetUserInfo":
            text, error = await self._show_user(document, asked.address)
        else:
            error = await self._send(document, asked.address)
            text = write_response(_CODES.get(error, "others"))
        return Answer(write_result(operation, text), error)

    async def _show_user(self, document: str, address: str) -> tuple[str, int]:
        try:
            user = read_user(document)
        except XmlError:
            return write_user_info("others"), _BAD_PARAMETERS
        fields = {"login": user.login, "psw": user.password}
        account = await authenticate(self._authentication, fields, address)
        if isinstance(account, Refusal):
            is_wrong = account is Refusal.NOT_AUTHORISED
            return write_user_info("invalidUser" if is_wrong else "others"), 2 if is_wrong else 4
        phone = user.reply_phone or account.settings.get("phone", "")
        return write_user_info("ok", reply_phone=phone, mail=account.settings.get("email", "")), 0

    async def _send(self, document: str, address: str) -> int:
        """The error of the send script for the first text that was refused; 0: all were taken."""
        try:
            message = read_message(document)
            time = _read_time(message.scheduled)
        except (XmlError, ValueError):
            return _BAD_PARAMETERS
        if message.service not in ("", _SERVICE) or not message.texts:
            return _BAD_PARAMETERS
        for text in message.texts:
            fields = _fields_of(message, text, time)
            parameters = Parameters(fields, fields, charset=UTF_8)
            reply = await self._answer("send", parameters, Format.JSON, address)
            if reply.error_code:
                return reply.error_code
        return 0


def _fields_of(message: OmsMessage, text: str, time: str) -> dict[str, str]:
    return {
        "login": message.user.login,
        "psw": message.user.password,
        "phones": ",".join(message.recipients),
        "mes": text,
        "time": time,
    }


def _read_time(scheduled: str) -> str:
    """The time in the words of the send script. Raises ValueError."""
    if not scheduled:
        return ""
    moment = datetime.fromisoformat(scheduled)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return f"0{max(0, int(moment.timestamp()))}"
