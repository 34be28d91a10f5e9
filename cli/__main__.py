"""The entry of the `dfip` command: puts the commands together and prints how they fail.

Imports nothing but the commands' names and options, so that `dfip --help` answers at once; what a
command does is loaded when it runs. Exit codes are in `cli.failures`.
"""

import os
import sys
from collections.abc import Sequence

import typer

from cli.commands import camera, person, token
from cli.commands.demo import demo
from cli.commands.sightings import sightings
from cli.commands.status import status
from cli.commands.up import up
from cli.failures import CommandFailed, ExitCode
from cli.talk import Talk

_INTERRUPTED = 130

_EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 conflict, "
    "6 not reachable, 7 took too long. Data goes to standard output, everything else to standard "
    "error. In a pipe, lists are tab-separated."
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
app.command()(status)
app.add_typer(token.app, name="token")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; prints the sentence of a failure."""
    talk = Talk()
    try:
        app(args=arguments, prog_name="dfip")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.FAILED
    except CommandFailed as failure:
        _explain(failure, talk)
        if os.environ.get("DFIP_DEBUG") == "1":
            raise
        return failure.code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # the root of the process: a person reads what is printed here
        if os.environ.get("DFIP_DEBUG") == "1":
            raise
        talk.say(
            f"dfip failed in a way it should not ({type(error).__name__}); run it again with "
            "DFIP_DEBUG=1 to see where.",
            "error",
        )
        return ExitCode.FAILED
    return ExitCode.OK


def main() -> None:
    """Run the command that the shell named."""
    sys.exit(run())


def _explain(failure: CommandFailed, talk: Talk) -> None:
    talk.say(failure.sentence, "error")
    if failure.request_id:
        talk.say(f"(request {failure.request_id})")


if __name__ == "__main__":
    main()
