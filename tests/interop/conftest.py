"""What the interop tests share: the npm packages they run against, installed once a checkout."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_BIN = Path(sys.executable).parent


def _install() -> Path:
    """Install what package-lock.json names, unless it is there; return ``node_modules``."""
    modules = _HERE / "node_modules"
    stamp = modules / ".installed-lock"
    wanted = hashlib.sha256((_HERE / "package-lock.json").read_bytes()).hexdigest()
    # Workers of pytest-xdist come here at once; the lock is on a file that is always there.
    with (_HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            command = [_BIN / "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"]
            done = subprocess.run(
                command, cwd=_HERE, capture_output=True, text=True, timeout=100, check=False
            )
            if done.returncode:
                raise RuntimeError(f"npm ci failed:\n{done.stderr}")
            stamp.write_text(wanted)
    return modules


@pytest.fixture(scope="session")
def npm_modules() -> Path:
    """The ``node_modules`` folder with the packages of package.json."""
    return _install()


@pytest.fixture(scope="session")
def node() -> list[str]:
    """The command that starts Node.js."""
    return [os.fspath(_BIN / "node")]
