"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# A busy machine makes an example slow and not wrong; what has to be fast has a test that says so.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Whoever runs the tests in the background of a shell hands down that Ctrl-C is ignored. The
# programs that tests end by it would go on for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
