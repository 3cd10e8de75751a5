"""Commands run in this process on a real data folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from heliograph.cli.main import program

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the account `shop`, made once."""
    folder = tmp_path_factory.mktemp("template")
    command = ["account", "create", "shop", "--password", "S3cret-word", "--balance", "100"]
    done = CliRunner().invoke(program, [*command, "--data", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    """A fresh copy of it."""
    return Path(shutil.copytree(template, tmp_path / "data"))


@pytest.fixture
def run(data: Path) -> Run:
    """Runs a command on the data folder; asserts its exit code (0 unless told)."""

    def invoke(*arguments: str, code: int = 0, **extra: Any) -> Result:
        environ = {"HELIOGRAPH_SERVER__DATA_DIR": str(data)}
        done = CliRunner().invoke(program, [*arguments], env=environ, **extra)
        assert done.exit_code == code, (done.output, done.exception)
        return done

    return invoke


@pytest.fixture
def ask(run: Run) -> Callable[..., Any]:
    """Runs a command with --json and reads its answer."""

    def invoke(*arguments: str, **extra: Any) -> Any:
        at = arguments.index("--") if "--" in arguments else len(arguments)
        return json.loads(run(*arguments[:at], "--json", *arguments[at:], **extra).stdout)

    return invoke
