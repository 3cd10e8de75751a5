"""The running gateway: every object is built once, in here, and handed what it needs.

`foundation` is storage and what stands on it, `engine` what sends and hears, `services` the use
cases, `doors` the ways in, `gateway` starts and stops them in their order, `process` is the
program around it.
"""

from __future__ import annotations

from heliograph.runtime.foundation import now_ms
from heliograph.runtime.gateway import AlreadyRunning, Runtime
from heliograph.runtime.process import serve
from heliograph.runtime.services import Services

__all__ = ["AlreadyRunning", "Runtime", "Services", "now_ms", "serve"]
