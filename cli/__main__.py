"""The entry of the `dfip` command: puts the commands together and prints how they fail.

Imports nothing but the commands' names and options, so that `dfip --help` answers at once; what a
command does is loaded when it runs. Exit codes and the parts of a failure are in `cli.failures`.
"""

import os
import sys
from collections.abc import Sequence

import typer

from cli.commands import (
    alert_rules,
    alerts,
    audit,
    backup,
    camera,
    certs,
    keys,
    models,
    person,
    retention,
    token,
    watch_lists,
    webhooks,
)
from cli.commands.demo import demo
from cli.commands.doctor import doctor
from cli.commands.identity import label, search
from cli.commands.occupancy import occupancy
from cli.commands.sightings import sightings
from cli.commands.status import status
from cli.commands.up import up
from cli.failure_report import FailureReport
from cli.failures import CommandFailed, ExitCode, ReaderGone
from cli.forms import wants_json
from cli.talk import Talk

_EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 conflict, "
    "6 not reachable, 7 took too long; 130 interrupted, 141 nobody reads the output any more. "
    "Data goes to standard output, everything else to standard error; NO_COLOR is heeded. In a "
    "pipe, lists are tab-separated full values; `-o` chooses another form. A failure says what, "
    "why, what to do, and the request's id for the logs; with `-o json` as JSON."
)

app = typer.Typer(
    name="dfip",
    help="Watches cameras and says who is there.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(demo)
app.add_typer(camera.app, name="camera")
app.add_typer(person.app, name="person")
app.command()(sightings)
app.command()(occupancy)
app.command()(label)
app.command()(search)
app.command()(status)
app.command()(doctor)
app.add_typer(token.app, name="token")
app.add_typer(alerts.app, name="alerts")
app.add_typer(alert_rules.app, name="alert-rules")
app.add_typer(watch_lists.app, name="watch-lists")
app.add_typer(keys.app, name="keys")
app.add_typer(retention.app, name="retention")
app.add_typer(backup.app, name="backup")
app.add_typer(audit.app, name="audit")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(certs.app, name="certs")
app.add_typer(models.app, name="models")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; prints what a failure has to tell."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    report = FailureReport(Talk(), as_json=wants_json(words))
    try:
        code = app(args=words, prog_name="dfip", standalone_mode=False)
    except SystemExit as end:  # completion and its installation end so
        code = end.code
    except ReaderGone:
        # what is still in the buffer would be written, and complained about, at the very end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.READER_GONE
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except typer.TyperException as wrong:
        code = report.usage(wrong)
    except Exception as error:  # the root of the process: a person reads what is printed here
        if os.environ.get("DFIP_DEBUG") == "1":
            raise
        code = report.failed(error if isinstance(error, CommandFailed) else _defect(error))
    return code if isinstance(code, int) else ExitCode.OK


def main() -> None:
    """Run the command that the shell named."""
    sys.exit(run())


def _defect(error: Exception) -> CommandFailed:
    return CommandFailed(
        "dfip failed in a way it should not; run it again with DFIP_DEBUG=1 to see where.",
        why=type(error).__name__,
    )


if __name__ == "__main__":
    main()
