"""The balance of an account, read from where it is kept."""

from __future__ import annotations

from heliograph.domain.accounts import Account
from heliograph.storage import ledger
from heliograph.storage.database import Database

__all__ = ["Balances"]


class Balances:
    """Money as clients may see it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def balance(self, account: Account) -> tuple[int, int]:
        """(balance, credit) in micros, of the account that pays for this one."""
        async with self._database.read() as connection:
            return await ledger.read_balance(connection, account.payer_id)
