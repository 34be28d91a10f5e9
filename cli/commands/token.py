"""`dfip token …`: makes tokens for people and for somebody's own worker, lists and ends them."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.commands.running import confirmed, run
from cli.completion import complete_camera
from cli.failures import CommandFailed, ExitCode
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile, Yes

app = typer.Typer(no_args_is_help=True, help="Make tokens, and end them.")


class TokenRole(StrEnum):
    """Roles that a person or somebody's own worker may have."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    WORKER = "worker"


@app.command()
def issue(
    *,
    role: Annotated[TokenRole, typer.Option(help="What it allows.", show_default=False)],
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|NAME",
            help="The camera of a worker; or the cameras that a viewer or an operator sees, all "
            "without it; may be repeated.",
            show_default=False,
            autocompletion=complete_camera,
        ),
    ] = None,
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

    cameras = camera or []
    if role is TokenRole.WORKER and len(cameras) != 1:
        raise CommandFailed(
            "A worker's token is bound to one camera; name it with --camera.", code=ExitCode.USAGE
        )
    if role is TokenRole.ADMIN and cameras:
        raise CommandFailed(
            "An admin's token is for all cameras; leave --camera out.", code=ExitCode.USAGE
        )
    run(
        issue_token(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            role=role.value,
            cameras=cameras,
            subject=subject,
            lifetime_s=parse_lifetime(lifetime),
        )
    )


@app.command("list")
def list_(
    *,
    subject: Annotated[
        str, typer.Option(help="Only of whom they are for.", show_default=False)
    ] = "",
    role: Annotated[
        TokenRole | None, typer.Option(help="Only of this role.", show_default=False)
    ] = None,
    ended: Annotated[
        bool,
        typer.Option(
            "--all", "-a", metavar=FLAG, help="Those too that have expired or were revoked."
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the tokens that hold, newest first; their text is kept nowhere.

    In a pipe: id, subject, role, cameras, issued, expires, issued by, revoked, revoked by.
    """
    from cli.client.access import find_access
    from cli.client.tokens import list_tokens
    from cli.output import Output
    from dfip.control_plane.v1.token_service_pb2 import ListTokensRequest

    run(
        list_tokens(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            wanted=ListTokensRequest(
                subject=subject, role=role.value if role is not None else "", in_force=not ended
            ),
            limit=limit,
        )
    )


@app.command()
def revoke(
    token_id: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID", help="Id of a token; several are possible.", show_default=False
        ),
    ] = None,
    *,
    subject: Annotated[
        str,
        typer.Option(help="Every token of whom they are for, from before now.", show_default=False),
    ] = "",
    yes: Yes = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """End tokens before their time: those with these ids, or all of a subject.

    In a pipe: a line for each, `token` or `subject`, and which.
    """
    from cli.client.access import find_access
    from cli.client.tokens import Revocation, revoke_tokens
    from cli.output import Output
    from cli.talk import Talk

    ids = token_id or []
    if bool(ids) == bool(subject):
        raise CommandFailed(
            "Name tokens by their ids, or a subject with --subject; `dfip token list` shows both.",
            code=ExitCode.USAGE,
        )
    if subject:
        confirmed(f"End every token of {subject!r}?", yes=yes)
    revocations = [Revocation(kind="token", name=one) for one in ids] or [
        Revocation(kind="subject", name=subject)
    ]
    run(
        revoke_tokens(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            revocations=revocations,
        )
    )
