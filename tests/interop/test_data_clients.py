"""`node-smsc` (npm) with history, statistics, prices and numbers of the running server.

What is compared is what its own tests fix.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.gateway import LOGIN, PASSWORD
from tests.interop.conftest import Disguised

_HERE = Path(__file__).parent
PHONE = "79161230077"


def test_node_smsc(disguised: Disguised, npm_modules: Path) -> None:
    program = _HERE / "read_with_node_smsc.cjs"
    done = disguised.run_node(program, "http://smsc.ru/sys/", LOGIN, PASSWORD, PHONE)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    [message] = got["messages"]
    assert message["phone"] == PHONE
    assert message["message"] == "history, with a comma"
    assert got["none"] == got["mega"] == []
    assert isinstance(got["answers"], list)
    assert got["stat"][0]["login"] == LOGIN
    assert isinstance(got["price"]["zones"], list)
    assert isinstance(got["senders"], list)
    assert set(got["operator"]) == {"country", "operator", "region", "mcc", "mnc", "tz"}
    assert all(isinstance(value, str) and value for value in got["operator"].values())
    assert got["unknown"] == 3
    assert isinstance(got["changes"], list)
    assert got["whole"].startswith("Phone;mccmnc")
    assert isinstance(got["numbers"], list)
    assert got["missing"] == 3
