"""What can be seen from outside: the log, the metrics, the health.

Logs never carry passwords, keys or texts, and of a phone number only its ends; a processor masks
what slips in. Metrics have no label that grows with clients or numbers, and cost an addition: what
comes in batches is counted in one call.
"""

from __future__ import annotations

import logging
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from heliograph.domain.messages import MessageState
from heliograph.domain.refusals import Refusal

__all__ = ["Check", "Metrics", "Tally", "Timing", "compose_health", "mask", "set_up_logging"]

_SECRET_KEYS = frozenset(
    {
        "apikey",
        "api_key",
        "authorization",
        "cookie",
        "crc32",
        "mes",
        "md5",
        "message_text",
        "password",
        "payload",
        "psw",
        "secret",
        "sha1",
        "text",
        "token",
    }
)
# A phone number: 10 to 15 digits that stand alone. Epoch milliseconds look alike and are masked
# too: a moment is logged as `timestamp`.
_PHONE = re.compile(r"(?<![\d.])\+?(\d{4})\d{2,7}(\d{4})(?![\d.])")
_SECRET_IN_URL = re.compile(
    r"(?i)\b(psw|password|apikey|md5|sha1|crc32|secret|mes|login)=[^&\s\"']*"
)
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
# Ids and counts of ours, which may be as long as a phone number.
_PLAIN_KEYS = frozenset({"level", "timestamp", "event_id", "message_id", "part_id", "outbox_id"})

_FAST_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_RECEIPT_S = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 21_600, 86_400)
_BATCH_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)

Check = Callable[[], str]


def mask(text: str) -> str:
    """The text with phone numbers as ``7999***9999`` and secrets of URLs as ``***``."""
    text = _SECRET_IN_URL.sub(r"\1=***", text)
    text = _USER_IN_URL.sub("***@", text)
    return _PHONE.sub(r"\1***\2", text)


# Every logger of the program's own stands below this one. Libraries speak of themselves, and below
# a warning they say what nobody asked for: the driver of SQLite, every statement with its values.
_OURS = "heliograph"


def set_up_logging(level: str, format: str, stream: TextIO | None = None) -> None:
    """Sends structlog and the standard library's loggers to one stream (standard error).

    `level` and `format` as in the settings `log.level` and `log.format`. Of libraries nothing
    below a warning is written.
    """
    out = sys.stderr if stream is None else stream
    is_json = format == "json" or (format == "auto" and not out.isatty())
    renderer: structlog.typing.Processor
    if is_json:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if is_json:
        # A traceback as text, so that the mask sees it; frames' variables never.
        last.append(structlog.processors.format_exc_info)
    last += [_mask_event, renderer]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=last)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    ours = logging.getLogger(_OURS)
    ours.setLevel(level.upper())
    root.setLevel(max(ours.level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _mask_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key in list(event):
        if key in _PLAIN_KEYS:
            continue
        if key.lower() in _SECRET_KEYS:
            del event[key]
        else:
            event[key] = _mask_value(event[key])
    return event


def _mask_value(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**9 else mask(str(value))
    if isinstance(value, Mapping):
        return {
            key: _mask_value(item)
            for key, item in value.items()
            if str(key).lower() not in _SECRET_KEYS
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask_value(item) for item in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return mask(str(value))


class Timing:
    """A histogram that is cheap to feed: one addition a value, one call for many equal ones."""

    def __init__(
        self, name: str, help: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float, count: int = 1) -> None:
        """`count` values of this size."""
        self._counts[bisect_left(self._bounds, value)] += count
        self._sum += value * count

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """For the registry."""
        total = 0
        buckets = []
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((str(bound), total))
        family = HistogramMetricFamily(self._name, self._help)
        family.add_metric([], buckets, self._sum)
        yield family


class Tally:
    """A counter that is cheap to feed: one addition in a dictionary. What a value means is put
    into words when somebody asks."""

    def __init__(
        self, name: str, help: str, labels: Sequence[str], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help
        self._labels = tuple(labels)
        self._counts: dict[tuple[Any, ...], int] = {} if labels else {(): 0}
        registry.register(self)

    def add(self, count: int, *labels: Any) -> None:
        """`count` more with these labels."""
        counts = self._counts
        counts[labels] = counts.get(labels, 0) + count

    def collect(self) -> Iterable[CounterMetricFamily]:
        """For the registry."""
        family = CounterMetricFamily(self._name, self._help, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric([str(label) for label in labels], count)
        yield family


class Metrics:
    """All metrics, on a registry of their own. Methods are called in the event loop."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, help: str, labels: Sequence[str] = ()) -> Tally:
            return Tally(f"heliograph_{name}", help, labels, registry)

        def timing(name: str, help: str, bounds: Sequence[float]) -> Timing:
            return Timing(f"heliograph_{name}", help, bounds, registry)

        self._accepted = counter("parts_accepted", "Parts accepted and on disk.")
        self._submitted = counter("parts_submitted", "Parts given to connectors.")
        self._refused = counter("requests_refused", "Requests refused.", ["reason"])
        self._finished = counter("messages_finished", "Messages that ended.", ["state", "err"])
        self._unmatched = counter("receipts_unmatched", "Receipts that fitted no part.")
        self._callbacks = counter("callbacks", "Calls to clients' handlers.", ["result"])
        self._session_requests = counter(
            "smpp_requests", "Requests of SMPP clients answered.", ["command", "status"]
        )
        self._session_deliveries = counter(
            "smpp_deliveries", "Receipts and incoming messages given to SMPP clients.", ["result"]
        )
        self._session_refused = counter(
            "smpp_refused", "Connections ended and binds refused by the SMPP door.", ["reason"]
        )
        self._http = counter("http_requests", "API requests answered.", ["script", "error"])
        self._accept_s = timing("accept_seconds", "From a request to its commit.", _FAST_S)
        self._submit_s = timing("submit_response_seconds", "From a submit to its answer.", _FAST_S)
        self._receipt_s = timing("receipt_seconds", "From a submit to its receipt.", _RECEIPT_S)
        self._callback_s = timing("callback_seconds", "Duration of callbacks.", _FAST_S)
        self._http_s = timing("http_request_seconds", "Duration of API requests.", _FAST_S)
        self._batch_rows = timing("journal_batch_rows", "Rows in one commit.", _BATCH_ROWS)
        self._commit_s = timing("journal_commit_seconds", "Duration of commits.", _FAST_S)
        self._queued = Gauge(
            "heliograph_queued",
            "What waits in memory, by queue.",
            ["queue"],
            registry=registry,
        )
        self._binds = Gauge(
            "heliograph_binds",
            "Sessions with upstreams, by connector and state.",
            ["connector", "state"],
            registry=registry,
        )
        self._smpp_binds = Gauge(
            "heliograph_smpp_binds", "Binds of SMPP clients.", ["role"], registry=registry
        )
        self._depths: dict[str, Callable[[], int]] = {}

    # --- the walk of a message ---

    def accepted(self, part_count: int, elapsed_ms: float) -> None:
        """A request was accepted, `elapsed_ms` after it came."""
        self._accepted.add(part_count)
        self._accept_s.observe(elapsed_ms / 1000)

    def refused(self, refusal: Refusal) -> None:
        """A request was refused as a whole."""
        self._refused.add(1, refusal.name.lower())

    def submitted(self, part_count: int) -> None:
        """Parts went to a connector."""
        self._submitted.add(part_count)

    def responded(self, elapsed_ms: float, part_count: int = 1) -> None:
        """Upstreams answered for parts."""
        self._submit_s.observe(elapsed_ms / 1000, part_count)

    def receipt(self, elapsed_ms: float) -> None:
        """A receipt came, `elapsed_ms` after the submit."""
        self._receipt_s.observe(elapsed_ms / 1000)

    def unmatched_receipt(self) -> None:
        """A receipt fitted nothing."""
        self._unmatched.add(1)

    def finished(self, state: MessageState, err: int) -> None:
        """A message has its final state; `err` is an error code of the API's table."""
        self._finished.add(1, state.name.lower(), err)

    # --- the edges ---

    def http_request(self, script: str, error_code: int, seconds: float) -> None:
        """An API request was answered; `script` is a name of the route table."""
        self._http.add(1, script, error_code)
        self._http_s.observe(seconds)

    def callbacks(self, result: str, count: int, elapsed_ms: float = 0.0) -> None:
        """Calls ended: ``done``, ``failed`` or ``given_up``, after `elapsed_ms` in the mean."""
        self._callbacks.add(count, result)
        if elapsed_ms:
            self._callback_s.observe(elapsed_ms / 1000, count)

    def session_requests(self, command: str, status: str, count: int) -> None:
        """Requests of SMPP clients were answered: so many of this kind with this status."""
        self._session_requests.add(count, command, status)

    def session_deliveries(self, result: str, count: int) -> None:
        """Deliveries to SMPP clients were ``delivered``, ``refused`` or ``unanswered``."""
        self._session_deliveries.add(count, result)

    def session_refused(self, reason: str) -> None:
        """The SMPP door ended a connection, or refused a bind."""
        self._session_refused.add(1, reason)

    def commit(self, rows: int, seconds: float) -> None:
        """The journal wrote a batch."""
        self._batch_rows.observe(rows)
        self._commit_s.observe(seconds)

    # --- what is read when somebody asks ---

    def watch_queue(self, queue: str, depth: Callable[[], int]) -> None:
        """Shows `depth()` as the length of this queue."""
        self._depths[queue] = depth

    def set_binds(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Sessions by (connector, state); what is not named any more disappears."""
        self._binds.clear()
        for (connector, state), count in counts.items():
            self._binds.labels(connector, state).set(count)

    def set_smpp_binds(self, counts: Mapping[str, int]) -> None:
        """Binds of SMPP clients by their role: tx, rx, trx."""
        for role, count in counts.items():
            self._smpp_binds.labels(role).set(count)

    def render(self) -> bytes:
        """The text format of Prometheus."""
        for queue, depth in self._depths.items():
            self._queued.labels(queue).set(depth())
        return generate_latest(self.registry)


def compose_health(checks: Mapping[str, Check]) -> dict[str, Any]:
    """What `/health` shows. A check returns an empty text when all is well, otherwise what is
    wrong; one that raises is wrong too."""
    members: dict[str, str] = {}
    is_ok = True
    for name, check in checks.items():
        try:
            trouble = check()
        except Exception as error:
            trouble = type(error).__name__
        members[name] = trouble or "ok"
        is_ok = is_ok and not trouble
    return {"ok": is_ok, "checks": members}
