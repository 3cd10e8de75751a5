"""What a start that fails says: the setting, its value, and what to do."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from heliograph.gateways.http.certificates import Certificate, TlsFiles
from heliograph.runtime import AlreadyRunning
from heliograph.runtime.obstacles import StartFailed, naming
from heliograph.storage.database import make_folder


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartFailed) as failed, naming("http.listen", where):
            socket.create_server(taken.getsockname())
    text = str(failed.value)
    assert text.startswith(f"http.listen = {where}: another program listens there already")


def test_an_address_of_another_machine() -> None:
    with pytest.raises(StartFailed) as failed, naming("http.listen", "192.0.2.1:0"):
        socket.create_server(("192.0.2.1", 0))
    assert "this machine has no such address" in str(failed.value)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    files = TlsFiles(certificate=tmp_path / "none.pem", key=tmp_path / "none.pem")
    with pytest.raises(StartFailed) as failed, naming("http.tls_listen", "x"):
        Certificate(files)
    assert str(failed.value).startswith("http.tls_listen = x: ")
    assert "none.pem: No such file" in str(failed.value)


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "some.pem"
    file.write_text("hello")
    with pytest.raises(StartFailed) as failed, naming("http.tls_listen", "x"):
        Certificate(TlsFiles(certificate=file, key=file))
    assert "can not be read as PEM" in str(failed.value)
    assert isinstance(failed.value.__cause__, ssl.SSLError)


def test_a_failure_that_says_it_all_stays_as_it_is() -> None:
    with pytest.raises(AlreadyRunning) as failed, naming("server.data_dir", "x"):
        raise AlreadyRunning("another one")
    assert str(failed.value) == "another one"


def test_a_new_data_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"
    make_folder(folder)
    make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
