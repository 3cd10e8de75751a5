"""Why a message would go where: the same tables that accepting looks at, read from the storage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.cli.output import Failure
from heliograph.connectors.registry import check
from heliograph.connectors.settings import SettingsError
from heliograph.domain.messages import MessageType
from heliograph.domain.money import format_micros
from heliograph.domain.numbering import NumberingPlan, normalise_recipient
from heliograph.domain.routing import Decision, RouteTable
from heliograph.domain.senders import is_valid_sender
from heliograph.services.directory import SANDBOX_KIND
from heliograph.storage import accounts, numbering, routing, tariffs

__all__ = ["Explanation", "explain_route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where one message would go. `order`: connector names; `refusal` '': it would be accepted."""

    number: str
    account: str
    type: MessageType
    sender: str
    country: str
    network: str
    operator: str
    plan: str
    price: str
    order: list[str]
    refusal: str
    decisions: list[Decision] = field(default_factory=list)
    connectors: dict[int, str] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "number": self.number,
            "account": self.account,
            "type": self.type.name.lower(),
            "sender": self.sender,
            "country": self.country,
            "network": self.network,
            "operator": self.operator,
            "plan": self.plan,
            "price_of_a_part": self.price,
            "order": self.order,
            "refusal": self.refusal,
            "rules": [
                {
                    "id": each.route.id,
                    "order": each.route.order,
                    "weight": each.route.weight,
                    "connector": self.connectors.get(each.route.connector_id, "?"),
                    "fits": not each.misfit,
                    "why": each.misfit,
                }
                for each in self.decisions
            ],
        }


async def explain_route(
    connection: AsyncConnection,
    phone: str,
    *,
    login: str | None,
    type: MessageType,
    sender: str | None,
) -> Explanation:
    """Follows a message to `phone` through numbering, routes and tariffs. Raises Failure,
    NoSuchAccount."""
    number = _recipient(phone, type)
    account = await accounts.find_account(connection, login) if login else None
    name = sender if sender is not None else (account.default_sender if account else "")
    plan = NumberingPlan.load_default(
        imported=await numbering.load_prefixes(connection),
        ported=await numbering.load_ported(connection),
    )
    origin = plan.lookup(number)
    mccmnc = origin.mccmnc if origin else ""
    configured = await routing.list_connectors(connection)
    table = RouteTable(
        await routing.list_routes(connection),
        _abilities(configured),
        sandboxes=frozenset(c.id for c in configured if c.kind == SANDBOX_KIND),
    )
    question: dict[str, Any] = {
        "account_id": account.id if account else 0,
        "type": type,
        "recipient": number,
        "mccmnc": mccmnc,
        "sender": name,
    }
    names = {each.id: each.name for each in configured}
    order = table.choose(**question, ticket=0)
    plans = await tariffs.load_plans(connection)
    tariff = plans.get(account.plan_id) if account else None
    price = tariff.price(type, mccmnc, number) if tariff else None
    refusal = ""
    if name and type is not MessageType.EMAIL and not is_valid_sender(name):
        refusal = f"{name!r} can not be a sender name"
    elif not order:
        refusal = "no route carries it"
    elif account is not None and price is None:
        refusal = "the plan has no rate for it" if tariff else "the account has no tariff plan"
    return Explanation(
        number=number,
        account=account.login if account else "",
        type=type,
        sender=name,
        country=origin.country if origin else "",
        network=mccmnc,
        operator=origin.operator if origin else "",
        plan=tariff.name if tariff else "",
        price=""
        if tariff is None or price is None
        else f"{format_micros(price)} {tariff.currency}",
        order=[names.get(each, str(each)) for each in order],
        refusal=refusal,
        decisions=table.explain(**question),
        connectors=names,
    )


def _recipient(phone: str, type: MessageType) -> str:
    if type is MessageType.EMAIL or (type is MessageType.TELEGRAM and phone[:1] in "@#"):
        return phone
    number = normalise_recipient(phone)
    if number is None:
        raise Failure(
            f"{phone!r} can not be a recipient: it has to be 10 to 15 digits with a country's code"
        )
    return number


def _abilities(
    configured: list[routing.ConnectorConfig],
) -> dict[int, frozenset[MessageType]]:
    """What each enabled connector carries; one whose settings are not valid carries nothing."""
    carried: dict[int, frozenset[MessageType]] = {}
    for each in configured:
        if each.is_disabled:
            continue
        try:
            settings: Any = check(each.kind, each.settings)
        except SettingsError:
            continue
        carried[each.id] = settings.types
    return carried
