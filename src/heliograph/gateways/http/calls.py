"""One call of a script: what its handler is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.errors import WITH_ID, error_of
from heliograph.gateways.http.parameters import Parameters
from heliograph.gateways.http.ports import HttpSettings, Services
from heliograph.protocols.forms.replies import Format, write_error

__all__ = ["Call", "Document", "Handler", "Reply", "Tell", "refuse"]


class Document(NamedTuple):
    """A file that is the reply. `name` is what the client's computer will call it."""

    content_type: str
    name: str
    content: bytes


class Reply(NamedTuple):
    """The text of a reply, still without a character set; `error_code` 0 when it is good.

    `document`: sent instead of the text.
    """

    text: str
    error_code: int = 0
    document: Document | None = None


Tell = Callable[[Reply], None]


class Call:
    """A request that has been authenticated. `fields` are the texts of its parameters.

    `tell` takes the reply of a handler that returned None; see Handler.
    """

    __slots__ = ("account", "fields", "fmt", "parameters", "script", "services", "settings", "tell")

    def __init__(
        self,
        script: str,
        parameters: Parameters,
        *,
        fmt: Format,
        account: Account,
        services: Services,
        settings: HttpSettings,
        tell: Tell,
    ) -> None:
        self.script = script
        self.parameters = parameters
        self.fields = parameters.fields
        self.fmt = fmt
        self.account = account
        self.services = services
        self.settings = settings
        self.tell = tell

    def refuse(self, refusal: Refusal, client_ref: str = "") -> Reply:
        """The reply to a refusal, in the script's own numbers."""
        return refuse(self.script, refusal, self.fmt, client_ref=client_ref)


# Returns the work that ends with the reply, or None: then `call.tell` is called with it, once.
Handler = Callable[[Call], Coroutine[Any, Any, Reply] | None]


def refuse(script: str, refusal: Refusal, fmt: Format, *, client_ref: str = "") -> Reply:
    """The reply to a refusal; the id goes with it only where the number allows."""
    number, text = error_of(script, refusal)
    return Reply(write_error(fmt, number, text, client_ref if number in WITH_ID else ""), number)
