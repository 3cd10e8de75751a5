"""The SMPP connector against operators that other people wrote, and its traffic under tshark."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.contract.connector_events import Recorder, make_message, make_parts, poll, send
from tests.interop.capture import tapped

from heliograph.connectors.base import Connector, OutcomeKind
from heliograph.connectors.registry import build
from heliograph.connectors.virtual.smsc import serve_smsc
from heliograph.domain.messages import MessageState, MessageType
from heliograph.protocols.smpp.pdu import DeliverSm
from heliograph.protocols.sms.segmentation import segment

_HERE = Path(__file__).parent


class Operator:
    """A foreign server process; `lines` is what it printed after its port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lines: list[str] = []

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The JSON lines of one kind."""
        return [e for line in self.lines if (e := json.loads(line))["event"] == kind]


@asynccontextmanager
async def _running(
    command: list[str], env: dict[str, str] | None = None
) -> AsyncIterator[Operator]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    assert process.stdout is not None
    stdout = process.stdout
    operator = Operator(int(await asyncio.wait_for(stdout.readline(), 20)))

    async def read_lines() -> None:
        while line := await stdout.readline():
            operator.lines.append(line.decode().rstrip("\n"))

    reading = asyncio.create_task(read_lines())
    try:
        yield operator
    finally:
        # Not by a signal: the command may be a wrapper, and the signal would not reach the program.
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


@asynccontextmanager
async def _connected(port: int, **settings: Any) -> AsyncIterator[tuple[Connector, Recorder]]:
    recorder = Recorder()
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "alex",
        "password": "123",
        **settings,
    }
    connector = build(id=1, name="op", kind="smpp", settings=settings)
    await connector.start(recorder)
    try:
        await recorder.until(lambda: connector.is_up)
        yield connector, recorder
    finally:
        await connector.stop(1)


NodeOperator = Callable[..., Any]


@pytest.fixture
def node_operator(node: list[str], npm_modules: Path) -> NodeOperator:
    """Starts the operator made of the npm package."""

    def start(**options: Any) -> Any:
        command = [*node, str(_HERE / "operator.cjs"), json.dumps(options)]
        return _running(command, {"NODE_PATH": str(npm_modules)})

    return start


@pytest.mark.parametrize("form", ["text", "tlv"])
@pytest.mark.parametrize(("answer_base", "receipt_base"), [(10, 10), (16, 16), (16, 10), (10, 16)])
async def test_receipts_in_either_base(
    node_operator: NodeOperator, answer_base: int, receipt_base: int, form: str
) -> None:
    async with (
        node_operator(answerBase=answer_base, receiptBase=receipt_base, form=form) as operator,
        _connected(operator.port) as (connector, recorder),
    ):
        parts = make_parts(20)
        await send(connector, recorder, parts)
        await recorder.until(lambda: len(recorder.receipts) == 20)
        for part, report in zip(parts, recorder.receipts, strict=True):
            assert part.external_id in report.candidates
            assert report.state is MessageState.DELIVERED
        await poll(lambda: len(operator.events("receipt")) == 20)
        assert {e["status"] for e in operator.events("receipt")} == {0}
        assert not operator.events("error")


@pytest.mark.parametrize("habit", ["early", "twice", "reverse"])
async def test_receipts_at_odd_moments(node_operator: NodeOperator, habit: str) -> None:
    async with (
        node_operator(**{habit: True}) as operator,
        _connected(operator.port) as (connector, recorder),
    ):
        parts = make_parts(10)
        wanted = 20 if habit == "twice" else 10
        await send(connector, recorder, parts)
        await recorder.until(lambda: len(recorder.receipts) == wanted)
        await recorder.until(lambda: len(recorder.outcomes) == 10)
        named = [report.candidates[0] for report in recorder.receipts]
        ids = [part.external_id for part in parts]
        if habit == "reverse":
            assert named == ids[::-1]
        else:
            assert sorted(named) == sorted(ids * (wanted // 10))


@pytest.mark.parametrize("way", ["udh8", "udh16", "sar", "payload"])
@pytest.mark.parametrize("text", ["Long text " * 40, "Привет " * 25])
async def test_a_long_message_reads_as_it_was_written(
    node_operator: NodeOperator, way: str, text: str
) -> None:
    async with (
        node_operator(reverse=True) as operator,
        _connected(operator.port, long_messages=way) as (connector, recorder),
    ):
        message = make_message(text=text, part_count=len(segment(text).parts))
        await send(connector, recorder, message.parts)
        await recorder.until(lambda: len(recorder.receipts) == message.part_count)
        submits = operator.events("submit")
        assert "".join(s["text"] for s in submits) == text
        assert {s["coding"] for s in submits} == {0 if text.isascii() else 8}
        assert {tuple(s["ton"]) for s in submits} == {(5, 0, 1, 1)}
        if way.startswith("udh"):
            assert [s["udh"][0][-2:] for s in submits] == [
                f"{n:02x}" for n in range(1, message.part_count + 1)
            ]
        if way == "sar":
            assert [s["sar"] for s in submits] == list(range(1, message.part_count + 1))


async def test_goodbye_is_said(node_operator: NodeOperator) -> None:
    async with node_operator() as operator:
        async with _connected(operator.port):
            pass
        await poll(lambda: operator.events("unbind"))


@pytest.mark.debian
@pytest.mark.skipif(
    shutil.which("perl") is None
    or subprocess.run(["perl", "-MNet::SMPP", "-e1"], capture_output=True, check=False).returncode,
    reason="libnet-smpp-perl is not installed",
)
async def test_net_smpp_of_perl() -> None:
    async with (
        _running(["perl", str(_HERE / "operator.pl")]) as operator,
        _connected(operator.port, enquire_link_s=0.2) as (connector, recorder),
    ):
        parts = [make_message(text=text).parts[0] for text in ("Hello @ €", "Привет")]
        await send(connector, recorder, parts)
        await recorder.until(lambda: len(recorder.receipts) == 2 and len(recorder.outcomes) == 2)
        assert recorder.kinds() == [OutcomeKind.ACCEPTED] * 2
        assert [
            p.external_id in r.candidates for p, r in zip(parts, recorder.receipts, strict=True)
        ]
        assert {(r.state, r.err) for r in recorder.receipts} == {(MessageState.UNDELIVERABLE, 6)}
        await poll(lambda: operator.lines.count("receipt 0") == 2)
        await asyncio.sleep(0.5)  # some enquire_links
        assert connector.is_up
        assert operator.lines[:3] == [
            "bind alex 52",
            "submit ivan 79991112233 0 48656c6c6f2000201b65",
            "submit ivan 79991112233 8 041f04400438043204350442",
        ]
    assert not [line for line in operator.lines if line.startswith("unexpected")]


async def _talk(connector: Connector, recorder: Recorder, deliver: Awaitable[None]) -> None:
    """A conversation with every kind of PDU that the connector writes."""
    kinds = MessageType
    long = "Long text " * 40
    messages = [
        make_message(),
        make_message(text="Привет"),
        make_message(text=long, part_count=3),
        make_message(text="Flash", type=kinds.FLASH),
        make_message(text="", type=kinds.PING),
        make_message(text="050A0307056048656C6C6F", type=kinds.BINARY),
        make_message(text="http://example.com/\nTitle", type=kinds.WAP_PUSH),
        make_message("79000001249"),
    ]
    parts = [part for message in messages for part in message.parts]
    await send(connector, recorder, parts)
    await recorder.until(lambda: len(recorder.outcomes) == len(parts))
    await connector.query([parts[0]])
    await deliver
    await recorder.until(lambda: recorder.incoming)
    await asyncio.sleep(0.3)  # some enquire_links


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("way", ["udh8", "udh16", "sar", "payload"])
async def test_tshark_finds_nothing_malformed(tmp_path: Path, way: str) -> None:
    server = await serve_smsc()

    async def deliver() -> None:
        pdu = DeliverSm(source_addr="79991112233", destination_addr="2442", short_message=b"Hi")
        server.deliver(pdu)

    async with tapped(server.port) as tap:
        async with _connected(tap.port, long_messages=way, enquire_link_s=0.1) as (
            connector,
            recorder,
        ):
            await _talk(connector, recorder, deliver())
        await server.close()
    capture = tmp_path / "traffic.pcap"
    tap.write_pcap(capture)
    fields = ["smpp.command_id", "_ws.malformed", "_ws.expert.message"]
    command = ["tshark", "-r", str(capture), "-d", f"tcp.port=={server.port},smpp", "-T", "fields"]
    command += ["-Y", "smpp"]
    for field in fields:
        command += ["-e", field]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    rows = [line.split("\t") for line in output.decode().splitlines()]
    seen = {int(command_id, 16) for row in rows for command_id in row[0].split(",")}
    # bind, submit, query, enquire_link, unbind, deliver_sm and their responses went over the wire.
    assert {0x9, 0x4, 0x3, 0x15, 0x6, 0x80000005, 0x80000009, 0x5} <= seen
    assert [row for row in rows if any(row[1:])] == []
