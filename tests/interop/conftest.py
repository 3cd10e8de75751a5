"""What the interop tests share: the npm packages they run against, installed once a checkout; and
a gateway that foreign programs take for the service they were written for.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.harness.gateway import Gateway

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


class Disguised:
    """A gateway with a certificate for the service's own name, and how programs come to it."""

    def __init__(self, gateway: Gateway, authority: Path) -> None:
        self.gateway = gateway
        self._authority = str(authority)

    def run_python(self, program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a Python program that believes to talk to the service."""
        command = [sys.executable, _HERE / "lead_here.py", self._ports(), program, *arguments]
        return self._run(command, REQUESTS_CA_BUNDLE=self._authority)

    def run_node(self, program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a Node.js program that believes to talk to the service."""
        command = [_BIN / "node", "--require", _HERE / "lead_here.cjs", program, *arguments]
        return self._run(command, NODE_EXTRA_CA_CERTS=self._authority, LEAD_HERE=self._ports())

    def _ports(self) -> str:
        return json.dumps({"80": self.gateway.http, "443": self.gateway.https})

    def _run(self, command: list[object], **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(each) for each in command],
            cwd=_HERE,
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="session")
def disguised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disguised]:
    """The running gateway, without limits, with the account `alex`."""
    folder = tmp_path_factory.mktemp("disguised")
    authority = trustme.CA()
    issued = authority.issue_cert("smsc.ru", "www.smsc.ru")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    gateway = Gateway(
        folder / "data",
        *("limits.enforce=false", "limits.duplicates=false", "http.tls_listen=127.0.0.1:0"),
        *(f"http.tls_{name}={folder / 'both.pem'}" for name in ("certificate", "key")),
    )
    gateway.create_account()
    gateway.start()
    yield Disguised(gateway, folder / "authority.pem")
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output.read_text()
