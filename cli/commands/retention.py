"""`dfip retention …`: shows and sets how long things are kept."""

from typing import Annotated

import typer

from cli.commands.running import run
from cli.failures import CommandFailed, ExitCode
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile

app = typer.Typer(no_args_is_help=True, help="Show and set how long things are kept.")


@app.command()
def show(
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show for how many days things are kept.

    In a pipe: events, sightings, telemetry, alerts, webhooks, audit, when it was set.
    """
    from cli.client.access import find_access
    from cli.client.retention import show_retention
    from cli.output import Output

    run(show_retention(find_access(server, token_file), Output(as_json=as_json, form=form)))


@app.command("set")
def set_(
    *,
    events: Annotated[
        float | None, typer.Option(metavar="DAYS", help="How far the change feed goes back.")
    ] = None,
    sightings: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Sightings and their pictures.")
    ] = None,
    telemetry: Annotated[float | None, typer.Option(metavar="DAYS", help="Telemetry.")] = None,
    alerts: Annotated[float | None, typer.Option(metavar="DAYS", help="Alerts.")] = None,
    webhooks: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Deliveries of webhooks.")
    ] = None,
    audit: Annotated[float | None, typer.Option(metavar="DAYS", help="Audit rows.")] = None,
    now: Annotated[
        bool, typer.Option("--now", metavar=FLAG, help="Remove what is too old at once.")
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Set for how many days things are kept; what is left out stays as it is."""
    from cli.client.access import find_access
    from cli.client.retention import set_retention
    from cli.output import Output
    from cli.talk import Talk

    named = {
        "event_days": events,
        "sighting_days": sightings,
        "telemetry_days": telemetry,
        "alert_days": alerts,
        "webhook_days": webhooks,
        "audit_days": audit,
    }
    days = {name: value for name, value in named.items() if value is not None}
    if not days and not now:
        raise CommandFailed(
            "There is nothing to set; name the days, such as --sightings 30.", code=ExitCode.USAGE
        )
    run(
        set_retention(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            days=days,
            now=now,
        )
    )
