"""Programs of others that order mailing lists: node-smsc (npm)."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.gateway import LOGIN, PASSWORD
from tests.interop.conftest import Disguised

_HERE = Path(__file__).parent
PHONE = "79165550505"


def test_node_smsc(disguised: Disguised, npm_modules: Path) -> None:
    """Its own tests want the id of a new list, `OK` after changes, and errors with their codes."""
    root = "http://smsc.ru/sys/"
    done = disguised.run_node(_HERE / "lists_with_node_smsc.cjs", root, LOGIN, PASSWORD, PHONE)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    first = answers["added"]["id"]
    assert answers["added"] == {"id": first}
    assert answers["priced"] == {"id": first + 1, "cost": "2.00"}
    assert answers["mms"] == {"id": first + 2}
    assert answers["planned"] == {"id": first + 3}
    assert answers["cancelled"] == answers["deleted"] == {"result": "OK"}
    assert (answers["got"]["id"], answers["got"]["name"]) == (first, "Рассылка")
    assert [each["id"] for each in answers["all"]][-3:] == [first, first + 1, first + 2]
    not_found = {"error": "record not found", "error_code": 3}
    assert answers["gone"] == ["SmscApiError", not_found]
    assert answers["wrong"] == [True, {"error": "parameters error", "error_code": 1}]
    assert answers["status"]["status"] in (-1, 0, 1)
    disguised.gateway.wait_status(10, PHONE, 1)
