"""Addresses that are not the API: a page that says what this is, health, metrics."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from heliograph.gateways.http.addresses import client_address, is_trusted
from heliograph.gateways.http.exchanges import Request
from heliograph.gateways.http.ports import HttpSettings

__all__ = ["PAGES", "Page", "may_see_metrics"]

# (status, content type, body)
Answer = tuple[int, bytes, bytes]
Page = Callable[[HttpSettings], Answer]

_PLAIN = b"text/plain; charset=utf-8"
_ABOUT = """Heliograph: an SMS centre.

Programs send messages here over HTTP:

    /sys/send.php      send, or ask for the price
    /sys/status.php    what became of a message
    /sys/balance.php   how much money is left

The same scripts are at /rest/send/, /rest/status/ and /rest/balance/, where they take JSON too.
"""


def show_about(settings: HttpSettings) -> Answer:
    """What this server is."""
    return 200, _PLAIN, _ABOUT.encode()


def show_health(settings: HttpSettings) -> Answer:
    """Health as JSON: 200, or 503 when its member `ok` is false."""
    health = {"ok": True} if settings.health is None else settings.health()
    status = 200 if health.get("ok", True) else 503
    return status, b"application/json; charset=utf-8", msgspec.json.encode(health)


def show_metrics(settings: HttpSettings) -> Answer:
    """Metrics in the text format of Prometheus; 404 when there are none."""
    if settings.metrics is None:
        return 404, _PLAIN, b"no metrics here"
    return 200, b"text/plain; version=0.0.4; charset=utf-8", settings.metrics()


def may_see_metrics(request: Request, settings: HttpSettings) -> bool:
    """Whether the request comes from where metrics are for. One through a proxy that nobody vouches
    for comes from anywhere."""
    if not settings.metrics_networks:
        return True
    forwarded = [value for name, value in request.headers if name == b"x-forwarded-for"]
    if forwarded and not is_trusted(request.peer, settings.trusted_proxies):
        return False
    address = client_address(request.peer, forwarded, settings.trusted_proxies)
    return is_trusted(address, settings.metrics_networks)


PAGES: dict[str, Page] = {"/": show_about, "/health": show_health, "/metrics": show_metrics}
