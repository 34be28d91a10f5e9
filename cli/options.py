"""The options that many commands share, so that they are spelled and explained once."""

from pathlib import Path
from typing import Annotated

import typer

FLAG = ""
"""Metavar of an option that takes no value; without it the help would show a type to type."""

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Address of the site. Without it: DFIP_SERVER, else http://127.0.0.1:3001.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="File that holds the token. Without it: DFIP_TOKEN, DFIP_TOKEN_FILE, else the admin "
        "token in the default data folder.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", metavar=FLAG, help="Print JSON on standard output.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar=FLAG, help="Do not ask.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of the database, keys and logs. Without it: DFIP_DATA_DIR, else "
        "~/.local/share/dfip.",
        show_default=False,
    ),
]
HttpPort = Annotated[
    int | None,
    typer.Option(
        "--http-port",
        min=0,
        max=65535,
        metavar="PORT",
        help="Port of REST and gRPC; 0 takes any free one. Without it: 3001.",
        show_default=False,
    ),
]
