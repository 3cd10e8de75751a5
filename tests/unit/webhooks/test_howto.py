"""The handler of the how-to page takes our calls, and only ours."""

from __future__ import annotations

import re
import threading
from http.server import HTTPServer
from pathlib import Path
from typing import Any

from heliograph.domain.events import OutboxEvent, incoming_payload, waitcall_payload
from heliograph.httpclient import HttpClient
from heliograph.webhooks.events import write_body
from heliograph.webhooks.signing import read_address

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "receive-callbacks.md"


async def test_the_handler_of_the_page(capsys: Any) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(found[1], str(PAGE), "exec"), names)
    with HTTPServer(("127.0.0.1", 0), names["Handler"]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        client = HttpClient(allow_private=True)
        try:
            base = f"http://127.0.0.1:{server.server_address[1]}/handler?charset=utf-8"
            statuses = [
                (await client.post_form(address.url, write_body(event, address))).status
                for address in (read_address(f"{base}&sha1=zxc"), read_address(f"{base}&sha1=no"))
                for event in events()
            ]
        finally:
            await client.close()
            server.shutdown()
            thread.join()
    assert statuses == [200, 200, 200, 403, 403, 403]
    assert capsys.readouterr().out.splitlines() == [
        "message 1234 has status 1",
        "message from 79261234567 to 1234",
        "call from 79261234567",
    ]


def events() -> list[OutboxEvent]:
    status = {"id": "1234", "phone": "79991239999", "status": "1", "ts": "1476794052"}
    incoming = incoming_payload(
        incoming_id=7,
        source="79261234567",
        destination="1234",
        text="Да: & нет",
        received_at_ms=1_476_794_052_000,
    )
    kinds = {
        "status": status,
        "incoming": incoming,
        "waitcall": waitcall_payload("79261234567", 1_476_794_052_000),
    }
    return [
        OutboxEvent(id=n, account_id=1, message_id=0, kind=kind, payload=payload, created_at=0)
        for n, (kind, payload) in enumerate(kinds.items())
    ]
