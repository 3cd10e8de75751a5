"""Submit: a request becomes messages on disk with their money reserved, or a refusal.

The one way in for every door. A request is planned (pure), written by one journal entry together
with its reserve, handed to dispatch in the moment of the commit, and only then answered.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial

import structlog

from heliograph.config import Config
from heliograph.domain.messages import (
    Message,
    MessageState,
    MessageType,
    Part,
    Submission,
)
from heliograph.domain.planning import Draft, Plan, Rules, plan_request
from heliograph.domain.refusals import RECIPIENT_OUTCOMES, Refusal
from heliograph.domain.requests import Refused, SendRequest, Submitted
from heliograph.observability import Metrics
from heliograph.services.changes import Bookkeeping, Changes, encode_json
from heliograph.services.day_counts import DayCounts
from heliograph.services.directory import Directory
from heliograph.services.dispatch import Dispatch
from heliograph.services.ids import ClientRefs, Ids, IdsExhausted
from heliograph.services.limits import RequestLimits
from heliograph.services.registers import Registers
from heliograph.services.short_links import ShortLinks
from heliograph.storage.day_counts import ADD_DAY_COUNTS, CountKey
from heliograph.storage.journal import BulkRows, Entry, Journal, JournalClosed, StorageDown
from heliograph.storage.statements import (
    HIDE_MESSAGES,
    INSERT_MESSAGES,
    INSERT_PARTS,
    INSERT_SUBMISSIONS,
)

__all__ = ["Submit", "message_row", "part_row", "submission_row"]

# A request with more recipients than this goes to the low priority lanes.
_BULK_RECIPIENTS = 20
_HOUR_MS = 3_600_000

Done = Callable[[Submitted | Refused], None]
# Rows that belong to a submission with this id and plan.
RowsOf = Callable[[int, Plan], BulkRows]

_log = structlog.get_logger(__name__)


def submission_row(s: Submission) -> list[object]:
    """A row of INSERT_SUBMISSIONS; the journal fills in the transfer."""
    options = encode_json(s.options) if s.options else None
    return [
        s.id,
        s.account_id,
        s.payer_id,
        s.client_ref,
        int(s.type),
        s.sender,
        s.text,
        s.comment,
        s.door,
        s.flags,
        int(s.is_test),
        options,
        0,
        s.created_at,
    ]


def message_row(m: Message, final_at: int) -> tuple[object, ...]:
    """A row of INSERT_MESSAGES."""
    s = m.submission
    return (
        m.id,
        s.id,
        s.account_id,
        s.payer_id,
        m.recipient,
        m.mccmnc,
        int(m.state),
        m.err,
        m.part_count,
        m.price_micros,
        0,
        m.due_at,
        m.expires_at,
        m.created_at,
        final_at,
        m.own_text,
        m.own_sender,
        _join_route(m.route),
        None,
        int(s.options is not None and "internal" in s.options),
        m.own_flags,
    )


@lru_cache(maxsize=10_000)
def _join_route(route: tuple[int, ...]) -> str:
    return ",".join(map(str, route))


def part_row(part: Part) -> tuple[object, ...]:
    """A row of INSERT_PARTS."""
    return (part.id, int(part.state), part.connector_id, "", 0, 0, 0, part.submitted_at, 0, 0)


class PriceOutdated(Exception):
    """The request was priced in a currency that its payer has no more; it may be repeated."""


class _Acceptance:
    """A request on its way through its journal entry, until `done` is told."""

    __slots__ = (
        "changes",
        "claimed_by",
        "client_ref",
        "code",
        "counted",
        "done",
        "messages",
        "now_ms",
        "part_count",
        "plan",
        "replaces",
        "request",
        "rows",
        "rows_of",
    )

    def __init__(
        self,
        request: SendRequest,
        plan: Plan,
        *,
        now_ms: int,
        done: Done,
        rows: BulkRows | None,
        rows_of: RowsOf | None,
        replaces: Message | None,
    ) -> None:
        self.request = request
        self.plan = plan
        self.now_ms = now_ms
        self.done = done
        self.rows = rows
        self.rows_of = rows_of
        self.replaces = replaces
        self.client_ref = request.client_ref
        self.code = _make_code(plan)
        self.changes = Changes(now_ms)
        self.counted: list[CountKey] = []
        self.messages: list[Message] = []
        self.claimed_by = 0
        self.part_count = 0


class Submit:
    """The use cases `send` and `estimate`."""

    def __init__(
        self,
        *,
        config: Config,
        directory: Directory,
        limits: RequestLimits,
        registers: Registers,
        expand_groups: Callable[[SendRequest], Awaitable[Refusal | None]],
        journal: Journal,
        ids: Ids,
        refs: ClientRefs,
        books: Bookkeeping,
        dispatch: Dispatch,
        day_counts: DayCounts,
        links: ShortLinks,
        written: Callable[[Changes, Entry], None],
        clock: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._directory = directory
        self._limits = limits
        self._registers = registers
        self._expand_groups = expand_groups
        self._journal = journal
        self._ids = ids
        self._refs = refs
        self._books = books
        self._dispatch = dispatch
        self._day_counts = day_counts
        self._links = links
        self._written = written
        self._clock = clock
        self._metrics = metrics
        self._default_valid_ms = round(config.sending.validity_hours * _HOUR_MS)
        self._max_recipients = config.sending.max_recipients

    async def send(self, request: SendRequest) -> Submitted | Refused:
        """Accepts a request. What is returned as Submitted is on disk, with its price reserved."""
        if request.has_groups and (refusal := await self._expand_groups(request)) is not None:
            return self._refuse(refusal)
        future: asyncio.Future[Submitted | Refused] = asyncio.get_running_loop().create_future()
        # A caller that was cancelled meanwhile does not undo what is on disk.
        self.begin(request, lambda end: None if future.done() else future.set_result(end))
        return await future

    def begin(
        self,
        request: SendRequest,
        done: Done,
        *,
        rows: BulkRows | None = None,
        rows_of: RowsOf | None = None,
        replaces: Message | None = None,
    ) -> None:
        """As `send`, without a task: `done` is told the end, now or in the moment of the commit.

        `rows` are written in the same transaction, also when a refused message is stored; `rows_of`
        makes such rows from the plan, and is called anew when a refusal takes its place. Instead of
        `replaces`, a message that waits for its time: that one ends without charge in the same
        transaction; when the request is refused nothing is stored and it stays.
        """
        now_ms = self._clock()
        plan = self._plan(request, now_ms, is_estimate=False)
        if isinstance(plan, Refusal):
            done(self._refuse(plan))
            return
        acceptance = _Acceptance(
            request,
            plan,
            now_ms=now_ms,
            done=done,
            rows=rows,
            rows_of=rows_of,
            replaces=replaces,
        )
        if request.account.policy is not None and plan.refusal is None:
            acceptance.counted = self._count(request, plan)
        if not acceptance.client_ref:
            number = self._refs.try_next(request.account.id)
            if number is None:
                self._refs.when_next(request.account.id, partial(self._go_on, acceptance))
                return
            acceptance.client_ref = str(number)
        self._go_on(acceptance, None)

    def _go_on(self, acceptance: _Acceptance, numbered: int | Exception | None) -> None:
        """Stores what has its number; `numbered` is the one that had to be waited for."""
        if isinstance(numbered, Exception):
            self._fail(acceptance, numbered)
            return
        if numbered is not None:
            acceptance.client_ref = str(numbered)
        try:
            if acceptance.plan.refusal is not None:
                self._store_refused(acceptance, acceptance.plan.refusal)
            else:
                self._store(acceptance)
        except IdsExhausted as error:
            self._fail(acceptance, error)

    def _fail(self, acceptance: _Acceptance, error: Exception) -> None:
        """Nothing of the request is on disk."""
        request = acceptance.request
        self._uncount(acceptance)
        self._limits.forget(request.account.id, _fingerprint(request))
        if isinstance(error, StorageDown | JournalClosed | IdsExhausted | PriceOutdated):
            acceptance.done(self._refuse(Refusal.OVERLOADED, str(error)))
            return
        _log.error("a request was not stored", exc_info=error)
        acceptance.done(self._refuse(Refusal.SYSTEM_ERROR))

    async def estimate(self, request: SendRequest) -> Submitted | Refused:
        """What a request would cost. Stores nothing."""
        if request.has_groups and (refusal := await self._expand_groups(request)) is not None:
            return self._refuse(refusal)
        plan = self._plan(request, self._clock(), is_estimate=True)
        if isinstance(plan, Refusal):
            return self._refuse(plan)
        if request.account.policy is not None:
            self._count(request, plan, is_estimate=True)
        if plan.refusal is not None:
            self._metrics.refused(plan.refusal)
            return Refused(plan.refusal, lines=plan.drafts)
        return Submitted(
            client_ref="",
            part_count=plan.part_count,
            cost_micros=plan.price_micros,
            balance_micros=0,
            lines=plan.drafts,
            is_test=request.account.only_plays(plan.type),
        )

    def _plan(self, request: SendRequest, now_ms: int, *, is_estimate: bool) -> Plan | Refusal:
        account = request.account
        directory = self._directory
        if "tinyurl" in request.options:
            self._links.prepare(request)
        rules = Rules(
            plan=directory.plan_of(account),
            routes=directory.routes,
            numbering=directory.numbering,
            max_recipients=self._max_recipients,
            black_list=self._registers.black_list(account.id),
            senders=self._registers.sender_rules(account),
            templates=self._registers.templates(account.id),
        )
        plan = plan_request(request, rules, now_ms)
        if isinstance(plan, Refusal):
            return plan
        may_repeat = request.campaign_id or not account.has_limits
        if not may_repeat and self._limits.duplicate(
            account.id, _fingerprint(request), is_estimate
        ):
            return Refusal.DUPLICATE
        if not may_repeat and not is_estimate:
            for draft in plan.drafts:
                if draft.refusal is None and self._limits.is_pestered(account.id, draft.recipient):
                    plan.refuse(draft, Refusal.NUMBER_LIMIT)
        return plan

    def _count(
        self, request: SendRequest, plan: Plan, *, is_estimate: bool = False
    ) -> list[CountKey]:
        """Applies the account's daily limits; what was counted."""
        address = str(request.options.get("end_user_address", ""))
        return self._day_counts.take(
            request.account, plan, end_user_address=address, is_estimate=is_estimate
        )

    def _uncount(self, acceptance: _Acceptance) -> None:
        self._day_counts.give_back(acceptance.counted)
        acceptance.counted = []

    def _refuse(self, refusal: Refusal, reason: str = "") -> Refused:
        self._metrics.refused(refusal)
        return Refused(refusal, reason=reason)

    def _store(self, acceptance: _Acceptance) -> None:
        """Puts the accepted request into the journal."""
        request, plan = acceptance.request, acceptance.plan
        self._compose(acceptance)
        entry = acceptance.changes.entry(must_write=False)
        entry.payer_id = request.account.purse_for(plan.type)
        entry.reserve_micros = plan.price_micros
        entry.message_count = len(plan.drafts)
        entry.currency = request.account.currency if plan.price_micros else ""
        entry.done = partial(self._committed, acceptance)
        self._journal.append(entry)

    def _committed(self, acceptance: _Acceptance, entry: Entry) -> None:
        """Runs in the moment of the commit, also when the client has gone away meanwhile."""
        if entry.error is not None or not entry.is_funded:
            if acceptance.claimed_by:
                self._dispatch.unclaim(acceptance.claimed_by, acceptance.part_count)
            if entry.error is not None:
                self._fail(acceptance, entry.error)
                return
            if entry.is_outdated:
                self._fail(acceptance, PriceOutdated("its currency has just been changed"))
                return
            self._uncount(acceptance)
            try:
                self._store_refused(acceptance, Refusal.NO_FUNDS)
            except IdsExhausted as error:
                self._fail(acceptance, error)
            return
        now_ms = self._clock()
        self._metrics.accepted(acceptance.part_count, now_ms - acceptance.now_ms)
        if acceptance.claimed_by:
            self._dispatch.send_claimed(acceptance.messages, acceptance.claimed_by)
        elif acceptance.messages:
            is_bulk = bool(acceptance.request.campaign_id)
            is_bulk |= len(acceptance.messages) > _BULK_RECIPIENTS
            self._dispatch.enqueue(acceptance.messages, is_bulk=is_bulk)
        self._written(acceptance.changes, entry)
        plan = acceptance.plan
        acceptance.done(
            Submitted(
                client_ref=acceptance.client_ref,
                part_count=plan.part_count,
                cost_micros=plan.price_micros,
                balance_micros=entry.balance_micros,
                lines=plan.drafts,
                is_test=acceptance.request.account.only_plays(plan.type),
                code=acceptance.code,
            )
        )

    def _compose(self, acceptance: _Acceptance) -> None:
        """Domain objects and rows of a plan."""
        request, plan, now_ms = acceptance.request, acceptance.plan, acceptance.now_ms
        submission = self._submission(acceptance)
        rows = acceptance.changes.rows
        rows[INSERT_SUBMISSIONS].append(submission_row(submission))
        if acceptance.rows:
            rows.update(acceptance.rows)
        if (old := acceptance.replaces) is not None:
            rows[HIDE_MESSAGES].append((old.id, 1))
            end = (old.id, int(MessageState.DELETED), 0, 0, now_ms, None)
            acceptance.changes.finals.append(end)
            self._books.note_end(acceptance.changes, old, MessageState.DELETED)
        if acceptance.counted:
            rows[ADD_DAY_COUNTS] += [(*key, 1) for key in acceptance.counted]
        policy = request.account.policy
        valid_ms = request.valid_ms or self._default_valid_ms
        if policy is not None and policy.max_valid_ms:
            valid_ms = min(valid_ms, policy.max_valid_ms)
        first_id = self._ids.take(len(plan.drafts))
        single = plan.drafts[0] if len(plan.drafts) == 1 else None
        may_claim = not submission.is_test and not request.campaign_id
        if single is not None and not single.due_at and may_claim:
            acceptance.claimed_by = self._dispatch.claim_now(single.route, single.part_count)
        message_rows, part_rows = rows[INSERT_MESSAGES], rows[INSERT_PARTS]
        links = self._links.batch(request, now_ms) if request.links else None
        for index, draft in enumerate(plan.drafts):
            message = _message(
                first_id + index,
                submission,
                draft,
                due_at=draft.due_at,
                now_ms=now_ms,
                valid_ms=valid_ms,
                is_held=bool(request.campaign_id),
            )
            if links is not None and draft.refusal is None:
                links.personalise(message)
            if draft.refusal is not None or submission.is_test:
                self._end_at_once(acceptance.changes, message, draft)
                self._books.count_message(acceptance.changes, message)
                message_rows.append(message_row(message, now_ms))
                continue
            self._books.count_message(acceptance.changes, message)
            message_rows.append(message_row(message, 0))
            if message.state is MessageState.QUEUED:
                claimed = acceptance.claimed_by
                state = MessageState.SUBMITTING if claimed else MessageState.QUEUED
                connector_id = claimed or draft.route[0]
                for seq in range(1, draft.part_count + 1):
                    part = Part(message, seq, state, connector_id)
                    part.submitted_at = now_ms if claimed else 0
                    message.parts.append(part)
                    part_rows.append(part_row(part))
                acceptance.messages.append(message)
        acceptance.part_count = plan.part_count
        if not part_rows:
            del rows[INSERT_PARTS]
        if links is not None:
            rows.update(links.rows())
        if acceptance.rows_of is not None:
            rows.update(acceptance.rows_of(submission.id, plan))

    def _submission(self, acceptance: _Acceptance) -> Submission:
        request, plan = acceptance.request, acceptance.plan
        account = request.account
        return Submission(
            id=self._ids.take(1),
            account_id=account.id,
            payer_id=account.purse_for(plan.type),
            client_ref=acceptance.client_ref,
            type=plan.type,
            sender=plan.sender,
            text=plan.text,
            comment=plan.comment,
            created_at=acceptance.now_ms,
            door=request.door,
            flags=int(plan.type),
            is_test=account.only_plays(plan.type),
            options=plan.options or None,
        )

    def _end_at_once(self, changes: Changes, message: Message, draft: Draft) -> None:
        """A refused recipient, or a message of an account in test mode (send.php, section 8)."""
        if draft.refusal is not None:
            message.state, message.err = RECIPIENT_OUTCOMES[draft.refusal]
        else:
            message.state, message.err = MessageState.DELIVERED, 200
        self._books.tell_owner(changes, message)

    def _store_refused(self, acceptance: _Acceptance, refusal: Refusal) -> None:
        """Keeps a message that was refused as a whole: its id can be asked for (codes, section
        1)."""
        plan, now_ms = acceptance.plan, acceptance.now_ms
        if acceptance.replaces is not None:
            acceptance.done(self._refuse(refusal))
            return
        submission = self._submission(acceptance)
        changes = Changes(now_ms)
        changes.rows[INSERT_SUBMISSIONS].append(submission_row(submission))
        if acceptance.rows:
            changes.rows.update(acceptance.rows)
        is_told = refusal in acceptance.request.late_refusals
        first_id = self._ids.take(len(plan.drafts))
        for index, draft in enumerate(plan.drafts):
            draft.refusal = draft.refusal or refusal
            draft.part_count = draft.price_micros = 0
            message = _message(
                first_id + index, submission, draft, due_at=0, now_ms=now_ms, valid_ms=0
            )
            message.state, message.err = RECIPIENT_OUTCOMES[draft.refusal]
            if is_told:
                self._books.tell_owner(changes, message)
            self._books.count_message(changes, message)
            changes.rows[INSERT_MESSAGES].append(message_row(message, now_ms))
        if acceptance.rows_of is not None:
            changes.rows.update(acceptance.rows_of(submission.id, plan))
        entry = changes.entry(must_write=False)
        entry.done = partial(self._refusal_committed, acceptance, changes, refusal)
        self._journal.append(entry)

    def _refusal_committed(
        self, acceptance: _Acceptance, changes: Changes, refusal: Refusal, entry: Entry
    ) -> None:
        if entry.error is not None:
            self._fail(acceptance, entry.error)
            return
        self._written(changes, entry)
        self._metrics.refused(refusal)
        lines = acceptance.plan.drafts
        acceptance.done(Refused(refusal, client_ref=acceptance.client_ref, lines=lines))


def _message(
    id: int,
    submission: Submission,
    draft: Draft,
    *,
    due_at: int,
    now_ms: int,
    valid_ms: int,
    is_held: bool = False,
) -> Message:
    later = MessageState.HELD if is_held else MessageState.SCHEDULED
    return Message(
        id=id,
        submission=submission,
        recipient=draft.recipient,
        mccmnc=draft.mccmnc,
        state=later if due_at > now_ms else MessageState.QUEUED,
        part_count=draft.part_count,
        price_micros=draft.price_micros,
        created_at=now_ms,
        expires_at=max(due_at, now_ms) + valid_ms,
        due_at=due_at,
        own_text=draft.own_text,
        own_sender=draft.own_sender,
        own_flags=draft.flags,
        route=draft.route,
    )


def _fingerprint(request: SendRequest) -> int:
    """Same recipients and same text make the same request (send.php, 6.4)."""
    return hash((int(request.type), *[(tuple(e.recipients), e.text) for e in request.entries]))


def _make_code(plan: Plan) -> str:
    """The spoken code: for a call with the text `code` the platform makes one (send.php, 2.7)."""
    if plan.type is not MessageType.CALL or plan.text != "code":
        return ""
    plan.text = f"{secrets.randbelow(10_000):04d}"
    return plan.text
