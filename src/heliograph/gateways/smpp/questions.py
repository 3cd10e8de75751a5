"""data_sm, submit_multi, query_sm, cancel_sm and replace_sm.

The old service left most of them out; here they work as the standard says (SMPP 3.4 sections 4.5,
4.7 to 4.10).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

import structlog

from heliograph.domain.accounts import Account
from heliograph.domain.messages import FINAL_STATES, Message, MessageState, MessageType
from heliograph.domain.numbering import exactly, normalise_recipient
from heliograph.domain.pieces import Piece
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Refused, SendRequest, Submitted
from heliograph.gateways.smpp.deliveries import SMPP_STATE
from heliograph.gateways.smpp.errors import LATE_REFUSALS, SUBMIT_STATUS
from heliograph.gateways.smpp.ports import Services
from heliograph.gateways.smpp.requests import DOOR, Fault, Reader, read_times
from heliograph.protocols.smpp.constants import CommandStatus as S
from heliograph.protocols.smpp.constants import MessageState as SmppState
from heliograph.protocols.smpp.pdu import (
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DistributionList,
    Pdu,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    UnsuccessSme,
    response_to,
)
from heliograph.protocols.smpp.times import format_absolute
from heliograph.services.references import state_of

__all__ = ["Questions"]

_log = structlog.get_logger(__name__)

Answer = Callable[[Pdu], None]
_Question = QuerySm | CancelSm | ReplaceSm

# Messages of one bind that are looked up at the same time; other questions of it wait.
_LOOKED_UP_MAX = 4

# When several messages have one id the least advanced one speaks.
_ORDER = (
    MessageState.SCHEDULED,
    MessageState.HELD,
    MessageState.QUEUED,
    MessageState.SUBMITTING,
    MessageState.UNKNOWN,
    MessageState.SUBMITTED,
)


class Questions:
    """Answers for one bind."""

    def __init__(
        self, services: Services, reader: Reader, *, timezone_minutes: int, is_version_5: bool
    ) -> None:
        self._services = services
        self._reader = reader
        self._quarter_hours = timezone_minutes // 15
        self._is_version_5 = is_version_5
        self._waiting: deque[tuple[_Question, Account, int, Answer]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Nobody waits for answers any more."""
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    def data(self, pdu: DataSm, account: Account, now_ms: int, done: Answer) -> None:
        """A data_sm: a message without times, in message_payload."""
        request = self._reader.read(pdu, account, now_ms)
        ended = partial(_answer_data, done)
        if isinstance(request, Fault):
            done(DataSmResp(0, request.status))
        elif isinstance(request, Piece):
            self._services.pieces.begin(account, request, ended)
        else:
            self._services.submit.begin(request, ended)

    def multi(self, pdu: SubmitMulti, account: Account, now_ms: int, done: Answer) -> None:
        """A submit_multi; distribution lists are not kept here."""
        good: list[str] = []
        bad: list[UnsuccessSme] = []
        for each in pdu.dest_address:
            if isinstance(each, DistributionList):
                bad.append(_unsuccess(SmeAddress(), S.ESME_RINVDLNAME, name=each.dl_name))
            elif normalise_recipient(each.destination_addr) is None:
                bad.append(_unsuccess(each, S.ESME_RINVDSTADR))
            else:
                good.append(each.destination_addr)
        if not good:
            status = bad[0].error_status_code if bad else S.ESME_RINVNUMDESTS.value
            done(SubmitMultiResp(0, status))
            return
        request = self._reader.read_multi(pdu, account, good, now_ms)
        if isinstance(request, Fault):
            done(SubmitMultiResp(0, request.status))
        else:
            self._services.submit.begin(request, partial(_answer_multi, done, tuple(bad)))

    def ask(self, pdu: _Question, account: Account, now_ms: int, done: Answer) -> None:
        """A question about a message: `done` is given the answer when it has been looked up."""
        self._waiting.append((pdu, account, now_ms, done))
        if len(self._tasks) < _LOOKED_UP_MAX:
            task = asyncio.create_task(self._look_up())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look_up(self) -> None:
        """Answers until nothing waits."""
        while self._waiting:
            pdu, account, now_ms, done = self._waiting.popleft()
            try:
                answer = await self._answer(pdu, account, now_ms)
            except ConnectionError:  # the database is away, which is in the log
                answer = response_to(pdu, S.ESME_RSYSERR.value)
            except Exception:
                _log.exception("a question failed unexpectedly")
                answer = response_to(pdu, S.ESME_RSYSERR.value)
            done(answer)

    async def _answer(self, pdu: _Question, account: Account, now_ms: int) -> Pdu:
        match pdu:
            case QuerySm():
                return await self._query(pdu, account)
            case CancelSm():
                return await self._cancel(pdu, account)
            case ReplaceSm():
                return await self._replace(pdu, account, now_ms)

    async def _query(self, pdu: QuerySm, account: Account) -> Pdu:
        found = await self._services.references.find(account, pdu.message_id)
        if found is None:
            return QuerySmResp(0, S.ESME_RQUERYFAIL.value)
        if not found:  # a part that waits for the others
            return QuerySmResp(message_id=pdu.message_id, message_state=SmppState.ENROUTE.value)
        message = min(found, key=_rank)
        state = state_of(message)
        number = SMPP_STATE[state]
        if state is MessageState.SCHEDULED and self._is_version_5:
            number = SmppState.SCHEDULED.value
        final = ""
        if state in FINAL_STATES and message.final_at:
            final = format_absolute(message.final_at, quarter_hours=self._quarter_hours)
        return QuerySmResp(
            message_id=pdu.message_id,
            final_date=final,
            message_state=number,
            error_code=message.err & 0xFF,
        )

    async def _cancel(self, pdu: CancelSm, account: Account) -> Pdu:
        # An empty id would mean "everything from here to there": nothing is found by that.
        is_done = bool(pdu.message_id) and await self._services.references.cancel(
            account, pdu.message_id, pdu.destination_addr
        )
        return CancelSmResp(0, 0 if is_done else S.ESME_RCANCELFAIL.value)

    async def _replace(self, pdu: ReplaceSm, account: Account, now_ms: int) -> Pdu:
        fault = 0

        def change(old: Message) -> SendRequest | None:
            nonlocal fault
            found = self._rewrite(pdu, account, old, now_ms)
            if isinstance(found, Fault):
                fault = found.status
                return None
            return found

        end = await self._services.references.replace(account, pdu.message_id, change)
        if isinstance(end, Submitted):
            return ReplaceSmResp()
        if not fault:
            fault = S.ESME_RREPLACEFAIL.value
            if end.refusal is Refusal.OVERLOADED:
                fault = SUBMIT_STATUS[end.refusal]
        return ReplaceSmResp(0, fault)

    def _rewrite(
        self, pdu: ReplaceSm, account: Account, old: Message, now_ms: int
    ) -> SendRequest | Fault:
        """The new message: what the request does not say stays as it was."""
        if old.submission.type not in (MessageType.SMS, MessageType.FLASH):
            return Fault(S.ESME_RREPLACEFAIL.value)
        text = old.text
        if pdu.short_message or pdu.tlvs:
            read = self._reader.read_replacement(pdu, account, 0 if text.isascii() else 8)
            if isinstance(read, Fault):
                return read
            text = read[0]
        times = read_times(pdu.schedule_delivery_time, pdu.validity_period, now_ms)
        if isinstance(times, Fault):
            return times
        due_at, valid_ms = times
        options = dict(old.submission.options or {})
        wish = pdu.registered_delivery & 3
        if wish and "echo" in options:
            options["receipt"] = wish
        return SendRequest(
            account,
            [Entry([exactly(old.recipient)], text)],
            type=old.submission.type,
            sender=old.sender,
            due_at=due_at if pdu.schedule_delivery_time else old.due_at,
            valid_ms=valid_ms or max(old.expires_at - old.due_at, 1),
            door=DOOR,
            options=options,
        )


def _rank(message: Message) -> int:
    state = state_of(message)
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


def _unsuccess(address: SmeAddress, status: S, *, name: str = "") -> UnsuccessSme:
    return UnsuccessSme(
        dest_addr_ton=address.dest_addr_ton,
        dest_addr_npi=address.dest_addr_npi,
        destination_addr=name or address.destination_addr,
        error_status_code=status.value,
    )


def _status_of(end: Refused) -> int:
    if end.refusal in LATE_REFUSALS and end.client_ref:
        return 0
    return SUBMIT_STATUS[end.refusal] or S.ESME_RSYSERR.value


def _answer_data(done: Answer, end: Submitted | Refused) -> None:
    status = _status_of(end) if isinstance(end, Refused) else 0
    done(DataSmResp(0, status, "" if status else end.client_ref))


def _answer_multi(done: Answer, bad: tuple[UnsuccessSme, ...], end: Submitted | Refused) -> None:
    status = _status_of(end) if isinstance(end, Refused) else 0
    if status:
        done(SubmitMultiResp(0, status))
    else:
        done(SubmitMultiResp(message_id=end.client_ref, unsuccess_sme=bad))
