"""`dfip sightings`: who was seen, where and when."""

from typing import Annotated

import typer

from cli.commands.running import run
from cli.completion import complete_camera, complete_person
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile

_LISTED = 20


def sightings(
    *,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            "-f",
            "--watch",
            "-w",
            metavar=FLAG,
            help="Show sightings as they come, until Ctrl-C.",
        ),
    ] = False,
    camera: Annotated[
        str,
        typer.Option(
            metavar="ID|NAME",
            help="Only of this camera.",
            show_default=False,
            autocompletion=complete_camera,
        ),
    ] = "",
    person: Annotated[
        str,
        typer.Option(
            metavar="ID|NAME",
            help="Only of this person.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help="How many at most: 20, or no end with --follow.",
            show_default=False,
        ),
    ] = None,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show who was seen, newest first.

    In a pipe: id, seen, camera id, decision, person id, person, score, threshold, margin, frames,
    quality.
    """
    from cli.client.access import find_access
    from cli.client.sightings import follow_sightings, list_sightings
    from cli.output import Output
    from cli.talk import Talk

    access, output = find_access(server, token_file), Output(as_json=as_json, form=form)
    if follow:
        work = follow_sightings(access, output, Talk(), camera=camera, person=person, limit=limit)
    else:
        work = list_sightings(access, output, camera=camera, person=person, limit=limit or _LISTED)
    run(work)
