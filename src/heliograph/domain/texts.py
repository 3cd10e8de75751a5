"""What a client may write into the text of a message besides the text: comments and type words.

Every door hands texts on as they came; these functions take them apart (send.php reference,
"prefixes in the text" and "comments in the text").
"""

from __future__ import annotations

import re

from heliograph.domain.messages import MessageType

__all__ = ["MAX_TEXT_CHARS", "split_comment", "split_pid_dcs", "take_prefix"]

# Characters of one text, without its comment (send.php reference, main parameters).
MAX_TEXT_CHARS = 1000

_PREFIXES = {
    "CALL": MessageType.CALL,
    "VIBER": MessageType.VIBER,
    "SOC": MessageType.SOCIAL,
    "PING": MessageType.PING,
    "HLR": MessageType.HLR,
    "FLASH": MessageType.FLASH,
    "MAIL": MessageType.EMAIL,
    "TG": MessageType.TELEGRAM,
    "WHATSAPP": MessageType.WHATSAPP,
}
_PREFIX = re.compile(r"__([A-Z]{2,8})__(?:\r\n|[ \n])?")
_COMMENT = re.compile(r"\r?\n~~~(?:\r?\n|\Z)")
_PID_DCS = re.compile(r"\r?\n~~~\r?\npid: (\d{1,3}), dcs: (\d{1,3})\s*\Z", re.ASCII)


def split_comment(text: str) -> tuple[str, str]:
    """(what is sent, the sender's own comment): parted by the first line of three tildes.

    The tildes must have a line before them: a message cannot be all comment.
    """
    if "~~~" not in text:
        return text, ""
    found = _COMMENT.search(text)
    if found is None:
        return text, ""
    return text[: found.start()], text[found.end() :]


def take_prefix(text: str) -> tuple[MessageType | None, str]:
    """(type that the first word of the text selects, the rest); (None, the text) without one.

    One space or line break after the word belongs to it.
    """
    if not text.startswith("__"):
        return None, text
    found = _PREFIX.match(text)
    selected = _PREFIXES.get(found[1]) if found else None
    if found is None or selected is None:
        return None, text
    return selected, text[found.end() :]


def split_pid_dcs(text: str) -> tuple[str, tuple[int, int] | None]:
    """A binary text without its ending `~~~`, `pid: <n>, dcs: <n>`, and these two octets.

    None when there is no such ending. Raises ValueError when a number is not an octet.
    """
    found = _PID_DCS.search(text)
    if found is None:
        return text, None
    pid, dcs = int(found[1]), int(found[2])
    if pid > 255 or dcs > 255:
        raise ValueError("pid and dcs are octets, 0 to 255")
    return text[: found.start()], (pid, dcs)
