"""WAP-push: a link with a title as a Service Indication (``send.php`` reference, flag ``push``).

The message is a WSP push (WAP-230-WSP section 8.2.4.1) of an SI document (WAP-167) in binary XML
(WAP-192-WBXML), addressed to the push port of the handset.
"""

from __future__ import annotations

from heliograph.protocols.sms.binary import BinaryMessage
from heliograph.protocols.sms.udh import build_ports

__all__ = ["build_wap_push", "parse_wap_push_text"]

_PUSH_PORT = 2948
_SENDER_PORT = 9200

# Transaction 0xDC, PDU type push, one octet of headers: content type application/vnd.wap.sic.
_WSP_HEADER = bytes((0xDC, 0x06, 0x01, 0xAE))
# WBXML 1.2, public identifier SI 1.0, UTF-8, empty string table; <si>, <indication with attributes.
_SI_START = bytes((0x02, 0x05, 0x6A, 0x00, 0x45, 0xC6))
_INLINE = 0x03
_END = 0x01

# Start tokens of the href attribute carry its beginning (SI 1.0 section 9.3.2), longest first.
_HREF_STARTS = (
    ("https://www.", 0x0F),
    ("http://www.", 0x0D),
    ("https://", 0x0E),
    ("http://", 0x0C),
    ("", 0x0B),
)


def parse_wap_push_text(text: str) -> tuple[str, str]:
    """Split ``mes`` into link and title at the first newline; a link alone is its own title."""
    link, _, title = text.strip().partition("\n")
    link, title = link.strip(), title.strip()
    return link, title or link


def build_wap_push(link: str, title: str) -> BinaryMessage:
    """Build the message that shows ``title`` and opens ``link``; NULs in them are dropped."""
    start, token = next(row for row in _HREF_STARTS if link.startswith(row[0]))
    body = b"".join(
        (
            _WSP_HEADER,
            _SI_START,
            bytes((token,)),
            _write_inline(link[len(start) :]),
            bytes((_END,)),
            _write_inline(title),
            bytes((_END, _END)),
        )
    )
    return BinaryMessage(elements=(build_ports(_PUSH_PORT, _SENDER_PORT),), payload=body)


def _write_inline(text: str) -> bytes:
    """Write an inline string: a token, UTF-8, a NUL."""
    octets = text.replace("\0", "").encode("utf-8", "replace")
    return bytes((_INLINE,)) + octets + b"\0"
