"""A client's callback handler: a small HTTP server that keeps what it was told."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Call", "Handler", "run_handler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: the path with its query, the headers, the body and the form in it."""

    path: str
    headers: dict[str, str]
    body: bytes
    form: dict[str, str]


class Handler:
    """`status` is what the next calls are answered with."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.status = 200
        self.calls: list[Call] = []

    def url(self, query: str = "") -> str:
        """The address to be called, with settings or parameters of its own."""
        return f"http://127.0.0.1:{self.port}/handler" + (f"?{query}" if query else "")

    def about(self, id: object) -> list[dict[str, str]]:
        """Forms of the calls about a message."""
        return [call.form for call in self.calls if call.form.get("id") == str(id)]


@contextmanager
def run_handler() -> Iterator[Handler]:
    """A handler on a free port, until the end of the block."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            form = dict(urllib.parse.parse_qsl(body.decode("ascii"), keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            handler.calls.append(Call(path=self.path, headers=headers, body=body, form=form))
            self.send_response(handler.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    handler = Handler(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
