"""Clients that other people wrote for the service, unchanged, over real sockets.

`apprise`, `smsc` (both PyPI), `smsc-ru` (npm) have the service's host built in and believe to talk
to it: the resolver's answer and the socket's address are all that is changed (lead_here.*).
`node-smsc` (npm) takes the address as an option.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.harness.gateway import LOGIN, PASSWORD
from tests.interop.conftest import Disguised

PHONE = "79161234567"
_HERE = Path(__file__).parent
# The command of the package, as it is installed.
APPRISE = Path(sys.executable).with_name("apprise")


def last_id(disguised: Disguised) -> int:
    """The id of the newest message: the next one's, less one."""
    return int(disguised.gateway.send("79160009999", "counts")["id"])


def test_apprise_sends(disguised: Disguised) -> None:
    before = last_id(disguised)
    target = f"smsc://{LOGIN}:{PASSWORD}@{PHONE}/79031234567?sender=Shop&translit=yes"
    done = disguised.run_python(APPRISE, "-vv", "-b", "Hello from apprise", target)
    assert done.returncode == 0, done.stderr
    for phone in (PHONE, "79031234567"):
        found = disguised.gateway.wait_status(before + 1, phone, 1)
        assert found["message"] == "Hello from apprise"
        assert found["sender_id"] == "Shop"


def test_apprise_sends_a_picture(disguised: Disguised, tmp_path: Path) -> None:
    before = last_id(disguised)
    picture = tmp_path / "a.jpg"
    picture.write_bytes(bytes(range(256)))
    target = f"smsc://{LOGIN}:{PASSWORD}@{PHONE}"
    done = disguised.run_python(APPRISE, "-b", "Look", "-a", str(picture), target)
    assert done.returncode == 0, done.stderr
    assert disguised.gateway.wait_status(before + 1, PHONE, 1)["type"] == 6


def test_apprise_sees_errors(disguised: Disguised) -> None:
    target = f"smsc://{LOGIN}:wrong@{PHONE}"
    done = disguised.run_python(APPRISE, "-vv", "-b", "Hello", target)
    assert done.returncode == 1
    assert "SMSC API error (code=2): authorise error" in done.stdout + done.stderr


def test_smsc_of_pypi(disguised: Disguised) -> None:
    done = disguised.run_python(_HERE / "send_with_smsc.py", LOGIN, PASSWORD, PHONE)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    message_id, count, cost, error = answers["sent"]
    assert (count, cost, error) == (1, 1.0, None)
    assert answers["flash"][1:] == [4, 4.0]
    assert answers["cost"] == [1, 1.0]
    assert answers["refused"] == [7, "invalid number"]
    assert answers["balance"][0] > 0
    assert answers["balance"][1:] == [0.0, "RUR"]
    assert answers["status"][0] in (-1, 0, 1)
    assert answers["data"]["message"] == "Привет, мир!"
    assert answers["data"]["sender_id"] == "Shop"
    assert len(answers["several"]) == 2
    disguised.gateway.wait_status(message_id, PHONE, 1)


def test_node_smsc(disguised: Disguised, npm_modules: Path) -> None:
    """Its own tests fix the members of replies; so do these lines."""
    root = "http://smsc.ru/sys/"
    done = disguised.run_node(_HERE / "send_with_node_smsc.cjs", root, LOGIN, PASSWORD, PHONE)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert list(answers["sent"]) == ["id", "cnt", "cost", "balance"]
    assert answers["mms"] == {"id": answers["sent"]["id"] + 1, "cnt": 1}
    assert [p["error"] for p in answers["several"]["phones"]] == ["", ""]
    assert answers["status"]["message"] == "Привет из node-smsc"
    assert [e["id"] for e in answers["statuses"]] == [answers["sent"]["id"], answers["mms"]["id"]]
    assert set(answers["balance"]) == {"balance", "currency"}
    name, message, response = answers["refused"]
    assert (name, message) == ("SmscApiError", "invalid number (7)")
    assert list(response) == ["error", "error_code", "id"]
    assert answers["deleted"] == {"result": "OK"}
    assert answers["denied"] == [True, {"error": "authorise error", "error_code": 2}]


def test_node_smsc_over_https(disguised: Disguised, npm_modules: Path) -> None:
    """With the address that is built in."""
    root = "https://smsc.ru/sys/"
    done = disguised.run_node(_HERE / "send_with_node_smsc.cjs", root, LOGIN, PASSWORD, PHONE)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"]["cnt"] == 1


@pytest.mark.parametrize("phone", ["79161230001", "+79161230002"])
def test_smsc_ru_of_npm(disguised: Disguised, npm_modules: Path, phone: str) -> None:
    """It joins the address from bare strings: the plus of the number arrives as a space."""
    before = last_id(disguised)
    done = disguised.run_node(_HERE / "send_with_smsc_ru.cjs", LOGIN, PASSWORD, phone)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert float(answers["before"]) - float(answers["after"]) == pytest.approx(2.5)
    types = [
        disguised.gateway.wait_status(message_id, phone, 1)["type"]
        for message_id in (before + 1, before + 2)
    ]
    assert types == [0, 7]
