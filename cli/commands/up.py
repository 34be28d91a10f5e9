"""`dfip up`: runs the mesh in the foreground until Ctrl-C or SIGTERM."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import FLAG, AsJson, DataDir, HttpPort, OutputForm
from cli.places import DEFAULT_PORT, default_data_dir


def up(
    *,
    data_dir: DataDir = None,
    http_port: HttpPort = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    media_root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Files below it may be cameras (file://…). Without it: media in the data folder.",
            show_default=False,
        ),
    ] = None,
    pack: Annotated[str, typer.Option(metavar="NAME", help="Model pack.")] = "builtin",
    cameras_per_worker: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            min=1,
            max=64,
            help="Cameras that share a worker's process. Without it: 1, each has its own.",
            show_default=False,
        ),
    ] = None,
    telemetry_apart: Annotated[
        bool,
        typer.Option(
            "--telemetry-apart", help="Run telemetry as a process of its own (PostgreSQL only)."
        ),
    ] = False,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            metavar=FLAG,
            help="Have the services speak TLS both ways over ports of this machine; certificates "
            "are made below the data folder, and renewed at a start.",
        ),
    ] = False,
    camera_networks: Annotated[
        str,
        typer.Option(
            metavar="CIDR,…",
            help="The only networks that cameras may be in, such as 192.168.7.0/24. Without it: "
            "any but loopback and link-local ones. Addresses of cloud metadata never.",
            show_default=False,
        ),
    ] = "",
    camera_ca_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Certificates (PEM) that rtsps:// and https:// cameras are checked with, in place "
            "of the machine's authorities.",
            show_default=False,
        ),
    ] = None,
    allow_devices: Annotated[
        bool,
        typer.Option(
            "--allow-devices",
            metavar=FLAG,
            help="Let cameras be devices of this machine (v4l2:///dev/video0).",
        ),
    ] = False,
    allow_hls: Annotated[
        bool,
        typer.Option(
            "--allow-hls",
            metavar=FLAG,
            help="Let http:// and https:// cameras answer with an HLS playlist; its segments have "
            "to be at the camera itself.",
        ),
    ] = False,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Run all of DFIP on this machine, in the foreground."""
    from cli.output import Output
    from cli.supervisor.cameras import CameraWish
    from cli.supervisor.foreground import run_in_foreground
    from cli.supervisor.site import SiteWish

    run_in_foreground(
        SiteWish(
            data_dir=data_dir or default_data_dir(),
            host=host,
            http_port=DEFAULT_PORT if http_port is None else http_port,
            media_root=media_root,
            pack_id=pack,
            cameras_per_worker=cameras_per_worker,
            telemetry_apart=telemetry_apart,
            tls=tls,
            cameras=CameraWish(
                networks=camera_networks,
                ca_file=camera_ca_file,
                devices=allow_devices,
                hls=allow_hls,
            ),
        ),
        Output(as_json=as_json, form=form),
    )
