"""`dfip audit …`: who did what."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.commands.running import run
from cli.options import AsJson, OutputForm, Server, TokenFile

app = typer.Typer(no_args_is_help=True, help="Show who did what.")


class Outcome(StrEnum):
    """How a call ended that left a trace."""

    DONE = "done"
    REFUSED = "refused"


@app.callback()
def _group() -> None:
    """Make `list` a command of its own although it is the only one."""


@app.command("list")
def list_(
    *,
    actor: Annotated[
        str, typer.Option(help="Only of whoever the token was made for.", show_default=False)
    ] = "",
    action: Annotated[
        str, typer.Option(help="Only this action, such as camera.update.", show_default=False)
    ] = "",
    kind: Annotated[
        str, typer.Option(help="Only about things of this kind: camera.", show_default=False)
    ] = "",
    object_id: Annotated[
        str,
        typer.Option(
            "--object",
            metavar="ID",
            help="Only about this thing and its parts.",
            show_default=False,
        ),
    ] = "",
    outcome: Annotated[
        Outcome | None, typer.Option(help="Only what ended so.", show_default=False)
    ] = None,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Only of the last 30m, 12h, 7d.", show_default=False),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show changes, looks at faces and refused calls, newest first.

    In a pipe: id, at, actor, role, action, object, within, fields, outcome, reason, count, from,
    token, request.
    """
    from cli.client.access import find_access
    from cli.client.audit import list_audit
    from cli.client.tokens import parse_lifetime
    from cli.output import Output
    from dfip.control_plane.v1.audit_service_pb2 import ListAuditEntriesRequest

    run(
        list_audit(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            wanted=ListAuditEntriesRequest(
                actor=actor,
                action=action,
                object_kind=kind,
                object_id=object_id,
                outcome=outcome.value if outcome is not None else "",
            ),
            since_s=parse_lifetime(since) if since else None,
            limit=limit,
        )
    )
