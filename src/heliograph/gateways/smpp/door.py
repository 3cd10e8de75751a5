"""The door as the configuration describes it: its listeners, and the list of binds for people.

The command line is another process: it reads the binds from a file in the data folder that is
written anew every two seconds and goes with the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from heliograph.config import Config, parse_listen
from heliograph.gateways.http.certificates import TlsFiles
from heliograph.gateways.smpp.ports import Observer, Services, SmppSettings
from heliograph.gateways.smpp.server import SmppServer

__all__ = ["BINDS_FILE", "SmppDoor"]

BINDS_FILE = "binds.json"
_PERIOD_S = 2.0

_log = structlog.get_logger(__name__)


class SmppDoor:
    """Opened and closed by the runtime. `ports`: of the first plain and the first TLS listener."""

    def __init__(
        self,
        services: Services,
        config: Config,
        *,
        clock: Callable[[], int],
        observer: Observer,
        announce: Callable[[str], None],
    ) -> None:
        self._config = config
        self._announce = announce
        self._file = config.server.data_dir / BINDS_FILE
        self._writing: asyncio.Task[None] | None = None
        self.ports: dict[str, int | None] = {"smpp": None, "smpps": None}
        self.server = SmppServer(services, _settings(config), clock=clock, observer=observer)

    async def open(self) -> None:
        """Opens every listener. Raises OSError."""
        smpp = self._config.smpp
        ca = Path(smpp.tls_client_ca) if smpp.tls_client_ca else None
        files = TlsFiles(
            certificate=Path(smpp.tls_certificate), key=Path(smpp.tls_key), client_ca=ca
        )
        try:
            for name, text, tls in (("smpp", smpp.listen, None), ("smpps", smpp.tls_listen, files)):
                for listen in filter(None, map(str.strip, text.split(","))):
                    host, port = parse_listen(listen)
                    bound = await self.server.listen(host, port, tls)
                    if self.ports[name] is None:
                        self.ports[name] = bound
                    self._announce(f"listening on {name}://{host}:{bound}")
        except BaseException:
            await self.server.stop(0)
            raise
        if any(self.ports.values()):
            self._writing = asyncio.create_task(self._write_binds(), name="binds file")

    async def stop(self, grace_s: float) -> None:
        """Takes nothing new, unbinds everybody, closes."""
        await self.server.stop(grace_s)
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
            with contextlib.suppress(FileNotFoundError):
                self._file.unlink()

    async def _write_binds(self) -> None:
        while True:
            try:
                text = json.dumps(self.server.describe())
                await asyncio.to_thread(_replace, self._file, text)
            except OSError as error:
                _log.warning("the list of binds was not written", reason=str(error))
            await asyncio.sleep(_PERIOD_S)


def _replace(file: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of it."""
    fresh = file.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(file)


def _settings(config: Config) -> SmppSettings:
    smpp = config.smpp
    return SmppSettings(
        system_id=smpp.system_id,
        timezone_minutes=config.sending.timezone_minutes,
        max_connections=smpp.max_connections,
        max_binds=smpp.max_binds,
        window=smpp.window,
        deliver_window=smpp.deliver_window,
        messages_per_second=smpp.messages_per_second,
        idle_s=smpp.idle_s,
        enquire_link_s=smpp.enquire_link_s,
        bind_s=smpp.bind_s,
        response_s=smpp.response_s,
        max_pdu_bytes=smpp.max_pdu_bytes,
    )
