"""Getting the peers: Debian's packages, and Jasmin in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "peers"
# Jasmin needs a module that setuptools no longer has.
JASMIN = ("jasmin==0.11.1", "setuptools<81")
INSTALL_S = 900
_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class NotInstalled(Exception):
    """A peer can not be had here; the text says why."""


def find_program(name: str) -> str | None:
    """Its path; programs of the system are often not on the path of a user."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_PLACES))


def need_programs(programs: dict[str, str]) -> dict[str, str]:
    """Paths of programs, given as {program: Debian package}; what is missing is installed.

    Raises NotInstalled.
    """
    missing = {package for name, package in programs.items() if not find_program(name)}
    if missing:
        _install(sorted(missing))
    found = {name: find_program(name) for name in programs}
    absent = sorted(name for name, path in found.items() if path is None)
    if absent:
        raise NotInstalled(f"{', '.join(absent)} was not found, also after installing")
    return {name: path for name, path in found.items() if path}


def _install(packages: list[str]) -> None:
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise NotInstalled(f"needs Debian's packages {', '.join(packages)}; as root: make again")
    print(f"  installing {', '.join(packages)}", file=sys.stderr, flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "--quiet"], environ)
    _run(command, environ)


def need_jasmin() -> Path:
    """The folder of the programs of an environment that has Jasmin. Raises NotInstalled."""
    folder = BUILD / "jasmin"
    programs = folder / "bin"
    if not (programs / "jasmind.py").exists():
        print(f"  installing {JASMIN[0]} into {folder}", file=sys.stderr, flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)], dict(os.environ))
        install = [str(programs / "python"), "-m", "pip", "install", "--quiet"]
        _run([*install, "--disable-pip-version-check", *JASMIN], dict(os.environ))
    return programs


def _run(command: list[str], environ: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environ, timeout=INSTALL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{command[0]}: {error}") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotInstalled(f"{' '.join(command[:3])}: {' '.join(last)}")
