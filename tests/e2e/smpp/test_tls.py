"""TLS at the SMPP door: certificates of clients, and files replaced while the server runs."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.harness.esme import Esme, eventually, message, receipt_of
from tests.harness.gateway import LOGIN, PASSWORD, Gateway


class Files:
    """The PEM files of the door, and the authorities that issue certificates for it and to it."""

    def __init__(self, folder: Path) -> None:
        self.server_authority = trustme.CA()
        self.client_authority = trustme.CA()
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        self.client_ca = folder / "clients.pem"
        self.issue()
        self.trust(self.client_authority)

    def issue(self) -> None:
        """Writes a new certificate over the old one."""
        issued = self.server_authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(self.key)
        self.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    def trust(self, *authorities: trustme.CA) -> None:
        """Writes whose clients may come."""
        self.client_ca.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))

    def context(self, client: trustme.CA | None) -> ssl.SSLContext:
        """A client with a certificate by this authority, or with none."""
        context = ssl.create_default_context()
        self.server_authority.configure_trust(context)
        if client is not None:
            client.issue_cert("shop@example.com").configure_cert(context)
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("smpp-tls"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Gateway]:
    gateway = Gateway(
        tmp_path_factory.mktemp("data"),
        "limits.enforce=false",
        "limits.duplicates=false",
        "smpp.tls_listen=127.0.0.1:0, 127.0.0.1:0",
        f"smpp.tls_certificate={files.certificate}",
        f"smpp.tls_key={files.key}",
        f"smpp.tls_client_ca={files.client_ca}",
        "smpp.bind_s=2",
        doors=("smpp",),
    )
    gateway.create_account()
    gateway.start()
    yield gateway
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output.read_text()


async def fingerprint(gateway: Gateway, context: ssl.SSLContext) -> str:
    """Of the certificate that the door shows now."""
    esme = await Esme.bind(gateway.smpps, LOGIN, PASSWORD, tls=context)
    shown: Any = esme.peer_certificate()
    await esme.close()
    return hashlib.sha256(shown).hexdigest()


async def may_bind(gateway: Gateway, context: ssl.SSLContext) -> bool:
    try:
        esme = await Esme.bind(gateway.smpps, LOGIN, PASSWORD, tls=context)
    except (OSError, ConnectionError):  # TLS 1.3 tells a client so after its own handshake
        return False
    await esme.close()
    return True


async def test_only_clients_with_a_certificate_by_the_authority_bind(
    secured: Gateway, files: Files
) -> None:
    esme = await Esme.bind(
        secured.smpps, LOGIN, PASSWORD, tls=files.context(files.client_authority)
    )
    answer = await esme.ask(message())
    assert answer.command_status == 0
    await receipt_of(esme, answer.message_id)
    assert not await may_bind(secured, files.context(None))
    assert not await may_bind(secured, files.context(trustme.CA()))
    # The password is asked for all the same.
    with pytest.raises(AssertionError, match="0xe"):
        await Esme.bind(secured.smpps, LOGIN, "wrong", tls=files.context(files.client_authority))
    # The plain port asks for none.
    plain = await Esme.bind(secured.smpp, LOGIN, PASSWORD)
    await plain.close()
    assert (await esme.ask(message())).command_status == 0
    await esme.close()


async def test_a_certificate_is_replaced_under_a_live_bind(secured: Gateway, files: Files) -> None:
    context = files.context(files.client_authority)
    esme = await Esme.bind(secured.smpps, LOGIN, PASSWORD, tls=context)
    before = await fingerprint(secured, context)
    # What can not be loaded is not taken.
    files.certificate.write_text("not a certificate")
    await eventually(lambda: "not usable yet" in secured.output.read_text())
    assert await fingerprint(secured, context) == before
    files.issue()

    async def is_new() -> bool:
        return await fingerprint(secured, context) != before

    await eventually(is_new)
    answer = await esme.ask(message())
    assert answer.command_status == 0
    await receipt_of(esme, answer.message_id)
    await esme.close()


async def test_an_authority_of_clients_is_added(secured: Gateway, files: Files) -> None:
    newcomer = trustme.CA()
    context = files.context(newcomer)
    assert not await may_bind(secured, context)
    files.trust(files.client_authority, newcomer)
    await eventually(lambda: may_bind(secured, context))
    assert await may_bind(secured, files.context(files.client_authority))


async def test_every_listener_of_a_list(secured: Gateway, files: Files) -> None:
    ports = re.findall(r"listening on smpps://127\.0\.0\.1:(\d+)", secured.output.read_text())
    assert len(set(ports)) == 2
    for port in ports:
        context = files.context(files.client_authority)
        esme = await Esme.bind(int(port), LOGIN, PASSWORD, tls=context)
        assert (await esme.ask(message())).command_status == 0
        await esme.close()


@pytest.mark.parametrize(
    "octets", [b"", b"\0\0\0\x10\0\0\0\x15\0\0\0\0\0\0\0\1", b"\x16\x03\x01\x02\0\x01"]
)
async def test_who_does_not_speak_tls_is_closed(secured: Gateway, octets: bytes) -> None:
    """Silence, an enquire_link, and half a ClientHello, which would wait for ever."""
    esme = await Esme.connect(secured.smpps)
    esme.write(octets)
    await esme.closed(30)
    assert esme.log == []
    await esme.close()
