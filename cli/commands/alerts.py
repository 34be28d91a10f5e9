"""`dfip alerts …`: what rules have raised."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.commands.running import run
from cli.completion import complete_camera, complete_person
from cli.options import AsJson, OutputForm, Server, TokenFile

app = typer.Typer(no_args_is_help=True, help="List alerts, follow and acknowledge them.")

_LISTED = 50

Rule = Annotated[
    str, typer.Option(metavar="ID|NAME", help="Only of this rule.", show_default=False)
]
Camera = Annotated[
    str,
    typer.Option(
        metavar="ID|NAME",
        help="Only of this camera.",
        show_default=False,
        autocompletion=complete_camera,
    ),
]


class State(StrEnum):
    """Whether somebody looks after an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"


@app.command("list")
def list_(
    *,
    rule: Rule = "",
    camera: Camera = "",
    person: Annotated[
        str,
        typer.Option(
            metavar="ID|NAME",
            help="Only about this person.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ] = "",
    state: Annotated[
        State | None, typer.Option(help="Only in this state.", show_default=False)
    ] = None,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Only of the last 30m, 12h, 7d.", show_default=False),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = _LISTED,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List alerts, newest first.

    In a pipe: id, raised, severity, state, kind, rule, camera id, person id, sighting, message,
    acknowledged by, note.
    """
    from cli.client.access import find_access
    from cli.client.alerts import list_alerts
    from cli.client.tokens import parse_lifetime
    from cli.output import Output

    run(
        list_alerts(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            rule=rule,
            camera=camera,
            person=person,
            state=state.value if state is not None else "",
            since_s=parse_lifetime(since) if since else None,
            limit=limit,
        )
    )


@app.command()
def watch(
    *,
    rule: Rule = "",
    camera: Camera = "",
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="End after so many lines.", show_default=False),
    ] = None,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show alerts as they are raised and acknowledged, until Ctrl-C."""
    from cli.client.access import find_access
    from cli.client.alerts import watch_alerts
    from cli.output import Output
    from cli.talk import Talk

    run(
        watch_alerts(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            rule=rule,
            camera=camera,
            limit=limit,
        )
    )


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(metavar="ID", help="The alert.", show_default=False)],
    *,
    note: Annotated[
        str, typer.Option(help="What should be known about it.", show_default=False)
    ] = "",
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Say that somebody looks after an alert; the first who says so stays."""
    from cli.client.access import find_access
    from cli.client.alerts import acknowledge_alert
    from cli.output import Output

    run(
        acknowledge_alert(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            alert_id=alert,
            note=note,
        )
    )
