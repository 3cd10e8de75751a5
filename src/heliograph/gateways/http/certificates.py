"""TLS of a listener, with a certificate that can be replaced while the server runs."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Certificate", "TlsFiles"]

_log = logging.getLogger("heliograph.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: the certificate with its chain, and its key (which may be the same file).

    `client_ca`: authorities of clients' certificates, which are then asked for; None: not asked.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Certificate:
    """A server's TLS context; `reload` puts changed files into it.

    Connections that are open keep the certificate they started with. Authorities of clients'
    certificates are added and never taken out again: OpenSSL forgets none, and listeners hold on
    to their context. Raises OSError (of which `ssl.SSLError` is one) when the files cannot be
    loaded at first.
    """

    def __init__(self, files: TlsFiles, *, protocols: Sequence[str] = ("http/1.1",)) -> None:
        """`protocols` are offered to clients that negotiate one (ALPN)."""
        self._files = files
        self._stamp = self._read_stamp()
        self.context = _load(files)
        if protocols:
            self.context.set_alpn_protocols(list(protocols))

    def reload(self) -> bool:
        """Loads the files again if they have changed. False when there is nothing new, or broken.

        A broken pair, or one whose second half is still being written, is tried at the next call.
        """
        try:
            stamp = self._read_stamp()
            if stamp == self._stamp:
                return False
            # The live context would be left with half of a pair if loading failed.
            _load(self._files)
            self.context.load_cert_chain(self._files.certificate, self._files.key)
            if self._files.client_ca is not None:
                self.context.load_verify_locations(self._files.client_ca)
        except OSError as error:
            _log.warning("the new TLS certificate is not usable yet: %s", type(error).__name__)
            return False
        self._stamp = stamp
        _log.info("the TLS certificate was reloaded")
        return True

    def _read_stamp(self) -> tuple[tuple[int, int, int], ...]:
        files = (self._files.certificate, self._files.key, self._files.client_ca)
        stats = [path.stat() for path in files if path is not None]
        return tuple([(each.st_mtime_ns, each.st_size, each.st_ino) for each in stats])


def _load(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
