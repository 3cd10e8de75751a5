"""What holds for every test."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from heliograph.storage import batch

# A busy machine makes an example slow and not wrong; what has to be fast has a test that says so.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Whoever runs the tests in the background of a shell hands down that Ctrl-C is ignored. The
# programs that tests end by it would go on for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Compiled parts of the program take nothing in the place of their own."""
    if not batch.__file__.endswith(".py"):
        for item in items:
            if item.get_closest_marker("interpreted"):
                item.add_marker(pytest.mark.skip(reason="that part of the program is compiled"))
