"""`heliograph serve`: the gateway itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from heliograph.cli.options import Installation, with_installation
from heliograph.cli.output import ExitCode, Failure

if TYPE_CHECKING:
    from heliograph.config import Config

__all__ = ["serve"]

_DOORS = (("http", "HTTP"), ("smpp", "SMPP"), ("smtp", "SMTP"))


@click.command()
@click.option("--http", metavar="HOST:PORT", help="The HTTP door; port 0: any free one; `off`.")
@click.option("--smpp", metavar="HOST:PORT", help="The SMPP door; port 0: any free one; `off`.")
@click.option("--smtp", metavar="HOST:PORT", help="The SMTP door; port 0: any free one; `off`.")
@with_installation
def serve(place: Installation, **doors: str | None) -> None:
    """Run the gateway until it is stopped.

    Ctrl-C or SIGTERM stops it: work that has begun is finished (server.drain_s), a second signal
    ends it at once. The ports in use are written to ports.json in the data folder. The first start
    creates an account, whose password is shown once, and the built-in virtual network.

    \b
    Example:
      heliograph serve --data /srv/heliograph --http 0.0.0.0:8080 --smpp 0.0.0.0:2775
    """
    config = place.config(*(_listen(door, doors[door]) for door, _ in _DOORS if doors[door]))
    sys.exit(_run(config))


def _listen(door: str, value: str | None) -> str:
    """The override of a door's setting."""
    return f"{door}.listen={'' if value == 'off' else value}"


def _run(config: Config) -> int:
    factory: Callable[[], asyncio.AbstractEventLoop]
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:  # no wheel for this platform
        factory = asyncio.new_event_loop
    from sqlalchemy.exc import SQLAlchemyError

    from heliograph.cli.opening import unreachable
    from heliograph.runtime import serve as serve_until_stopped
    from heliograph.storage.migration import SchemaUnknown

    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(serve_until_stopped(config, click.echo, _welcome))
    except SchemaUnknown as error:
        raise Failure(f"{error}; start that version", ExitCode.STORAGE) from None
    except SQLAlchemyError as error:
        raise unreachable(config, error) from error
    except OSError as error:
        raise Failure(
            f"the gateway did not start: {error}; `heliograph doctor` tells what is in the way"
        ) from error
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _welcome(password: str, port: int | None) -> str:
    """What a new installation shows once."""
    lines = [f"first start: account admin, password {password} (it is not shown again)"]
    if port:
        address = f"http://127.0.0.1:{port}/sys/send.php"
        query = f"login=admin&psw={password}&phones=79161234567&mes=Hello"
        lines += [
            "a first message, to the virtual network:",
            f"  curl '{address}?{query}'",
            "and what arrived there:",
            "  heliograph inbox",
        ]
    return "\n".join(lines)
