"""From a request to messages: who gets what, in how many parts, at which price, over which route.

Pure: it reads snapshots (account, tariff, routes, numbering) and answers with drafts or a refusal.
Nothing is stored here and no id is made.

The order of checks is that of the API (send.php reference, 6.3): numbers, then text and sender,
then route; funds are checked by the journal. A request fails only when every recipient fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from heliograph.domain import texts
from heliograph.domain.accounts import Account
from heliograph.domain.blacklists import BlackList
from heliograph.domain.messages import MAX_PARTS, MessageType
from heliograph.domain.numbering import NumberingPlan, bad_recipient, normalise_recipient
from heliograph.domain.policies import judge
from heliograph.domain.refusals import Refusal
from heliograph.domain.requests import Entry, Line, SendRequest, Spread
from heliograph.domain.routing import RouteTable
from heliograph.domain.schedule import parse_time, portion_delay_ms
from heliograph.domain.senders import SenderRules, is_valid_sender, replace_senders
from heliograph.domain.tariffs import TariffPlan
from heliograph.domain.templates import TemplateKind, TemplateSet, template_flag
from heliograph.protocols.sms.binary import count_binary_parts, parse_binary
from heliograph.protocols.sms.errors import SmsCodecError
from heliograph.protocols.sms.segmentation import count_parts, segment
from heliograph.protocols.sms.transliteration import Transliteration, transliterate
from heliograph.protocols.sms.wap_push import build_wap_push, parse_wap_push_text

__all__ = ["Draft", "Plan", "Rules", "plan_request"]

_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,190}\.[^@\s,;<>\".]{2,63}")
_NICKNAME = re.compile(r"@[A-Za-z0-9_]{3,64}|#\d{1,20}")
# More than any address has: what is longer is not even looked at.
_MAX_RECIPIENT_CHARS = 320
_NO_TEXT = frozenset({MessageType.HLR, MessageType.PING})
_FILE_ENOUGH = frozenset({MessageType.CALL, MessageType.VIBER})
_SEGMENTED = frozenset({MessageType.SMS, MessageType.FLASH})


@dataclass(slots=True, kw_only=True)
class Rules:
    """What a plan is made from: snapshots of the configuration and of the account's registers.

    None of `black_list`, `senders`, `templates`: nobody is on it, every valid name may be used,
    nothing is marked.
    """

    plan: TariffPlan | None
    routes: RouteTable
    numbering: NumberingPlan
    max_recipients: int
    black_list: BlackList | None = None
    senders: SenderRules | None = None
    templates: TemplateSet | None = None


@dataclass(slots=True)
class Draft(Line):
    """One recipient, which becomes its line of the answer. `refusal` set: it gets nothing, and
    `part_count` and `price_micros` are 0.

    `own_text`, `own_sender` None: those of the plan. `flags`: bits of `flag` beside the type.
    """

    mccmnc: str = ""
    price_micros: int = 0
    part_count: int = 0
    route: tuple[int, ...] = ()
    due_at: int = 0
    own_text: str | None = None
    own_sender: str | None = None
    flags: int = 0


@dataclass(slots=True)
class Plan:
    """A request that can be stored: common attributes and a draft per recipient."""

    type: MessageType
    sender: str
    text: str
    comment: str
    drafts: list[Draft]
    options: dict[str, Any] = field(default_factory=dict)
    part_count: int = 0
    price_micros: int = 0
    refusal: Refusal | None = None

    def refuse(self, draft: Draft, refusal: Refusal) -> None:
        """Takes a recipient out of the plan, and with the last one refuses the plan."""
        self.part_count -= draft.part_count
        self.price_micros -= draft.price_micros
        draft.refusal = refusal
        draft.part_count = draft.price_micros = 0
        if not self.part_count:
            self.refusal = _speak_for_all(self.drafts)


@dataclass(slots=True)
class _Text:
    """One entry's text, ready to send."""

    type: MessageType
    text: str
    comment: str
    part_count: int


def plan_request(request: SendRequest, rules: Rules, now_ms: int) -> Plan | Refusal:
    """Plan of a request, or the refusal of its parameters or date (no message exists then).

    `plan.refusal` is set when every recipient failed: the refusal of the whole request.
    """
    account = request.account
    if rules.senders is not None:
        request = replace_senders(request, rules.senders, account.default_sender)
    try:
        dues = [
            _due_at(request, account, _first(e.tz_minutes, request.tz_minutes), now_ms)
            for e in request.entries
        ]
    except ValueError:
        return Refusal.BAD_DATE
    plan: Plan | None = None
    seen: set[str | tuple[str, str]] = set()
    is_list = len(request.entries) > 1
    for entry, due_at in zip(request.entries, dues, strict=True):
        ready = _prepare_text(entry.text, request)
        if ready is None:
            return Refusal.BAD_PARAMETERS
        if plan is None:
            sender = _choose_sender(request.sender, account, ready.type)
            plan = Plan(ready.type, sender, ready.text, ready.comment, [], dict(request.options))
        elif ready.type is not plan.type:
            # All messages of a submission are of one kind; one more would be priced as another.
            return Refusal.BAD_PARAMETERS
        _draft_entry(plan, entry, ready, is_list=is_list, due_at=due_at, seen=seen)
    if plan is None or not plan.drafts:
        return Refusal.BAD_PARAMETERS
    if len(plan.drafts) > rules.max_recipients and not request.campaign_id:
        return Refusal.BAD_PARAMETERS
    if request.spread is not None:  # before the allowed hours are looked at
        _spread_out(plan.drafts, request.spread, now_ms)
    if account.policy is not None:
        judge(
            account.policy,
            plan.drafts,
            recipient_count=max(len(plan.drafts), request.list_size),
            zone_minutes=account.timezone_minutes,
            zones_of=partial(_zones_of, rules.numbering),
            now_ms=now_ms,
        )
    _price(plan, request, rules, now_ms)
    if rules.templates is not None:
        _mark_templates(plan, rules.templates)
    return plan


def _spread_out(drafts: list[Draft], spread: Spread, now_ms: int) -> None:
    """When the recipients of a mailing that is sent in portions are due; 0: at once."""
    for index, draft in enumerate(drafts):
        delay = portion_delay_ms(
            spread.first + index,
            spread.total or len(drafts),
            period_ms=spread.period_ms,
            step_ms=spread.step_ms,
        )
        at_ms = (draft.due_at or spread.start_ms or now_ms) + delay
        draft.due_at = at_ms if at_ms > now_ms else 0


def _zones_of(numbering: NumberingPlan, recipient: str) -> tuple[str, ...]:
    origin = numbering.lookup(recipient) if recipient.isdigit() else None
    return () if origin is None else origin.time_zones


def _first(own: int | None, common: int | None) -> int | None:
    return common if own is None else own


def _due_at(request: SendRequest, account: Account, tz: int | None, now_ms: int) -> int:
    if not request.time:
        return request.due_at if request.due_at > now_ms else 0
    return parse_time(request.time, account.timezone_minutes if tz is None else tz, now_ms)


def _choose_sender(sender: str | None, account: Account, type: MessageType) -> str:
    if type is MessageType.HLR:
        return "HLR"  # clients recognise the answer of a query by it (status.php, 1.4)
    return account.default_sender if sender is None else sender


def _prepare_text(raw: str, request: SendRequest) -> _Text | None:
    """The entry's text as it will be sent; None when it can not be."""
    type, text, comment = request.type, raw, ""
    if "~~~" in text:
        text, comment = texts.split_comment(text)
    if type is MessageType.BINARY:
        return _prepare_binary(text, comment)
    if text.startswith("__"):
        prefix, text = texts.take_prefix(text)
        type = type if prefix is None else prefix
    if type in _NO_TEXT:
        return _Text(type, text, comment, 1)
    if not text and not _may_lack_text(type, request.options):
        return None
    if request.translit:
        text = transliterate(text, Transliteration(request.translit))
    if type is MessageType.WAP_PUSH:
        return _prepare_push(text, comment)
    if type not in _SEGMENTED:
        return _Text(type, text, comment, 1)
    part_count = count_parts(text)[1]
    most = min(request.max_parts or MAX_PARTS, MAX_PARTS)
    if part_count > most:
        cut = segment(text, max_parts=most)
        text, part_count = "".join(cut.parts), len(cut.parts)
    return _Text(type, text, comment, part_count)


def _may_lack_text(type: MessageType, options: dict[str, Any]) -> bool:
    if type is MessageType.MMS:
        return "subject" in options or "files" in options
    return type in _FILE_ENOUGH and "files" in options


def _prepare_binary(text: str, comment: str) -> _Text | None:
    try:
        part_count = count_binary_parts(parse_binary(text.encode("ascii", "replace"), is_hex=True))
    except SmsCodecError:
        return None
    return _Text(MessageType.BINARY, text, comment, part_count)


def _prepare_push(text: str, comment: str) -> _Text | None:
    try:
        part_count = count_binary_parts(build_wap_push(*parse_wap_push_text(text)))
    except (SmsCodecError, ValueError):
        return None
    return _Text(MessageType.WAP_PUSH, text, comment, part_count)


def _draft_entry(
    plan: Plan,
    entry: Entry,
    ready: _Text,
    *,
    is_list: bool,
    due_at: int,
    seen: set[str | tuple[str, str]],
) -> None:
    own_text = ready.text if is_list and ready.text != plan.text else None
    own_sender = entry.sender
    for raw in entry.recipients:
        recipient = _normalise(raw, plan.type)
        if recipient is None:
            plan.drafts.append(Draft(bad_recipient(raw), refusal=Refusal.BAD_NUMBER))
            continue
        # Repeated numbers in one request are sent once (send.php, 2.4); in a list, with each text.
        key = (recipient, ready.text) if is_list else recipient
        if key in seen:
            continue
        seen.add(key)
        plan.drafts.append(
            Draft(
                recipient,
                part_count=ready.part_count,
                due_at=due_at,
                own_text=own_text,
                own_sender=own_sender,
            )
        )


def _normalise(raw: str, type: MessageType) -> str | None:
    if len(raw) > _MAX_RECIPIENT_CHARS:
        return None
    if type is MessageType.EMAIL:
        address = raw.strip()
        return address if _EMAIL.fullmatch(address) else None
    if type is MessageType.TELEGRAM and raw[:1] in "@#":
        return raw if _NICKNAME.fullmatch(raw) else None
    return normalise_recipient(raw)


def _price(plan: Plan, request: SendRequest, rules: Rules, now_ms: int) -> None:
    """Fills in networks, prices and routes, and the sums of the plan."""
    account, type = request.account, plan.type
    sender_refusal = _judge_sender(plan.sender, type, rules.senders)
    is_free = account.only_plays(type) or "internal" in request.options
    black_list, is_mass = rules.black_list, max(len(plan.drafts), request.list_size) > 1
    lookup = rules.numbering.lookup
    tariff = rules.plan
    for draft in plan.drafts:
        if draft.refusal is not None:
            continue
        if type is not MessageType.EMAIL and draft.recipient[0] not in "@#":
            origin = lookup(draft.recipient)
            draft.mccmnc = "" if origin is None else origin.mccmnc
        refusal = sender_refusal
        if draft.own_sender is not None:
            refusal = _judge_sender(draft.own_sender, type, rules.senders)
        if black_list is not None and black_list.blocks(draft.recipient, is_mass=is_mass):
            refusal = Refusal.NUMBER_BLOCKED
        if refusal is None:
            draft.route = rules.routes.choose(
                account_id=account.id,
                type=type,
                recipient=draft.recipient,
                mccmnc=draft.mccmnc,
                sender=plan.sender if draft.own_sender is None else draft.own_sender,
                ticket=hash(draft.recipient) ^ now_ms,
            )
            price = None
            if tariff is not None and draft.route:
                price = tariff.price(type, draft.mccmnc, draft.recipient)
            # A message that nobody carries and one that nobody priced are alike to the client.
            refusal = Refusal.NO_ROUTE if price is None else None
        if refusal is not None:
            draft.refusal, draft.part_count = refusal, 0
            continue
        if not is_free:
            assert price is not None
            draft.price_micros = price * draft.part_count
        plan.part_count += draft.part_count
        plan.price_micros += draft.price_micros
    if not plan.part_count:
        plan.refusal = _speak_for_all(plan.drafts)


def _mark_templates(plan: Plan, templates: TemplateSet) -> None:
    """Notes which messages fit an accepted template of their operator (status.php, 1.4)."""
    known: dict[tuple[str, str], dict[str, TemplateKind]] = {}
    for draft in plan.drafts:
        operator = templates.operator_of(plan.type, draft.mccmnc)
        if not operator or draft.refusal is not None:
            continue
        sender = plan.sender if draft.own_sender is None else draft.own_sender
        key = (sender, plan.text if draft.own_text is None else draft.own_text)
        if key not in known:
            known[key] = templates.match(*key)
        kind = known[key].get(operator)
        if kind is not None:
            draft.flags = template_flag(kind)


def _judge_sender(sender: str, type: MessageType, rules: SenderRules | None) -> Refusal | None:
    if not sender or type is MessageType.HLR:
        return None
    is_valid = type is MessageType.EMAIL or is_valid_sender(sender)
    if is_valid and (rules is None or rules.allows(sender)):
        return None
    return Refusal.SENDER_DENIED


_CHECK_ORDER = (Refusal.BAD_NUMBER, Refusal.TEXT_DENIED, Refusal.SENDER_DENIED)


def _speak_for_all(drafts: list[Draft]) -> Refusal:
    """When every recipient failed: the refusal that the order of checks meets first, unless some
    recipients got past that check."""
    refusals = [d.refusal for d in drafts if d.refusal is not None]
    for refusal in _CHECK_ORDER:
        if all(r is refusal for r in refusals):
            return refusal
    return next((r for r in refusals if r is not Refusal.BAD_NUMBER), Refusal.BAD_NUMBER)
