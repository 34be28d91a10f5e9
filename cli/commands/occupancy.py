"""`dfip occupancy`: how many people a camera saw, and when."""

from typing import Annotated

import typer

from cli.commands.camera import Camera
from cli.commands.running import run
from cli.options import AsJson, OutputForm, Server, TokenFile


def occupancy(
    camera: Camera,
    *,
    zone: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Only in this zone, not in the whole picture.", show_default=False
        ),
    ] = "",
    hours: Annotated[float, typer.Option(min=0.01, max=168, help="How far back.")] = 1.0,
    bucket: Annotated[
        int, typer.Option(min=1, max=604_800, metavar="SECONDS", help="Length of a line.")
    ] = 60,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show how many people a camera saw, oldest first.

    In a pipe: from, people on average, fewest, most, came, went, samples, confidence.
    """
    from cli.client.access import find_access
    from cli.client.occupancy import show_occupancy
    from cli.output import Output
    from service_runtime.clock import SystemClock

    run(
        show_occupancy(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            SystemClock(),
            camera=camera,
            zone=zone,
            hours=hours,
            bucket_s=bucket,
        )
    )
