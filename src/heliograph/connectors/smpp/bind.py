"""One bind: keeps a session with the SMSC alive, counts its slots, keeps its pace.

A bind outlives its connections. When one is lost the next attempt comes after a pause that
doubles and is never more than the set maximum; a connection that carried at least one answer
counts as a success and begins the pauses anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from typing import Protocol

import structlog

from heliograph.connectors.base import BindStatus, Outcome, OutcomeKind
from heliograph.connectors.smpp.link import Delivery, Link, Outcomes
from heliograph.connectors.smpp.settings import SmppSettings
from heliograph.connectors.smpp.statuses import UNKNOWN_STATUS, VERDICTS
from heliograph.domain.messages import Part
from heliograph.domain.pacing import Pacer
from heliograph.domain.retries import Backoff, RetrySchedule
from heliograph.protocols.smpp.constants import describe_status
from heliograph.protocols.smpp.pdu import (
    BindReceiver,
    BindRequest,
    BindTransceiver,
    BindTransmitter,
    Pdu,
    SubmitSm,
)
from heliograph.protocols.smpp.session import SessionConfig

__all__ = ["Bind", "BindOwner"]

_log = structlog.get_logger(__name__)

_REQUESTS: dict[str, type[BindRequest]] = {
    "transceiver": BindTransceiver,
    "transmitter": BindTransmitter,
    "receiver": BindReceiver,
}
_THROTTLE_MAX_MS = 30_000
_RETRY = RetrySchedule()


class BindOwner(Protocol):
    """The connector that a bind belongs to."""

    def key_of(self, message_id: str) -> str:
        """External id of a part that was answered with this message_id."""

    def bind_answered(self, bind: Bind, outcomes: Outcomes, late: Outcomes) -> None:
        """Outcomes; the slots of those that are not late are free again already."""

    def bind_delivered(self, link: Link, deliveries: Sequence[Delivery]) -> None:
        """Receipts and messages of one read."""

    def bind_ready(self, bind: Bind) -> None:
        """Slots have come free, the pause is over, or the bind came up."""


class Bind:
    """`role` is transceiver, transmitter or receiver; `number` tells binds of a connector apart."""

    def __init__(
        self,
        owner: BindOwner,
        settings: SmppSettings,
        *,
        name: str,
        role: str,
        number: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.name = name
        self.role = role
        self._owner = owner
        self._settings = settings
        self._number = number
        self._tls = tls
        self._pacer = Pacer(settings.parts_per_second)
        self._backoff = Backoff(
            first_ms=int(settings.reconnect_first_s * 1_000),
            max_ms=int(settings.reconnect_max_s * 1_000),
        )
        self._free = settings.window
        self._link: Link | None = None
        self._run_task: asyncio.Task[None] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._state = "closed"
        self._since_ms = _now_ms()
        self._last_error = ""
        self._failures = 0
        self._submitted = 0
        self._throttles = 0
        self._held_until_ms = 0.0
        self._drained: asyncio.Event | None = None

    # --- What the connector asks ----------------------------------------------------------------

    def start(self) -> None:
        """Begins to connect."""
        self._run_task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, deadline: float) -> None:
        """Waits for answers until `deadline` (of the loop's clock), unbinds, closes."""
        loop = asyncio.get_running_loop()
        link = self._link
        if link is not None and link.session.is_bound:
            if link.session.outstanding:
                self._drained = asyncio.Event()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await self._drained.wait()
            await link.unbind(max(min(deadline - loop.time(), 2.0), 0.1))
        elif link is not None:
            link.abort("we closed the link")
            await asyncio.wait([link.closed], timeout=1)
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._run_task is not None:
            self._run_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._run_task
        self._enter("closed")

    @property
    def is_up(self) -> bool:
        """Bound, and allowed to submit."""
        return self._link is not None and self._link.session.is_bound and self.role != "receiver"

    @property
    def link(self) -> Link | None:
        """The connection, when it is bound."""
        return self._link if self._link is not None and self._link.session.is_bound else None

    @property
    def in_flight(self) -> int:
        """Slots in use."""
        return self._settings.window - self._free

    def take(self, wanted: int) -> int:
        """Takes up to `wanted` slots; arranges a wake-up when only the pace stands in the way."""
        if self._link is None or not self._link.may_submit or self._free <= 0:
            return 0
        now_ms = _clock_ms()
        most = min(wanted, self._free)
        granted = self._pacer.take(most, now_ms)
        self._free -= granted
        if granted < most:
            self._wake_later(now_ms)
        return granted

    def give_back(self, count: int) -> None:
        """Returns slots that were taken and not used."""
        self._free += count
        self._pacer.give_back(count)

    def release(self, count: int) -> None:
        """Frees slots whose parts were answered without a PDU of their own."""
        self._free += count

    def submit(self, pdus: Sequence[tuple[SubmitSm, Part]]) -> Outcomes:
        """Sends PDUs on slots taken before. Returns outcomes of those that were not sent."""
        link = self._link
        if link is None or not link.session.is_bound:
            gone = Outcome(OutcomeKind.DEFERRED, reason="the link went down", retry_after_ms=1_000)
            return [(part, gone) for _, part in pdus]
        self._submitted += len(pdus)
        return link.submit(pdus)

    def status(self) -> BindStatus:
        """For people and metrics."""
        return BindStatus(
            name=self.name,
            state=self._state,
            since_ms=self._since_ms,
            in_flight=self.in_flight,
            submitted=self._submitted,
            last_error=self._last_error,
            extra={"role": self.role, "throttled": self._throttles},
        )

    # --- What the link tells --------------------------------------------------------------------

    def judge(self, pdu: Pdu, part: Part) -> Outcome:
        """Outcome of an answer by its command_status; slows the bind down when it asks for it."""
        status = pdu.command_status
        verdict = VERDICTS.get(status, UNKNOWN_STATUS)
        if not status:  # a generic_nack of status 0, or an answer of another kind: no acceptance
            verdict = UNKNOWN_STATUS
        retry_after_ms = 0
        if verdict.is_throttle:
            retry_after_ms = self._slow_down()
        elif verdict.kind is OutcomeKind.DEFERRED:
            retry_after_ms = _RETRY.delay_ms(part.attempts + 1, ticket=part.id) or 0
        return Outcome(
            verdict.kind,
            err=verdict.err,
            reason=describe_status(status),
            retry_after_ms=retry_after_ms,
        )

    def key_of(self, message_id: str) -> str:
        """As the connector says."""
        return self._owner.key_of(message_id)

    def link_bound(self, link: Link) -> None:
        """The bind is up."""
        self._enter("bound")
        self._last_error = ""
        _log.info("bound", bind=self.name, version=f"{link.session.interface_version:02x}")
        self._owner.bind_ready(self)

    def link_answered(self, outcomes: Outcomes, late: Outcomes) -> None:
        """Frees the slots, then tells."""
        self._free += len(outcomes)
        self._failures = 0
        if outcomes or late:
            self._owner.bind_answered(self, outcomes, late)
        self._owner.bind_ready(self)
        if self._drained is not None and self._link and not self._link.session.outstanding:
            self._drained.set()

    def link_delivered(self, link: Link, deliveries: Sequence[Delivery]) -> None:
        """Passes on."""
        self._owner.bind_delivered(link, deliveries)

    def link_lost(self, link: Link, outcomes: Outcomes, reason: str) -> None:
        """Gives the parts in flight back as unknown."""
        self._last_error = reason
        if self._link is link:
            self._link = None
        self._free += len(outcomes)
        _log.warning("link lost", bind=self.name, reason=reason, unknown=len(outcomes))
        if outcomes:
            self._owner.bind_answered(self, outcomes, [])
        if self._drained is not None:
            self._drained.set()

    # --- Inside ---------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._failures += 1
            self._enter("connecting")
            link = await self._connect()
            if link is not None:
                try:
                    # Not `await link.closed`: our own cancelling would cancel the future too.
                    await asyncio.wait([link.closed])
                finally:
                    link.abort("we closed the link")
            self._enter("waiting")
            pause_ms = self._backoff.delay_ms(max(self._failures, 1), ticket=self._number)
            await asyncio.sleep(pause_ms / 1_000)

    async def _connect(self) -> Link | None:
        settings = self._settings
        link = Link(self, self._request(), self._config())
        server_name = (settings.tls_server_name or settings.host) if self._tls else None
        # Set at once: the answer to the bind may come before `create_connection` returns.
        self._link = link
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: link,
                    settings.host,
                    settings.port,
                    ssl=self._tls,
                    server_hostname=server_name,
                )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            link.abort("no connection in time")
            self._link = None
            self._last_error = str(error) or "no connection in time"
            _log.warning("no connection", bind=self.name, reason=self._last_error)
            return None
        except asyncio.CancelledError:
            link.abort("we closed the link")
            raise
        return link

    def _request(self) -> BindRequest:
        settings = self._settings
        return _REQUESTS[self.role](
            system_id=settings.system_id,
            password=settings.password,
            system_type=settings.system_type,
            interface_version=settings.version_octet,
            address_range=settings.address_range,
        )

    def _config(self) -> SessionConfig:
        settings = self._settings
        return SessionConfig(
            interface_version=settings.version_octet,
            window_max=settings.window,
            session_init_s=settings.connect_timeout_s,
            enquire_link_s=settings.enquire_link_s,
            inactivity_s=None,
            response_s=settings.response_timeout_s,
            late_max=10 * settings.window,
        )

    def _slow_down(self) -> int:
        """Holds the bind back; returns for how many milliseconds. Once per pause, however many
        answers of the window say it."""
        now_ms = _clock_ms()
        if now_ms >= self._held_until_ms:
            first_ms = int(self._settings.throttle_pause_s * 1_000)
            # A throttle right after a pause means the pause was too short.
            is_again = now_ms - self._held_until_ms < 10 * first_ms and self._throttles > 0
            self._throttles = self._throttles + 1 if is_again else 1
            pause_ms = min(first_ms << min(self._throttles - 1, 16), _THROTTLE_MAX_MS)
            self._held_until_ms = now_ms + pause_ms
            self._pacer.hold(self._held_until_ms)
        return max(int(self._held_until_ms - now_ms), 1)

    def _wake_later(self, now_ms: float) -> None:
        if self._wake is None:
            delay_s = max(self._pacer.wait_ms(now_ms), 1.0) / 1_000
            self._wake = asyncio.get_running_loop().call_later(delay_s, self._woken)

    def _woken(self) -> None:
        self._wake = None
        self._owner.bind_ready(self)

    def _enter(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._since_ms = _now_ms()


def _clock_ms() -> float:
    # Not the loop's: asking for the running loop costs a system call in Python 3.11.
    return time.monotonic() * 1_000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
