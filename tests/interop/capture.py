"""A wire tap: a TCP relay that keeps what passes, and writes it as a capture file for tshark."""

from __future__ import annotations

import asyncio
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_CHUNK = 1_400  # octets of payload in one made-up packet


class WireTap:
    """Relays 127.0.0.1:`port` to a server; `packets` are (from the client, octets)."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.packets: list[tuple[bool, bytes]] = []
        self._target_port = target_port
        self._pumps: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer, is_client=True)),
            asyncio.create_task(self._pump(far_reader, writer, is_client=False)),
        ]
        self._pumps.update(pumps)
        await asyncio.wait(pumps)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                self.packets.append((is_client, data))
                writer.write(data)
                await writer.drain()
        writer.close()

    def write_pcap(self, path: Path) -> None:
        """Writes what passed as TCP segments over IPv4 (link type 101: raw IP)."""
        octets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)]
        sequence = {True: 1_000, False: 5_000}
        moment = 0
        for is_client, data in self.packets:
            for at in range(0, len(data), _CHUNK):
                chunk = data[at : at + _CHUNK]
                packet = self._packet(chunk, is_client, sequence)
                sequence[is_client] += len(chunk)
                moment += 1
                octets.append(struct.pack("<IIII", 1, moment, len(packet), len(packet)) + packet)
        path.write_bytes(b"".join(octets))

    def _packet(self, data: bytes, is_client: bool, sequence: dict[bool, int]) -> bytes:
        ports = (40_000, self._target_port) if is_client else (self._target_port, 40_000)
        tcp = struct.pack(
            "!HHIIBBHHH",
            *ports,
            sequence[is_client],
            sequence[not is_client],
            5 << 4,
            0x18,
            65_535,
            0,
            0,
        )
        addresses = (b"\x0a\0\0\1", b"\x0a\0\0\2")
        source, target = addresses if is_client else addresses[::-1]
        length = 20 + len(tcp) + len(data)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 6, 0, source, target)
        return ip + tcp + data


@asynccontextmanager
async def tapped(target_port: int) -> AsyncIterator[WireTap]:
    """A tap in front of 127.0.0.1:`target_port`."""
    tap = WireTap(target_port)
    server = await asyncio.start_server(tap.serve, "127.0.0.1", 0)
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        server.close()
        for pump in tap._pumps:
            pump.cancel()
        await asyncio.gather(*tap._pumps, return_exceptions=True)


@asynccontextmanager
async def watched(target_port: int, capture: Path) -> AsyncIterator[WireTap]:
    """A tap on an SMPP server; what it sent must be in order for tshark, when that is there."""
    async with tapped(target_port) as tap:
        yield tap
    if shutil.which("tshark") is None:
        return
    tap.write_pcap(capture)
    fields = ["smpp.command_id", "ip.src", "_ws.malformed", "_ws.expert.message"]
    command = ["tshark", "-r", str(capture), "-d", f"tcp.port=={target_port},smpp", "-T", "fields"]
    command += ["-Y", "smpp", *(part for field in fields for part in ("-e", field))]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=90, check=True
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    from_server = [row for row in rows if row[1] == "10.0.0.2"]
    assert from_server
    assert [row for row in from_server if any(row[2:])] == []
