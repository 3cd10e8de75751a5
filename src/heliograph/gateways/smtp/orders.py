"""From the order in a mail to a request: the fields become those of the send script.

So everything that is checked there is checked here in the same way.
"""

from __future__ import annotations

from heliograph.domain.accounts import Account
from heliograph.domain.requests import SendRequest
from heliograph.gateways.http.multipart import UploadedFile
from heliograph.gateways.http.parameters import Parameters
from heliograph.gateways.http.send_request import ParameterError, build_request
from heliograph.protocols.email.mime import Mail
from heliograph.protocols.email.order import Order
from heliograph.protocols.forms.charsets import UTF_8

__all__ = ["ParameterError", "request_of"]

# What each number of the field `format` asks the send script for (smtp reference, section 2).
_FLAGS = {
    0: {},
    1: {"flash": "1"},
    2: {"push": "1"},
    3: {"hlr": "1"},
    4: {"bin": "1"},
    5: {"bin": "2"},
    6: {"ping": "1"},
    7: {"mms": "1"},
    8: {"mail": "1"},
    9: {"call": "1"},
    10: {"viber": "1"},
    11: {"soc": "1"},
}
_MMS, _EMAIL = 7, 8
# The types that take the mail's attachments.
_WITH_FILES = frozenset({7, 8, 9, 10})


def request_of(account: Account, order: Order, mail: Mail) -> SendRequest:
    """The request that the order describes. Raises ParameterError."""
    fields = {
        "id": order.client_ref,
        "time": order.time,
        "tz": order.tz,
        "translit": order.translit,
        "phones": order.phones,
        "mes": order.text,
        "list": order.entries,
        **_FLAGS[order.format],
    }
    if order.sender:  # left out it means the account's own name here, not that there is none
        fields["sender"] = order.sender
    if order.format in (_MMS, _EMAIL) and mail.subject:
        fields["subj"] = mail.subject  # an order has no field for it
    files = [UploadedFile(f.name, f.content_type, f.content) for f in mail.files]
    parameters = Parameters(
        fields, fields, charset=UTF_8, files=files if order.format in _WITH_FILES else []
    )
    request = build_request(account, parameters)
    request.door = "smtp"
    return request
