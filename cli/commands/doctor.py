"""`dfip doctor`: whether a site can run here, and how the one that runs is."""

import os
from typing import Annotated

import typer

from cli.commands.running import run
from cli.options import AsJson, DataDir, HttpPort, OutputForm, Server, TokenFile
from cli.places import DEFAULT_PORT, default_data_dir


def doctor(
    *,
    data_dir: DataDir = None,
    http_port: HttpPort = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address that the site listens on.")
    ] = "127.0.0.1",
    pack: Annotated[str, typer.Option(metavar="NAME", help="Model pack.")] = "builtin",
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Look whether DFIP can run on this machine, and how the site that runs is.

    Each line is ok, warn or fail, with what to do; ends with 1 where one is fail. In a pipe: check,
    verdict, found, what to do.
    """
    from cli.doctor.examination import Patient, examine
    from cli.output import Output

    patient = Patient(
        data_dir=data_dir or default_data_dir(),
        host=host,
        port=DEFAULT_PORT if http_port is None else http_port,
        pack_id=pack,
        server=server or os.environ.get("DFIP_SERVER"),
        token_file=token_file,
    )
    run(examine(patient, Output(as_json=as_json, form=form)))
