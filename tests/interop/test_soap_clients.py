"""SOAP programs that other people wrote use every operation: zeep (PyPI), soap (npm), PHP (Debian).

They read the WSDL, make their requests from it and check the answers against it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zeep
from tests.harness.gateway import LOGIN, PASSWORD, Gateway

PHONE = "79161234567"
WHO = {"login": LOGIN, "psw": PASSWORD}
OPERATIONS = [
    "get_balance", "get_sms_cost", "get_sms_cost2", "get_status", "get_status2", "send_sms",
    "send_sms2",
]  # fmt: skip
_HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    limits = ("limits.enforce=false", "limits.duplicates=false")
    running = Gateway(tmp_path_factory.mktemp("soap"), *limits)
    running.create_account()
    try:
        yield running.start()
    finally:
        running.stop()


def wsdl_of(gateway: Gateway) -> str:
    return f"{gateway.base}/sys/soap.php?wsdl"


def first_calls(id: str) -> list[tuple[str, dict[str, str]]]:
    """Every operation but the statuses, which are asked once the messages are delivered."""
    return [
        ("get_balance", WHO),
        ("get_sms_cost", {**WHO, "phones": PHONE, "mes": f"Привет {id} <&>"}),
        ("get_sms_cost2", {**WHO, "phones": PHONE, "mes": "", "query": "hlr=1"}),
        (
            "send_sms",
            {**WHO, "phones": PHONE, "mes": f"Привет {id} <&>", "id": id, "sender": "Shop"},
        ),
        (
            "send_sms2",
            {
                **WHO,
                "phones": f"{PHONE},123",
                "mes": f"второе {id}",
                "id": f"{id}-2",
                "query": "translit=1&flash=1",
            },
        ),
        ("get_balance", {**WHO, "psw": "wrong"}),
        ("send_sms", {**WHO, "phones": "123", "mes": f"third {id}", "id": f"{id}-3"}),
    ]


def last_calls(id: str) -> list[tuple[str, dict[str, str]]]:
    return [
        ("get_status", {**WHO, "phone": PHONE, "id": id, "all": "2"}),
        ("get_status", {**WHO, "phone": PHONE, "id": "nothing"}),
        ("get_status2", {**WHO, "phone": PHONE, "id": f"{id}-2", "all": "1", "query": ""}),
    ]


def check_first(id: str, results: list[dict[str, Any]]) -> None:
    balance, cost, lookup, sent, second, wrong, refused = results
    assert float(balance["balanceresult"]["balance"]) > 0
    assert balance["balanceresult"]["error"] == "0"
    assert members(cost["costresult"]) == {"cost": "1.00", "cnt": "1", "error": "0"}
    assert members(lookup["costresult"]) == {"cost": "0.20", "cnt": "1", "error": "0"}
    found = members(sent["sendresult"])
    assert float(found.pop("balance")) > 0
    assert found == {"id": id, "cost": "1.00", "cnt": "1", "error": "0"}
    found = members(second["sendresult"])
    errors = found.pop("errors")
    assert [members(each) for each in (errors if isinstance(errors, list) else [errors])] == [
        {"phone": "123", "status": "22"}
    ]
    assert (found["id"], found["error"]) == (f"{id}-2", "0")
    assert members(wrong["balanceresult"]) == {"error": "2"}
    assert members(refused["sendresult"]) == {"id": f"{id}-3", "error": "7"}


def check_last(id: str, results: list[dict[str, Any]]) -> None:
    status, nothing, second = (members(result["statusresult"]) for result in results)
    assert (status["status"], status["err"], status["error"]) == ("1", "0", "0")
    assert status["message"] == f"Привет {id} <&>"
    assert status["phone"] == PHONE
    assert status["sender_id"] == "Shop"
    assert status["operator"]
    assert status["sms_cnt"] == "1"
    assert nothing == {"error": "3"}
    assert second["message"] == f"vtoroe {id}"


def members(result: Any) -> dict[str, Any]:
    """What is set of a result."""
    return {name: value for name, value in result.items() if value not in (None, [], "")}


def wait_delivered(gateway: Gateway, id: str) -> None:
    gateway.wait_status(id, PHONE, 1)
    gateway.wait_status(f"{id}-2", PHONE, 1)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_zeep(gateway: Gateway, version: str, tmp_path: Path) -> None:
    address = wsdl_of(gateway)
    if version == "1.2":
        # The service is described for 1.1; zeep writes what the description says.
        with urllib.request.urlopen(address) as reply:
            text = reply.read().decode()
        described = tmp_path / "soap12.wsdl"
        described.write_text(text.replace("/wsdl/soap/", "/wsdl/soap12/"))
        address = str(described)
    client = zeep.Client(address)
    operations = client.service._binding._operations
    assert sorted(operations) == OPERATIONS
    assert client.service._binding_options["address"] == f"{gateway.base}/sys/soap.php"
    id = f"zeep-{version}"

    def call(calls: list[tuple[str, dict[str, str]]]) -> list[dict[str, Any]]:
        results = []
        for name, fields in calls:
            answer = client.service[name](**fields)
            result = zeep.helpers.serialize_object(answer, dict)
            kind = client.wsdl.services["Service"].ports["ServiceSoap"].binding.get(name)
            results.append({next(e[0] for e in kind.output.body.type.elements): result})
        return results

    check_first(id, call(first_calls(id)))
    wait_delivered(gateway, id)
    check_last(id, call(last_calls(id)))


def test_zeep_is_told_a_fault(gateway: Gateway) -> None:
    client = zeep.Client(wsdl_of(gateway))
    envelope = client.create_message(client.service, "get_balance", **WHO)
    body = envelope[0]
    body[0].tag = "{urn:x}unknown"
    binding = client.service._binding
    with pytest.raises(zeep.exceptions.Fault, match="no such operation"):
        binding.process_reply(
            client,
            binding.get("get_balance"),
            client.transport.post_xml(
                client.service._binding_options["address"], envelope, {"SOAPAction": '"x"'}
            ),
        )


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_npm_soap(gateway: Gateway, npm_modules: Path, node: list[str], version: str) -> None:
    id = f"node-{version}"

    def call(calls: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
        task = {
            "wsdl": wsdl_of(gateway),
            "calls": calls,
            "options": {"forceSoap12Headers": version == "1.2"},
        }
        return run([*node, str(_HERE / "call_with_soap.cjs")], task)

    answer = call(first_calls(id))
    assert sorted(answer["description"]["Service"]["ServiceSoap"]) == OPERATIONS
    check_first(id, answer["results"])
    wait_delivered(gateway, id)
    check_last(id, call(last_calls(id))["results"])


@pytest.mark.debian
@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_php(gateway: Gateway, version: str) -> None:
    php = shutil.which("php")
    if php is None or "soap" not in run_text([php, "-m"]).split():
        pytest.skip("php-cli and php-soap (Debian) are not installed")
    id = f"php-{version}"

    def call(calls: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
        task = {"wsdl": wsdl_of(gateway), "calls": calls, "version": version}
        return run([php, str(_HERE / "call_with_soap.php")], task)

    answer = call(first_calls(id))
    assert len(answer["functions"]) == len(OPERATIONS)
    check_first(id, answer["results"])
    wait_delivered(gateway, id)
    check_last(id, call(last_calls(id))["results"])


def run(command: list[str], task: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        command,
        input=json.dumps(task),
        cwd=_HERE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def run_text(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_the_description_is_quick(gateway: Gateway) -> None:
    began = time.perf_counter()
    for _ in range(20):
        zeep.Client(wsdl_of(gateway))
    assert time.perf_counter() - began < 20
