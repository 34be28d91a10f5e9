"""`dfip keys …`: replaces the keys of the site, and shows which there are."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.commands.running import run
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile

app = typer.Typer(no_args_is_help=True, help="Replace the keys that seal values and sign tokens.")


class Which(StrEnum):
    """Keys that can be replaced."""

    ENCRYPTION = "encryption"
    SIGNING = "signing"
    BOTH = "both"
    MASTER = "master"


@app.command()
def status(
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the keys with what each of them still holds; no key is shown.

    In a pipe: kind, id, state, made, sealed values, end.
    """
    from cli.client.access import find_access
    from cli.client.keys import show_keys
    from cli.output import Output
    from cli.talk import Talk

    run(show_keys(find_access(server, token_file), Output(as_json=as_json, form=form), Talk()))


@app.command()
def rotate(
    *,
    which: Annotated[
        Which,
        typer.Option(
            help="encryption: what seals values; signing: what signs tokens; master: what wraps "
            "the keys of the database, in the key file."
        ),
    ] = Which.BOTH,
    revoke: Annotated[
        bool,
        typer.Option(
            "--revoke",
            metavar=FLAG,
            help="End every token that the older signing keys have signed, this command's too.",
        ),
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Replace keys; older values are sealed anew in the background."""
    from cli.client.access import find_access
    from cli.client.keys import rotate_keys
    from cli.output import Output
    from cli.talk import Talk

    run(
        rotate_keys(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            which=which.value,
            revoke=revoke,
        )
    )
