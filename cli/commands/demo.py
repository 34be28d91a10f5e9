"""`dfip demo`: from nothing to a first sighting in one command."""

from pathlib import Path
from typing import Annotated

import typer

from cli.failures import CommandFailed, ExitCode
from cli.options import FLAG, AsJson, OutputForm


def demo(
    *,
    until_match: Annotated[
        bool, typer.Option("--until-match", metavar=FLAG, help="End with 0 at the first match.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            metavar="SECONDS",
            help="With --until-match: end with 1 and the reason after this time.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            metavar="URL|FILE",
            help="Watch this camera or video file instead of the demo clip; - reads the URL from "
            "standard input.",
            show_default=False,
        ),
    ] = "",
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PHOTO",
            help="With --source: whom to look for; may be given several times.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the database, keys and logs, kept at the end. Without it: a temporary "
            "one.",
            show_default=False,
        ),
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port of REST and gRPC. Without it: 3001, or any free one where that is taken.",
            show_default=False,
        ),
    ] = None,
    make_clip: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="PHOTO OUT.mp4",
            help="Only make a camera clip from a photograph.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Run DFIP on a moving clip of an astronaut's portrait and show her sightings.

    Everything lives in a temporary folder that is removed at the end, unless --data-dir names one.
    """
    if make_clip is not None:
        from cli.demo.clips import make_clip_from

        make_clip_from(*make_clip)
        return
    if person and not source:
        raise CommandFailed(
            "--person goes with --source; a photograph becomes a source with --make-clip.",
            code=ExitCode.USAGE,
        )
    from cli.demo.journey import DemoWish, run_demo
    from cli.output import Output

    run_demo(
        DemoWish(
            until_match=until_match,
            timeout_s=timeout,
            source=source,
            persons=tuple(person or ()),
            data_dir=data_dir,
            http_port=http_port,
        ),
        Output(as_json=as_json, form=form),
    )
