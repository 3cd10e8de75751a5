"""SOAP envelopes, 1.1 and 1.2: what is asked, the answer, the fault.

An operation is chosen by the first element of the body; headers and `SOAPAction` are not looked at,
because clients write the same one for everything (soap reference, section 1.1).
"""

from __future__ import annotations

from enum import Enum, unique

from heliograph.protocols.forms.replies import xml_text
from heliograph.protocols.soap.xml import Element, XmlError, parse_xml

__all__ = [
    "SoapError",
    "SoapRequest",
    "SoapVersion",
    "read_envelope",
    "write_answer",
    "write_fault",
]


@unique
class SoapVersion(Enum):
    """A version, by the namespace of its envelope."""

    V11 = "http://schemas.xmlsoap.org/soap/envelope/"
    V12 = "http://www.w3.org/2003/05/soap-envelope"

    @property
    def content_type(self) -> str:
        """The type of its answers."""
        kind = "text/xml" if self is SoapVersion.V11 else "application/soap+xml"
        return f"{kind}; charset=utf-8"


class SoapError(ValueError):
    """The request can not be understood. `version`: that of its envelope, as far as it is known."""

    def __init__(self, text: str, version: SoapVersion = SoapVersion.V11) -> None:
        super().__init__(text)
        self.version = version


class SoapRequest:
    """The element in the body. `fields` are the texts of its children, by local name."""

    __slots__ = ("body", "version")

    def __init__(self, version: SoapVersion, body: Element) -> None:
        self.version = version
        self.body = body

    @property
    def fields(self) -> dict[str, str]:
        """Of a field that is there twice, the first counts; one that is nil is not there."""
        found: dict[str, str] = {}
        for child in self.body.children:
            if child.attributes.get("nil") not in ("true", "1"):
                found.setdefault(child.name, child.text)
        return found


def read_envelope(data: bytes, charset: str = "") -> SoapRequest:
    """What a client asks. Raises SoapError."""
    try:
        root = parse_xml(data, charset)
    except XmlError as error:
        raise SoapError(str(error)) from error
    try:
        version = SoapVersion(root.namespace)
    except ValueError:
        raise SoapError("not a SOAP envelope") from None
    body = next(
        (c for c in root.children if c.name == "Body" and c.namespace == root.namespace), None
    )
    if root.name != "Envelope" or body is None:
        raise SoapError("not a SOAP envelope", version)
    if not body.children:
        raise SoapError("the body is empty", version)
    return SoapRequest(version, body.children[0])


def write_answer(version: SoapVersion, content: str) -> str:
    """The envelope around an answer, which is XML already."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soap:Envelope xmlns:soap="{version.value}"><soap:Body>{content}</soap:Body>'
        "</soap:Envelope>"
    )


def write_fault(version: SoapVersion, text: str, *, is_ours: bool = False) -> str:
    """A fault: the client's, or (`is_ours`) the server's."""
    if version is SoapVersion.V11:
        code = "Server" if is_ours else "Client"
        return write_answer(
            version,
            f"<soap:Fault><faultcode>soap:{code}</faultcode>"
            f"<faultstring>{xml_text(text)}</faultstring></soap:Fault>",
        )
    code = "Receiver" if is_ours else "Sender"
    return write_answer(
        version,
        f"<soap:Fault><soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code><soap:Reason>"
        f'<soap:Text xml:lang="en">{xml_text(text)}</soap:Text></soap:Reason></soap:Fault>',
    )
