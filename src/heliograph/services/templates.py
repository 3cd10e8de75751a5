"""Templates: the texts that an account keeps, and the texts that it registers at operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from heliograph.config import Config
from heliograph.domain.accounts import Account
from heliograph.domain.refusals import Refusal
from heliograph.domain.templates import TemplateState, compile_template
from heliograph.services.registers import Registers
from heliograph.storage import templates as rows
from heliograph.storage.database import Database
from heliograph.storage.templates import MessageTemplate, OperatorTemplate
from heliograph.storage.turns import Turn, take_turn

__all__ = ["MessageTemplate", "OperatorTemplate", "Templates"]

# Texts of one account. Lists of them have no pages; those of operators are all in memory.
_MAX_TEMPLATES = 5_000
_MAX_OPERATOR_TEMPLATES = 1_000


class Templates:
    """The use cases, always within one account."""

    def __init__(
        self,
        *,
        database: Database,
        registers: Registers,
        config: Config,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._registers = registers
        self._is_moderated = config.moderation.templates
        self._clock = clock

    async def add(self, account: Account, values: Mapping[str, str | int]) -> int | Refusal:
        """A new template; `values` are fields of MessageTemplate. Its id."""
        async with self._database.write() as connection:
            if await rows.count_templates(connection, account.id) >= _MAX_TEMPLATES:
                return Refusal.NOT_SAVED
            return await rows.add_template(connection, account.id, values=values)

    async def change(
        self, account: Account, id: int, values: Mapping[str, str | int]
    ) -> Refusal | None:
        """Sets the given fields of a template."""
        async with self._database.write() as connection:
            is_there = await rows.change_template(connection, account.id, id, values=values)
        return None if is_there else Refusal.NOT_FOUND

    async def delete(self, account: Account, id: int) -> Refusal | None:
        """Deletes a template."""
        async with self._database.write() as connection:
            is_there = await rows.delete_template(connection, account.id, id)
        return None if is_there else Refusal.NOT_FOUND

    async def all(self, account: Account) -> list[MessageTemplate]:
        """The account's templates in the order of their ids."""
        async with self._database.read() as connection:
            return await rows.list_templates(connection, account.id)

    async def find(self, account: Account, id: int) -> MessageTemplate | None:
        """One template of the account."""
        async with self._database.read() as connection:
            return await rows.find_template(connection, account.id, id)

    async def register(
        self, account: Account, sender: str, text: str, *, names: Sequence[str]
    ) -> list[OperatorTemplate] | Refusal:
        """Registers a text at operators (`names` of OPERATOR_KINDS); a text that is registered
        there already keeps its id and state."""
        try:
            compile_template(text)
        except ValueError:
            return Refusal.BAD_PARAMETERS
        state = TemplateState.REVIEWED if self._is_moderated else TemplateState.ACCEPTED
        async with self._database.write() as connection:
            await take_turn(connection, Turn.TEMPLATES, account.id)
            found = await rows.find_operator_templates(
                connection, account.id, sender=sender, text=text
            )
            missing = [name for name in names if name not in {each.name for each in found}]
            count = await rows.count_operator_templates(connection, account.id)
            if count + len(missing) > _MAX_OPERATOR_TEMPLATES:
                return Refusal.NOT_SAVED
            for name in missing:
                await rows.add_operator_template(
                    connection,
                    account.id,
                    sender=sender,
                    name=name,
                    text=text,
                    state=state,
                    now_ms=self._clock(),
                )
            found = await rows.find_operator_templates(
                connection, account.id, sender=sender, text=text
            )
        await self._registers.refresh()
        return [each for each in found if each.name in names]

    async def registered(self, account: Account, sender: str, text: str) -> list[OperatorTemplate]:
        """Where a text is registered, and what the operators said."""
        async with self._database.read() as connection:
            return await rows.find_operator_templates(
                connection, account.id, sender=sender, text=text
            )
