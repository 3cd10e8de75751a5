"""`balance.php`: how much money an account has."""

from __future__ import annotations

from heliograph.domain.money import format_micros
from heliograph.domain.refusals import Refusal
from heliograph.gateways.http.calls import Call, Reply
from heliograph.protocols.forms.replies import Format, Value, write_json, write_xml
from heliograph.protocols.forms.urlencoded import is_true

__all__ = ["balance"]


async def balance(call: Call) -> Reply:
    """The balance, and with `cur=1` its currency (balance.php reference)."""
    if not call.parameters.is_whole:
        return call.refuse(Refusal.BAD_PARAMETERS)
    refusal = call.services.limits.count(call.account, "balance", "")
    if refusal is not None:
        return call.refuse(refusal)
    balance_micros, credit_micros = await call.services.balances.balance(call.account)
    record: dict[str, Value] = {"balance": format_micros(balance_micros)}
    has_currency = is_true(call.fields.get("cur", ""))
    if call.fmt in (Format.TEXT, Format.NUMBERS):
        # Libraries take a second field for the currency, or for an error: credit is not shown here.
        text = format_micros(balance_micros)
        return Reply(f"{text},{call.account.currency}" if has_currency else text)
    if credit_micros:
        record["credit"] = format_micros(credit_micros)
    if has_currency:
        record["currency"] = call.account.currency
    if call.fmt == Format.JSON:
        return Reply(write_json(record))
    if len(record) == 1:
        return Reply(write_xml("balance", record["balance"]))
    return Reply(write_xml("result", record))
