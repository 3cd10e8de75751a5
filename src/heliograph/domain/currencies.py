"""Currencies: their numbers in the API, and amounts of one told in another.

A rate is what one unit costs in the reference currency of the installation (the rouble), in
micros. Amounts are integers of micros, and rounding never makes money: who receives gets the whole
micros that the given amount covers, who must give gives the micro that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heliograph.domain.money import MICROS

__all__ = ["CURRENCIES", "REFERENCE", "Exchange", "check_currency"]

# Numbers of `curr` (users.php reference, section 4). The rouble has its older code on the wire.
CURRENCIES: dict[int, str] = {1: "RUR", 2: "USD", 3: "EUR", 4: "UAH", 5: "KZT"}
# What others are compared to, unless it is given a rate itself.
REFERENCE = "RUR"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one unit of either currency costs, in micros of the reference currency.

    Amounts may be negative: a debt that changes its currency is rounded to the debtor's loss.
    """

    giver_rate: int = MICROS
    taker_rate: int = MICROS

    @classmethod
    def between(cls, giver: str, taker: str, rates: Mapping[str, int]) -> Exchange:
        """From one currency to another; one to one when a rate is not known (users.php, 8)."""
        if giver == taker or giver not in rates or taker not in rates:
            return cls()
        return cls(rates[giver], rates[taker])

    def taken_for(self, given_micros: int) -> int:
        """What the taker gets for what is given."""
        return given_micros * self.giver_rate // self.taker_rate

    def given_for(self, taken_micros: int) -> int:
        """What must be given so that the taker gets that much."""
        return -(-taken_micros * self.taker_rate // self.giver_rate)

    def is_fair(self, given_micros: int, taken_micros: int) -> bool:
        """True when the two amounts are worth the same but for less than a micro, and nothing was
        made out of nothing."""
        over = given_micros * self.giver_rate - taken_micros * self.taker_rate
        return 0 <= over < max(self.giver_rate, self.taker_rate)


def check_currency(code: str) -> str:
    """A currency code in its form: three capital letters. Raises ValueError."""
    code = code.strip().upper()
    if len(code) != 3 or not code.isalpha() or not code.isascii():
        raise ValueError(f"not a currency code of three letters: {code!r}")
    return code
