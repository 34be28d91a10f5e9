"""`dfip token …`: makes tokens for people and for somebody's own worker."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.commands.running import run
from cli.completion import complete_camera
from cli.failures import CommandFailed, ExitCode
from cli.options import AsJson, OutputForm, Server, TokenFile

app = typer.Typer(no_args_is_help=True, help="Make tokens.")


class TokenRole(StrEnum):
    """Roles that a person or somebody's own worker may have."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    WORKER = "worker"


@app.callback()
def _group() -> None:
    """Make `issue` a command of its own although it is the only one."""


@app.command()
def issue(
    *,
    role: Annotated[TokenRole, typer.Option(help="What it allows.", show_default=False)],
    camera: Annotated[
        str,
        typer.Option(
            metavar="ID|NAME",
            help="The camera, for a worker.",
            show_default=False,
            autocompletion=complete_camera,
        ),
    ] = "",
    subject: Annotated[
        str, typer.Option(help="Whom it is for, as the audit will name them.", show_default=False)
    ] = "",
    lifetime: Annotated[
        str, typer.Option(metavar="TIME", help="How long it lives: 90s, 30m, 12h, 7d.")
    ] = "1d",
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Print a new token, alone, on standard output."""
    from cli.client.access import find_access
    from cli.client.tokens import issue_token, parse_lifetime
    from cli.output import Output
    from cli.talk import Talk

    if (role is TokenRole.WORKER) != bool(camera):
        sentence = (
            "A worker's token is bound to a camera; name it with --camera."
            if role is TokenRole.WORKER
            else f"A {role.value}'s token is bound to no camera; leave --camera out."
        )
        raise CommandFailed(sentence, code=ExitCode.USAGE)
    run(
        issue_token(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            role=role.value,
            camera=camera,
            subject=subject,
            lifetime_s=parse_lifetime(lifetime),
        )
    )
