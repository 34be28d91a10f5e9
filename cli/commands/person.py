"""`dfip person …`: enrols people, lists and erases them."""

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.running import confirmed, run
from cli.completion import complete_person
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile, Yes

app = typer.Typer(no_args_is_help=True, help="Enrol people, list and erase them.")


@app.command()
def add(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the person.", show_default=False)
    ],
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO...",
            help="Photographs that show the person alone: JPEG, PNG or WebP, 10 MiB at most.",
            show_default=False,
        ),
    ],
    *,
    face_index: Annotated[
        int | None,
        typer.Option(
            "--face-index",
            min=0,
            max=1000,
            metavar="N",
            help="Which face, where a photograph shows several: 0 is the largest.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            metavar=FLAG,
            help="Enrol a face that is poor or seems to be somebody else's.",
        ),
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Enrol a person from photographs."""
    from cli.client.access import find_access
    from cli.client.persons import add_person
    from cli.client.photos import read_photos
    from cli.output import Output
    from cli.talk import Talk

    pictures = read_photos(photos)
    run(
        add_person(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            name=name,
            photos=pictures,
            face_index=face_index,
            force=force,
        )
    )


@app.command("list")
def list_(
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the people.

    In a pipe: id, name, faces, last seen.
    """
    from cli.client.access import find_access
    from cli.client.persons import print_persons
    from cli.output import Output

    run(print_persons(find_access(server, token_file), Output(as_json=as_json, form=form)))


@app.command()
def rm(
    person: Annotated[
        str,
        typer.Argument(
            metavar="ID|NAME",
            help="The person.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ],
    *,
    yes: Yes = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Erase a person with faces, sightings and pictures, and print the receipt."""
    from cli.client.access import find_access
    from cli.client.persons import remove_person
    from cli.output import Output

    access = find_access(server, token_file)
    confirmed(f"Erase {person} with all faces, sightings and pictures?", yes=yes)
    run(remove_person(access, Output(as_json=as_json, form=form), person=person))


@app.command("add-face")
def add_face(
    person: Annotated[
        str,
        typer.Argument(
            metavar="ID|NAME",
            help="The person.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ],
    photos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTO...", help="More photographs.", show_default=False),
    ] = None,
    *,
    sighting: Annotated[
        str,
        typer.Option(
            metavar="ID",
            help="Enrol the face of this sighting, and label it as the person's.",
            show_default=False,
        ),
    ] = "",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            metavar=FLAG,
            help="Enrol a face that is poor or seems to be somebody else's.",
        ),
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Enrol more faces of a person, from photographs or from a sighting."""
    from cli.client.access import find_access
    from cli.client.identity import add_faces
    from cli.client.photos import read_photos
    from cli.output import Output
    from cli.talk import Talk

    if not photos and not sighting:
        raise typer.BadParameter("Name a photograph, or a sighting with --sighting.")
    pictures = read_photos(photos or [])
    run(
        add_faces(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            person=person,
            photos=pictures,
            sighting=sighting,
            force=force,
        )
    )


@app.command()
def merge(
    stays: Annotated[
        str,
        typer.Argument(
            metavar="STAYS",
            help="Id or name of the record that stays.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ],
    goes: Annotated[
        str,
        typer.Argument(
            metavar="GOES",
            help="Id or name of the record that goes.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ],
    *,
    yes: Yes = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make two records of one person into one: faces and sightings of GOES become STAYS's."""
    from cli.client.access import find_access
    from cli.client.identity import merge_persons
    from cli.output import Output

    access = find_access(server, token_file)
    confirmed(f"Merge {goes} into {stays}? This cannot be undone.", yes=yes)
    run(merge_persons(access, Output(as_json=as_json, form=form), stays=stays, goes=goes))
