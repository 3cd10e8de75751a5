"""Office Mobile Service: what Outlook asks a provider of text messages, and what it is told.

Every argument and every result is a text that holds an XML document of its own (soap reference,
part 2; the protocol is Microsoft's).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from heliograph.protocols.forms.replies import xml_text
from heliograph.protocols.soap.xml import Element, XmlError, parse_xml

__all__ = [
    "MAX_TEXTS",
    "NAMESPACE",
    "OPERATIONS",
    "OmsMessage",
    "OmsUser",
    "read_message",
    "read_user",
    "write_oms_wsdl",
    "write_response",
    "write_result",
    "write_service_info",
    "write_user_info",
]

NAMESPACE = "http://schemas.microsoft.com/office/Outlook/2006/OMS"
# Operation -> its argument, '' for none.
OPERATIONS = {
    "GetServiceInfo": "",
    "GetUserInfo": "xmsUser",
    "SendXms": "xmsData",
    "DeliverXms": "xmsData",
}
# A program cuts a long text into so many messages at most, and sends to so many people at once.
MAX_TEXTS = 20
MAX_RECIPIENTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class OmsUser:
    """Who asks. `reply_phone` is the program's own setting."""

    login: str
    password: str = field(repr=False)
    reply_phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OmsMessage:
    """What is to be sent: every text to every recipient. `scheduled`: ISO 8601, or ''."""

    user: OmsUser
    service: str
    recipients: tuple[str, ...]
    texts: tuple[str, ...]
    scheduled: str = ""


def read_user(document: str) -> OmsUser:
    """The document `xmsUser`. Raises XmlError."""
    return _read_user(parse_xml(document))


def read_message(document: str) -> OmsMessage:
    """The document `xmsData`. Raises XmlError, also when there is too much in it."""
    root = parse_xml(document)
    user, head, body = root.find("user"), root.find("xmsHead"), root.find("xmsBody")
    if user is None or head is None or body is None:
        raise XmlError("xmsData has no user, xmsHead or xmsBody")
    to = head.find("to")
    recipients = [each.text.strip() for each in to.children] if to is not None else []
    texts = [
        each.text
        for each in body.children
        if each.name == "content" and each.attributes.get("contentType", "text/").startswith("text")
    ]
    if len(texts) > MAX_TEXTS:
        raise XmlError("too many texts")
    return OmsMessage(
        user=_read_user(user),
        service=head.text_of("requiredService").strip(),
        recipients=tuple([each for each in recipients if each]),
        texts=tuple(texts),
        scheduled=head.text_of("scheduled").strip(),
    )


def write_result(operation: str, document: str) -> str:
    """The element that answers an operation with a document."""
    return (
        f'<{operation}Response xmlns="{NAMESPACE}"><{operation}Result>{xml_text(document)}'
        f"</{operation}Result></{operation}Response>"
    )


def write_response(code: str) -> str:
    """The document `xmsResponse`."""
    return f'<xmsResponse xmlns="{NAMESPACE}">{_write_error(code)}</xmsResponse>'


def write_user_info(code: str, *, reply_phone: str = "", mail: str = "") -> str:
    """The document `userInfo`."""
    shown = ""
    if code == "ok":
        shown = (
            f"<replyPhone>{xml_text(reply_phone)}</replyPhone>"
            f"<smtpAddress>{xml_text(mail)}</smtpAddress>"
        )
    return f'<userInfo xmlns="{NAMESPACE}">{shown}{_write_error(code)}</userInfo>'


def write_service_info(address: str) -> str:
    """The document `serviceInfo` of the service at this address."""
    address = xml_text(address)
    return (
        f'<serviceInfo xmlns="{NAMESPACE}"><serviceProvider>Heliograph</serviceProvider>'
        f"<serviceUri>{address}</serviceUri><signUpPage>{address}</signUpPage>"
        "<targetLocale>1049</targetLocale><localName>Heliograph</localName>"
        "<englishName>Heliograph</englishName><authenticationType>other</authenticationType>"
        f'<supportedService><SMS_SENDER maxRecipientsPerMessage="{MAX_RECIPIENTS}" '
        f'maxMessagesPerSend="{MAX_TEXTS}" maxSbcsPerMessage="160" maxDbcsPerMessage="70"/>'
        "</supportedService></serviceInfo>"
    )


def write_oms_wsdl(address: str) -> str:
    """The WSDL of the service at this address."""
    names = list(OPERATIONS)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"',
            ' xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"',
            ' xmlns:xsd="http://www.w3.org/2001/XMLSchema"',
            f' xmlns:tns="{NAMESPACE}" targetNamespace="{NAMESPACE}" name="OMS">',
            "<wsdl:types>",
            f'<xsd:schema targetNamespace="{NAMESPACE}" elementFormDefault="qualified">',
            *map(_write_elements, names),
            "</xsd:schema>",
            "</wsdl:types>",
            *map(_write_messages, names),
            '<wsdl:portType name="OMSSoap">',
            *[
                f'<wsdl:operation name="{name}"><wsdl:input message="tns:{name}SoapIn"/>'
                f'<wsdl:output message="tns:{name}SoapOut"/></wsdl:operation>'
                for name in names
            ],
            "</wsdl:portType>",
            '<wsdl:binding name="OMSSoap" type="tns:OMSSoap">',
            '<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>',
            *[
                f'<wsdl:operation name="{name}"><soap:operation soapAction="{NAMESPACE}/{name}" '
                'style="document"/><wsdl:input><soap:body use="literal"/></wsdl:input>'
                '<wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>'
                for name in names
            ],
            "</wsdl:binding>",
            '<wsdl:service name="OMS"><wsdl:port name="OMSSoap" binding="tns:OMSSoap">',
            f'<soap:address location="{xml_text(address)}"/></wsdl:port></wsdl:service>',
            "</wsdl:definitions>",
        ]
    )


def _write_elements(name: str) -> str:
    argument = OPERATIONS[name]
    field_ = f'<xsd:element name="{argument}" type="xsd:string" minOccurs="0"/>' if argument else ""
    return (
        f'<xsd:element name="{name}"><xsd:complexType><xsd:sequence>{field_}</xsd:sequence>'
        f'</xsd:complexType></xsd:element>\n<xsd:element name="{name}Response"><xsd:complexType>'
        f'<xsd:sequence><xsd:element name="{name}Result" type="xsd:string" minOccurs="0"/>'
        "</xsd:sequence></xsd:complexType></xsd:element>"
    )


def _write_messages(name: str) -> str:
    return (
        f'<wsdl:message name="{name}SoapIn"><wsdl:part name="parameters" element="tns:{name}"/>'
        f'</wsdl:message>\n<wsdl:message name="{name}SoapOut"><wsdl:part name="parameters" '
        f'element="tns:{name}Response"/></wsdl:message>'
    )


def _write_error(code: str) -> str:
    severity = "neutral" if code == "ok" else "failure"
    return f'<error code="{code}" severity="{severity}"/>'


def _read_user(element: Element) -> OmsUser:
    return OmsUser(
        login=element.text_of("userId").strip(),
        password=element.text_of("password"),
        reply_phone=element.text_of("replyPhone").strip(),
    )
