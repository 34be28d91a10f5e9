"""`dfip camera …`: registers cameras, starts and stops them, shows what they see."""

import sys
from typing import Annotated

import typer

from cli.commands.running import confirmed, run
from cli.completion import complete_camera
from cli.failures import CommandFailed, ExitCode
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile, Watch, Yes

app = typer.Typer(no_args_is_help=True, help="Register, start and stop cameras; see what they see.")

_LONGEST_URL = 4096

Camera = Annotated[
    str,
    typer.Argument(
        metavar="ID|NAME",
        help="The camera.",
        show_default=False,
        autocompletion=complete_camera,
    ),
]


@app.command()
def add(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)
    ],
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="rtsp(s)://…, http(s)://…, file://… below the media root, v4l2:///dev/video0 "
            "where devices are allowed, or - to read it from standard input, where no process list "
            "shows its password.",
            show_default=False,
        ),
    ],
    *,
    location: Annotated[str, typer.Option(help="Where it hangs.")] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    start: Annotated[bool, typer.Option("--start", metavar=FLAG, help="Start it at once.")] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Register a camera."""
    from cli.client.access import find_access
    from cli.client.cameras import add_camera, url_of
    from cli.output import Output

    connection_string = sys.stdin.readline(_LONGEST_URL).strip() if url == "-" else url
    if not connection_string:
        raise CommandFailed(
            "There is no URL on standard input; write it there or in place of -.",
            code=ExitCode.USAGE,
        )
    run(
        add_camera(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            name=name,
            connection_string=url_of(connection_string),
            location=location,
            description=description,
            start=start,
        )
    )


@app.command("list")
def list_(
    *,
    watch: Watch = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the cameras with what is observed of each.

    In a pipe: id, name, wanted, worker, health, reason, next try, last contact, location.
    """
    from cli.client.access import find_access
    from cli.client.cameras import list_cameras, watch_cameras
    from cli.output import Output
    from cli.talk import Talk
    from service_runtime.clock import SystemClock

    access, output = find_access(server, token_file), Output(as_json=as_json, form=form)
    if watch:
        run(watch_cameras(access, output, Talk(), SystemClock()))
    else:
        run(list_cameras(access, output, Talk()))


@app.command()
def start(
    camera: Camera,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Start a camera."""
    _set_status(camera, "enabled", server, token_file, as_json=as_json, form=form)


@app.command()
def stop(
    camera: Camera,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Stop a camera."""
    _set_status(camera, "disabled", server, token_file, as_json=as_json, form=form)


@app.command()
def rm(
    camera: Camera,
    *,
    yes: Yes = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Remove a camera, with its sightings."""
    from cli.client.access import find_access
    from cli.client.cameras import remove_camera
    from cli.output import Output
    from cli.talk import Talk

    access = find_access(server, token_file)
    confirmed(f"Remove the camera {camera} with all its sightings?", yes=yes)
    run(remove_camera(access, Output(as_json=as_json, form=form), Talk(), camera=camera))


@app.command()
def snapshot(
    camera: Camera,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Where to put the JPEG; - is standard output.", show_default=True
        ),
    ] = "snapshot.jpg",
    *,
    longest_side: Annotated[
        int, typer.Option(metavar="PIXELS", min=0, max=3840, help="0 is 1280.", show_default=False)
    ] = 0,
    plain: Annotated[
        bool, typer.Option("--plain", metavar=FLAG, help="Without faces, names and zones drawn in.")
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Save what a camera sees now, with faces, names and zones drawn in."""
    from cli.client.access import find_access
    from cli.client.pictures import save_snapshot
    from cli.output import Output
    from cli.talk import Talk

    run(
        save_snapshot(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            camera=camera,
            file=file,
            longest_side=longest_side,
            plain=plain,
        )
    )


@app.command()
def live(
    camera: Camera,
    *,
    show: Annotated[
        bool, typer.Option("--open", metavar=FLAG, help="Open it in the browser at once.")
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Print an address at which a browser sees a camera live; it lets in for a minute."""
    from cli.client.access import find_access
    from cli.client.pictures import show_live
    from cli.output import Output
    from cli.talk import Talk

    run(
        show_live(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            camera=camera,
            show=show,
        )
    )


def _set_status(
    camera: str,
    status: str,
    server: Server,
    token_file: TokenFile,
    *,
    as_json: bool,
    form: OutputForm,
) -> None:
    from cli.client.access import find_access
    from cli.client.cameras import set_camera_status
    from cli.output import Output

    run(
        set_camera_status(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            camera=camera,
            status=status,
        )
    )
