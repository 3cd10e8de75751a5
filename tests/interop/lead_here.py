"""Runs a Python program for which the service's host names are this machine, unchanged otherwise.

What a user does by changing the host name in a client (or in the DNS) is done here at the
narrowest place there is: the answer of the resolver. A program that asks for any other host is
stopped. Certificates are checked against the name that the client believes it talks to.

    python lead_here.py '{"80": 41001, "443": 41002}' PROGRAM [ARGUMENT...]
"""

from __future__ import annotations

import json
import runpy
import socket
import sys
from typing import Any

HOSTS = {"smsc.ru", "www.smsc.ru", "www2.smsc.ru"}


def main() -> None:
    """Runs the file that the command line names."""
    ports = {int(port): here for port, here in json.loads(sys.argv[1]).items()}
    program = sys.argv[2]
    resolve = socket.getaddrinfo

    def lead_here(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in HOSTS:
            raise OSError(f"a test never leaves this machine: {host}")
        return resolve("127.0.0.1", ports[int(port)], *args, **options)

    socket.getaddrinfo = lead_here
    sys.argv = sys.argv[2:]
    runpy.run_path(program, run_name="__main__")


main()
