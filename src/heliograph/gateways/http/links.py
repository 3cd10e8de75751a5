"""Following a short link, and telling people from the programs that look at links.

Phones, messengers, mail scanners and search engines fetch an address as soon as they see it. A
visit counts as a person's when

- it is a GET: programs that only look ask with HEAD;
- nothing says that it happened ahead of a wish (`Purpose`, `Sec-Purpose`, `X-Moz`, `X-Purpose`);
- where the browser says what it is about to do (`Sec-Fetch-Mode`, `Sec-Fetch-Dest`), it is about to
  show a page;
- its `User-Agent` is that of a browser: it begins with ``Mozilla/`` or ``Opera/`` and holds no word
  of a robot. Preview services and scanners name themselves there.

A scanner that pretends to be a browser in all of this is counted; nothing that a redirect can see
tells it from a person.
"""

from __future__ import annotations

import re

from heliograph.domain.short_links import is_code
from heliograph.gateways.http.addresses import client_address
from heliograph.gateways.http.exchanges import Request
from heliograph.gateways.http.ports import HttpSettings
from heliograph.services.short_links import ShortLinks

__all__ = ["find_location", "is_person"]

# Telegram is not among them: its preview calls itself TelegramBot, and its browser for people
# Telegram-Android. Cubot is a maker of telephones.
_ROBOT = re.compile(
    r"(?<!cu)bot\b|(?<!cu)bot[/;_-]|crawl|spider|slurp|preview|scan|monitor"
    r"|facebookexternalhit|facebookcatalog"
    r"|whatsapp|viber|skypeuripreview|slack|discord|embedly|vkshare|headless|lighthouse"
    r"|python|curl|wget|java/|okhttp|go-http|libwww|httpclient|axios|node-fetch|phantom|validator"
    r"|google-safety|googleother|bingpreview|yandex\.com/bots"
    r"|proofpoint|barracuda|mimecast|safelinks",
    re.IGNORECASE,
)
_AHEAD = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)
_AHEAD_NAMES = ("purpose", "sec-purpose", "x-purpose", "x-moz")


def is_person(method: str, headers: dict[str, str]) -> bool:
    """Whether a visit is a person's. `headers` by their names in small letters."""
    if method != "GET":
        return False
    if any(_AHEAD.search(headers.get(name, "")) for name in _AHEAD_NAMES):
        return False
    if headers.get("sec-fetch-mode", "navigate") != "navigate":
        return False
    if headers.get("sec-fetch-dest", "document") != "document":
        return False
    agent = headers.get("user-agent", "")
    return agent.startswith(("Mozilla/", "Opera/")) and not _ROBOT.search(agent)


async def find_location(
    path: str, request: Request, links: ShortLinks, settings: HttpSettings
) -> str | None:
    """Where a path that may be a short link leads; None when it is none."""
    code = path[1:]
    if not is_code(code) or request.method not in ("GET", "HEAD"):
        return None
    headers: dict[str, str] = {}
    forwarded: list[bytes] = []
    for name, value in request.headers:
        if name == b"x-forwarded-for":
            forwarded.append(value)
        headers[name.decode("latin-1")] = value.decode("latin-1")
    address = client_address(request.peer, forwarded, settings.trusted_proxies)
    return await links.follow(code, address, is_person=is_person(request.method, headers))
