"""The description of the message service: operations, their fields, and the WSDL made of them.

Document/literal with bare parameters: one element a message, its fields unqualified and all of them
texts (soap reference, sections 1.1 and 1.2). Programs are bound to the names in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from heliograph.protocols.forms.replies import xml_text

__all__ = ["OPERATIONS", "Operation", "write_wsdl"]

_SEND = ("id", "balance", "cost", "cnt", "error")
_COST = ("cost", "cnt", "error")
_STATUS = (
    "status",
    "last_date",
    "last_timestamp",
    "err",
    "error",
    "send_date",
    "send_timestamp",
    "phone",
    "cost",
    "sender_id",
    "status_name",
    "message",
    "operator",
    "region",
    "sms_cnt",
)
_BALANCE = ("balance", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `required` and `optional` are the fields of its request, in their order;
    `members` those of its result. `has_errors`: the result also lists faulty numbers."""

    name: str
    request: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    reply: str
    result: str
    members: tuple[str, ...]
    has_errors: bool = False


_LOGIN = ("login", "psw")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="send_sms",
        request="send",
        required=(*_LOGIN, "phones", "mes"),
        optional=("id", "sender", "time"),
        reply="SendResponse",
        result="sendresult",
        members=_SEND,
    ),
    Operation(
        name="send_sms2",
        request="send2",
        required=(*_LOGIN, "phones", "mes"),
        optional=("id", "sender", "time", "query"),
        reply="Send2Response",
        result="sendresult",
        members=_SEND,
        has_errors=True,
    ),
    Operation(
        name="get_sms_cost",
        request="cost",
        required=(*_LOGIN, "phones", "mes"),
        reply="CostResponse",
        result="costresult",
        members=_COST,
    ),
    Operation(
        name="get_sms_cost2",
        request="cost2",
        required=(*_LOGIN, "phones", "mes", "query"),
        reply="Cost2Response",
        result="costresult",
        members=_COST,
    ),
    Operation(
        name="get_status",
        request="status",
        required=(*_LOGIN, "phone", "id"),
        optional=("all",),
        reply="StatusResponse",
        result="statusresult",
        members=_STATUS,
    ),
    Operation(
        name="get_status2",
        request="status2",
        required=(*_LOGIN, "phone", "id", "all", "query"),
        reply="Status2Response",
        result="statusresult",
        members=_STATUS,
    ),
    Operation(
        name="get_balance",
        request="balance",
        required=_LOGIN,
        reply="BalanceResponse",
        result="balanceresult",
        members=_BALANCE,
    ),
)


def write_wsdl(address: str) -> str:
    """The WSDL of the service at this address, which is its target namespace as well."""
    address = xml_text(address)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"',
            ' xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"',
            ' xmlns:xsd="http://www.w3.org/2001/XMLSchema"',
            f' xmlns:tns="{address}" targetNamespace="{address}" name="Service">',
            "<wsdl:types>",
            f'<xsd:schema targetNamespace="{address}" elementFormDefault="unqualified">',
            *map(_write_types, OPERATIONS),
            _write_record("Error", ["phone", "status"], least=1),
            "</xsd:schema>",
            "</wsdl:types>",
            *map(_write_messages, OPERATIONS),
            '<wsdl:portType name="ServiceSoap">',
            *map(_write_port_operation, OPERATIONS),
            "</wsdl:portType>",
            '<wsdl:binding name="ServiceSoap" type="tns:ServiceSoap">',
            '<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>',
            *[_write_binding_operation(each, address) for each in OPERATIONS],
            "</wsdl:binding>",
            '<wsdl:service name="Service">',
            '<wsdl:port name="ServiceSoap" binding="tns:ServiceSoap">',
            f'<soap:address location="{address}"/>',
            "</wsdl:port>",
            "</wsdl:service>",
            "</wsdl:definitions>",
        ]
    )


def _write_types(operation: Operation) -> str:
    request = [_write_field(name, 1) for name in operation.required]
    request += [_write_field(name, 0) for name in operation.optional]
    errors = (
        '<xsd:element name="errors" type="tns:Error" minOccurs="0" maxOccurs="unbounded"/>'
        if operation.has_errors
        else ""
    )
    result_type = f"{operation.reply}Type"
    return (
        f'<xsd:element name="{operation.request}"><xsd:complexType><xsd:sequence>'
        f"{''.join(request)}</xsd:sequence></xsd:complexType></xsd:element>\n"
        f'<xsd:element name="{operation.reply}"><xsd:complexType><xsd:sequence>'
        f'<xsd:element name="{operation.result}" type="tns:{result_type}"/>'
        "</xsd:sequence></xsd:complexType></xsd:element>\n"
        + _write_record(result_type, operation.members, least=0, tail=errors)
    )


def _write_record(
    name: str, members: list[str] | tuple[str, ...], *, least: int, tail: str = ""
) -> str:
    fields = "".join([_write_field(each, least) for each in members])
    return (
        f'<xsd:complexType name="{name}"><xsd:sequence>{fields}{tail}</xsd:sequence>'
        "</xsd:complexType>"
    )


def _write_field(name: str, least: int) -> str:
    optional = "" if least else ' minOccurs="0"'
    return f'<xsd:element name="{name}" type="xsd:string"{optional}/>'


def _write_messages(operation: Operation) -> str:
    return (
        f'<wsdl:message name="{operation.name}Request">'
        f'<wsdl:part name="parameters" element="tns:{operation.request}"/></wsdl:message>\n'
        f'<wsdl:message name="{operation.name}Response">'
        f'<wsdl:part name="parameters" element="tns:{operation.reply}"/></wsdl:message>'
    )


def _write_port_operation(operation: Operation) -> str:
    name = operation.name
    return (
        f'<wsdl:operation name="{name}"><wsdl:input message="tns:{name}Request"/>'
        f'<wsdl:output message="tns:{name}Response"/></wsdl:operation>'
    )


def _write_binding_operation(operation: Operation, address: str) -> str:
    return (
        f'<wsdl:operation name="{operation.name}">'
        f'<soap:operation soapAction="{address}" style="document"/>'
        '<wsdl:input><soap:body use="literal"/></wsdl:input>'
        '<wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>'
    )
