"""`dfip models …`: the model packs of this machine, and quantised variants of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, OutputForm, Server, TokenFile

if TYPE_CHECKING:
    from cli.models.faces import LabelledPicture

app = typer.Typer(no_args_is_help=True, help="List model packs, and make smaller, faster ones.")


@app.command("list")
def list_(*, as_json: AsJson = False, form: OutputForm = None) -> None:
    """List the model packs, and the quantised variants made on this machine.

    In a pipe: pack, detector, embedder, precision, on this machine, thresholds, cosine to fp32.
    """
    from cli.models.quantizing import list_packs
    from cli.output import Output

    list_packs(Output(as_json=as_json, form=form))


@app.command()
def quantize(
    pack: Annotated[
        str, typer.Argument(metavar="PACK", help="Pack to start from.", show_default=False)
    ],
    *,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Photographs of faces, 36 faces at least; pictures in a folder within are of one "
            "person. Without it: the crops of the site's newest sightings.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=36, max=1000, metavar="N", help="Sightings to look at.")
    ] = 500,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make a variant of a pack that embeds in 8-bit integers, if it is as accurate.

    It is measured on faces that it was not calibrated with, and refused with its figures where it
    falls short. A variant is a pack of its own. In a pipe: pack, base, faces, held out, cosine mean
    and least, pairs, decided otherwise, largest shift, scores, ms a face, folder.
    """
    from cli.client.access import find_access
    from cli.models.faces import pictures_of_folder, sightings_now
    from cli.models.quantizing import quantize as make
    from cli.output import Output
    from cli.talk import Talk

    def gather() -> "Iterable[LabelledPicture]":
        if pictures is not None:
            return pictures_of_folder(pictures)
        return sightings_now(find_access(server, token_file), limit=limit)

    make(pack, gather, Output(as_json=as_json, form=form), Talk())
