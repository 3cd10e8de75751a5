"""A stand-in for the gateway's command line: what the benchmark driver relies on, and no more.

`account`, `connector`, `route` and `tariff` are noted in a file of the data folder; `serve` takes
`send.php` over HTTP, submits over SMPP, and turns receipts into callbacks.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import urllib.parse
from pathlib import Path

SUBMIT_SM, DELIVER_SM, BIND_TRANSCEIVER, RESPONSE = 0x04, 0x05, 0x09, 0x80000000


def note(folder: Path, arguments: list[str]) -> None:
    with (folder / "commands.jsonl").open("a") as file:
        file.write(json.dumps(arguments) + "\n")


def find_option(commands: list[list[str]], start: list[str], prefix: str) -> str | None:
    for command in commands:
        if command[: len(start)] == start:
            for word, following in zip(command, [*command[1:], ""], strict=True):
                if word == prefix:
                    return following
                if word.startswith(f"{prefix}="):
                    return word.partition("=")[2]
    return None


def pdu(command: int, sequence: int, body: bytes) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, 0, sequence) + body


class Relay:
    def __init__(self, operator_port: int, callback: str | None) -> None:
        self._operator_port = operator_port
        self._callback = urllib.parse.urlsplit(callback) if callback else None
        self._sequence = 1

    async def connect(self) -> None:
        reader, self._operator = await asyncio.open_connection("127.0.0.1", self._operator_port)
        body = b"bench\0bench\0\0\x34\0\0\0"
        self._operator.write(pdu(BIND_TRANSCEIVER, 1, body))
        self._task = asyncio.create_task(self._read_operator(reader))
        if self._callback:
            where = self._callback
            answers, self._caller = await asyncio.open_connection(where.hostname, where.port)
            self._drain = asyncio.create_task(answers.read())

    async def _read_operator(self, reader: asyncio.StreamReader) -> None:
        while True:
            length, command, _status, sequence = struct.unpack(
                ">IIII", await reader.readexactly(16)
            )
            body = await reader.readexactly(length - 16)
            if command == DELIVER_SM:
                self._call(body[3:].partition(b"\0")[0].decode())
                self._operator.write(pdu(DELIVER_SM | RESPONSE, sequence, b"\0"))

    def _call(self, phone: str) -> None:
        body = f"id=1&phone={phone}&status=1"
        assert self._callback is not None
        self._caller.write(
            f"POST {self._callback.path} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    def _submit(self, phone: str, text: str) -> None:
        self._sequence += 1
        address = b"\x05\0bench\0" + b"\x01\x01" + phone.encode() + b"\0"
        head = b"\0" + address + b"\0\0\0\0\0" + b"\x01\0\0\0"
        raw = text.encode()
        self._operator.write(
            pdu(SUBMIT_SM, self._sequence, head + bytes([len(raw)]) + raw),
        )

    async def serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line for line in head.split("\r\n") if line.startswith("Content-Length")]
                length = int(lengths[0].partition(":")[2]) if lengths else 0
                query = urllib.parse.urlsplit(head.split(" ")[1]).query
                body = (await reader.readexactly(length)).decode() or query
                fields = dict(urllib.parse.parse_qsl(body))
                phones = fields.get("phones", "").split(",")
                for phone in phones if fields else []:
                    self._submit(phone, fields["mes"])
                answer = f"OK - {len(phones)} SMS, ID - 1"
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode()
                )
        except asyncio.IncompleteReadError:
            writer.close()


async def serve(folder: Path) -> None:
    commands = [json.loads(line) for line in (folder / "commands.jsonl").read_text().splitlines()]
    port = find_option(commands, ["connector", "add"], "port")
    callback = find_option(commands, ["account", "set"], "--callback")
    relay = Relay(int(port or 0), callback)
    await relay.connect()
    server = await asyncio.start_server(relay.serve_client, "127.0.0.1", 0, limit=1 << 20)
    http_port = server.sockets[0].getsockname()[1]
    (folder / "ports.json").write_text(json.dumps({"http": http_port}))
    await server.serve_forever()


def main() -> None:
    arguments = sys.argv[1:]
    folder = Path(arguments[arguments.index("--data") + 1])
    if arguments[0] == "serve":
        asyncio.run(serve(folder))
    else:
        note(folder, arguments)


if __name__ == "__main__":
    main()
