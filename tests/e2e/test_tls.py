"""HTTPS: the same API, and a certificate that is replaced while the server runs."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from tests.e2e.conftest import UNLIMITED
from tests.harness.gateway import LOGIN, PASSWORD, Gateway, wait_for

PHONE = "79161234567"


class Files:
    """The PEM files of the gateway, issued by an authority of our own."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        self.issue()

    def issue(self) -> None:
        """Writes a new certificate for localhost over the old one."""
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.key)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        self.certificate.write_bytes(chain)

    def context(self) -> ssl.SSLContext:
        """A client that trusts the authority and nobody else."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Files]]:
    """A gateway with HTTPS, and its files."""
    folder = tmp_path_factory.mktemp("tls")
    files = Files(folder)
    gateway = Gateway(
        folder / "data",
        *UNLIMITED,
        "http.tls_listen=127.0.0.1:0",
        f"http.tls_certificate={files.certificate}",
        f"http.tls_key={files.key}",
    )
    gateway.create_account()
    gateway.start()
    yield gateway, files
    assert gateway.stop() == 0


def shown_certificate(gateway: Gateway, context: ssl.SSLContext) -> str:
    """Fingerprint of what the listener shows now."""
    with (
        socket.create_connection(("127.0.0.1", gateway.https), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()


def test_send_over_https(secured: tuple[Gateway, Files]) -> None:
    gateway, files = secured
    query = f"login={LOGIN}&psw={PASSWORD}&phones={PHONE}&mes=hello&fmt=3"
    address = f"https://localhost:{gateway.https}/sys/send.php?{query}"
    with urllib.request.urlopen(address, context=files.context(), timeout=30) as reply:
        sent = json.loads(reply.read())
    gateway.wait_status(sent["id"], PHONE, 1)


def test_certificate_is_replaced_while_running(secured: tuple[Gateway, Files]) -> None:
    gateway, files = secured
    context = files.context()
    before = shown_certificate(gateway, context)
    with (
        socket.create_connection(("127.0.0.1", gateway.https), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as old,
    ):
        # Half of a pair is not taken.
        files.certificate.write_text("not a certificate")
        files.issue()
        wait_for(lambda: shown_certificate(gateway, context) != before)
        # A connection from before goes on.
        old.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert old.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_protocol_versions_are_refused(secured: tuple[Gateway, Files]) -> None:
    gateway, files = secured
    context = files.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown_certificate(gateway, context)


def test_plain_text_on_the_tls_port(secured: tuple[Gateway, Files]) -> None:
    gateway, _ = secured
    with socket.create_connection(("127.0.0.1", gateway.https), timeout=30) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.settimeout(10)
        assert not plain.recv(4096).startswith(b"HTTP/1.1 200")
    assert gateway.get("/health")
