"""The options that many commands share, so that they are spelled and explained once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.forms import Form

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


def _one_form(context: typer.Context, chosen: Any) -> Any:  # noqa: ANN401 - of either option
    """Refuse two forms that contradict each other; whichever is read second sees the first."""
    form, as_json = context.params.get("form"), context.params.get("as_json")
    if (form and chosen is True and form is not Form.JSON) or (
        as_json and isinstance(chosen, Form) and chosen is not Form.JSON
    ):
        raise typer.BadParameter("--json is short for -o json; leave one of the two out.")
    return chosen


AsJson = Annotated[
    bool, typer.Option("--json", metavar=FLAG, help="Short for -o json.", callback=_one_form)
]
"""The parameter has to be called `as_json`, and `OutputForm` stands beside it as `form`."""

OutputForm = Annotated[
    Form | None,
    typer.Option(
        "--output",
        "-o",
        metavar="table|json|jsonl|tsv",
        help="Form of what is printed. Without it: a table on a terminal, tab-separated full "
        "values in a pipe.",
        show_default=False,
        callback=_one_form,
    ),
]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        "-w",
        metavar=FLAG,
        help="Show it again whenever it changes, until Ctrl-C; in a pipe, a line for each change.",
    ),
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
