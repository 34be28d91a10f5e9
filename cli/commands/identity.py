"""`dfip label` and `dfip search`: who it was, in a person's word or by a photograph."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.running import run
from cli.completion import complete_camera, complete_person
from cli.options import AsJson, OutputForm, Server, TokenFile

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


class Label(StrEnum):
    """What can be said of a sighting."""

    CONFIRM = "confirm"
    REJECT = "reject"
    MOVE = "move"


def label(
    sighting: Annotated[
        str, typer.Argument(metavar="SIGHTING", help="Id of the sighting.", show_default=False)
    ],
    word: Annotated[
        Label,
        typer.Argument(
            metavar="confirm|reject|move",
            help="It is the person that was decided; it is not; it is PERSON.",
            show_default=False,
        ),
    ],
    person: Annotated[
        str,
        typer.Argument(
            metavar="ID|NAME",
            help="Who it is, for `move`.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ] = "",
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Say who a sighting was, or was not; your word outweighs the camera's."""
    from cli.client.access import find_access
    from cli.client.identity import label_sighting
    from cli.output import Output

    run(
        label_sighting(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            sighting=sighting,
            label=word.value,
            person=person,
        )
    )


def search(
    photo: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTO", help="JPEG, PNG or WebP, 10 MiB at most.", show_default=False
        ),
    ],
    *,
    camera: Annotated[
        str,
        typer.Option(
            metavar="ID|NAME",
            help="Compare with past sightings of this camera, too.",
            show_default=False,
            autocompletion=complete_camera,
        ),
    ] = "",
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=_TIMES,
            metavar="TIME",
            help="Compare with sightings from this time on, too; local time unless it says its"
            " offset.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=_TIMES,
            metavar="TIME",
            help="Compare with sightings before this time, too.",
            show_default=False,
        ),
    ] = None,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Say who is on a photograph. Every search leaves a row in the audit.

    In a pipe: decision, person id, person, score, quality, box, ids of past sightings.
    """
    from cli.client.access import find_access
    from cli.client.identity import search_photo
    from cli.client.photos import read_photo
    from cli.output import Output
    from cli.talk import Talk

    picture = read_photo(photo)
    run(
        search_photo(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            photo=picture,
            camera=camera,
            since=since,
            until=until,
        )
    )
