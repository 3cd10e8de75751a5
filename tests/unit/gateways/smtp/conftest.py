"""A door of its own for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.unit.gateways.smtp.fakes import Door, open_door


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with open_door() as opened:
        yield opened
