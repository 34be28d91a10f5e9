"""What every client command does around its own work: the event loop, and asking before harm."""

import sys
from collections.abc import Coroutine
from typing import Any

import typer

from cli.failures import CommandFailed, ExitCode


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a command's work to its end."""
    import asyncio  # starting it costs a tenth of what `dfip --help` takes

    asyncio.run(work)


def confirmed(question: str, *, yes: bool) -> None:
    """Go on if the caller said yes before or says so now.

    Raises:
        CommandFailed: nobody is there to be asked, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed(f"{question} Say so with --yes.", code=ExitCode.USAGE)
    if not typer.confirm(question, err=True):
        raise CommandFailed("Nothing was removed.")
