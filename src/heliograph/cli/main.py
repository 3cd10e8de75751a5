"""The program `heliograph`: its commands, and how it ends.

Modules of commands import nothing heavy at their top: `heliograph --help` answers at once, and what
a command needs is imported when it runs.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from heliograph import __version__
from heliograph.cli import (
    account_log,
    accounts,
    binds,
    books,
    callbacks,
    campaigns,
    connectors,
    currencies,
    doctor,
    documents,
    inbox,
    ledger,
    messages,
    moderation,
    numbering,
    routes,
    serve,
    simulate,
    statistics,
    subclients,
    tariffs,
)
from heliograph.cli.output import ExitCode, Failure

__all__ = ["main", "program"]


class Program(click.Group):
    """A group that ends with the exit codes of `ExitCode`, every failure being one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one gets to know them."""
        return list(self.commands)

    def main(self, *args: Any, **options: Any) -> Any:
        """Runs the command line and exits."""
        run: Any = super().main
        if not options.pop("standalone_mode", True):
            return run(*args, standalone_mode=False, **options)
        code: int = ExitCode.DONE
        try:
            answer = run(*args, standalone_mode=False, **options)
            code = answer if isinstance(answer, int) else ExitCode.DONE
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = ExitCode.USAGE
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "heliograph"
            message = error.format_message().rstrip(".")
            click.echo(f"Error: {message}; see {where} --help", err=True)
            code = ExitCode.USAGE
        except Failure as error:
            click.echo(f"Error: {error.format_message()}", err=True)
            code = error.code
        except click.ClickException as error:
            click.echo(f"Error: {error.format_message()}", err=True)
            code = error.exit_code
        except click.Abort:
            code = ExitCode.INTERRUPTED
        except BrokenPipeError:  # `heliograph account list | head -1` is no mistake
            sys.stdout = None  # nothing is left to flush into
        sys.exit(code)


@click.group("heliograph", cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="heliograph", message="%(prog)s %(version)s")
def program() -> None:
    """A self-hosted SMS centre: HTTP and SMPP in, operators out.

    Commands work on the storage of the installation (--data), next to a running server, which
    notices changes within a second.

    \b
    Example:
      heliograph serve                     # in ./var, with a first account
      heliograph send 79161234567 Hello --login admin --password ...
      heliograph message show 1 --account admin
    """


for _command in (
    serve.serve,
    messages.send,
    messages.status,
    messages.message,
    inbox.inbox,
    accounts.account,
    tariffs.tariff,
    currencies.currency,
    documents.documents,
    connectors.connector,
    routes.route,
    numbering.numbering,
    moderation.sender,
    moderation.template,
    books.contact,
    books.task,
    callbacks.callbacks,
    campaigns.campaign,
    binds.binds,
    ledger.ledger,
    statistics.statistics,
    doctor.doctor,
    simulate.simulate,
):
    program.add_command(_command)

for _below in (subclients.tree, subclients.move, subclients.kind, subclients.currency):
    accounts.account.add_command(_below)
accounts.account.add_command(account_log.log)
accounts.account.add_command(account_log.settings)


def main() -> None:
    """Entry point of the installed program."""
    for stream in (sys.stdout, sys.stderr):
        # A text that the terminal's charset lacks must not end the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    program(prog_name="heliograph")
