"""What the official libraries (PHP, Python, Perl ...) send, and how they read the answers.

Written anew from the description of their behaviour: every call is `fmt=1`, the reply is split at
commas, `id=0` means none, a long request goes as POST, an empty reply makes them try the next host.
"""

from __future__ import annotations

import urllib.parse
import urllib.request

FLAGS = (
    "",
    "flash=1",
    "push=1",
    "hlr=1",
    "bin=1",
    "bin=2",
    "ping=1",
    "mms=1",
    "mail=1",
    "call=1",
    "viber=1",
    "soc=1",
)
_LONGEST_URL = 2000


class Library:
    """A client with its settings as the libraries have them. `hosts` are tried one by one."""

    def __init__(
        self,
        *hosts: str,
        login: str,
        password: str,
        charset: str = "utf-8",
        is_post: bool = False,
    ) -> None:
        self._hosts = hosts
        self._login = login
        self._password = password
        self._charset = charset
        self._is_post = is_post
        self.replies: list[str] = []

    def send_sms(
        self,
        phones: str,
        message: str,
        *,
        translit: int = 0,
        time: str = "",
        id: int | str = 0,
        format: int = 0,
        sender: str | None = None,
        query: str = "",
        cost: int = 3,
    ) -> list[str]:
        """(id, cnt, cost, balance) or (id, -code)."""
        items = [
            f"cost={cost}",
            f"phones={self._quote(phones)}",
            f"mes={self._quote(message)}",
            f"translit={translit}",
            f"id={id}",
        ]
        if format:
            items.append(FLAGS[format])
        if sender is not None:
            items.append(f"sender={self._quote(sender)}")
        if time:
            items.append(f"time={self._quote(time)}")
        if query:
            items.append(query)
        return self._ask("send", "&".join(items)).split(",")

    def get_sms_cost(self, phones: str, message: str, *, format: int = 0) -> list[str]:
        """(cost, cnt) or (0, -code)."""
        return self.send_sms(phones, message, format=format, cost=1)

    def get_status(self, id: str, phone: str, *, all: int = 0) -> list[list[str]]:
        """One list of fields per message."""
        reply = self._ask("status", f"phone={self._quote(phone)}&id={self._quote(id)}&all={all}")
        if "," in id[1:]:
            is_error = len(reply.split("\n")) == 1 and reply[2:3] == "-"
            if not is_error:
                return [line.split(",") for line in reply.split("\n")]
        return [self._split_status(reply, all)]

    @staticmethod
    def _split_status(reply: str, all: int) -> list[str]:
        """The text keeps its commas: 9 fields for all=1, 12 for all=2, unless it is a query."""
        fields = reply.split(",")
        most, mark = {1: (9, 14), 2: (12, 17)}.get(all, (0, 0))
        if most and len(fields) > most and (len(fields) <= mark or fields[mark] != "HLR"):
            return reply.split(",", most - 1)
        return fields

    def get_balance(self) -> str | None:
        """The balance; None after an error, which is known by its second field."""
        fields = self._ask("balance", "").split(",")
        return None if len(fields) > 1 else fields[0]

    def _quote(self, text: str) -> str:
        return urllib.parse.quote_plus(text, encoding=self._charset)

    def _ask(self, script: str, arguments: str) -> str:
        query = (
            f"login={self._quote(self._login)}&psw={self._quote(self._password)}"
            f"&fmt=1&charset={self._charset}&{arguments}"
        )
        for host in self._hosts:
            address = f"{host}/sys/{script}.php"
            if self._is_post or len(address) + len(query) > _LONGEST_URL:
                request = urllib.request.Request(address, query.encode())
            else:
                request = urllib.request.Request(f"{address}?{query}")
            try:
                with urllib.request.urlopen(request, timeout=30) as reply:
                    text: str = reply.read().decode(self._charset)
            except OSError:
                continue
            if text:
                self.replies.append(text)
                return text
        raise AssertionError("no host answered: the libraries would make up an error here")
