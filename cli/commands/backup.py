"""`dfip backup …`: makes, lists and restores backups."""

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.running import run
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile

app = typer.Typer(no_args_is_help=True, help="Make, list and restore backups.")


@app.command()
def create(
    *,
    with_keys: Annotated[
        bool,
        typer.Option(
            "--with-keys",
            metavar=FLAG,
            help="Put the key file in, too. Whoever has such a backup can read every secret.",
        ),
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make a backup on the machine of the control plane, and wait for it."""
    from cli.client.access import find_access
    from cli.client.backups import create_backup
    from cli.output import Output
    from cli.talk import Talk

    run(
        create_backup(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            with_keys=with_keys,
        )
    )


@app.command("list")
def list_(
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the backups, newest first.

    In a pipe: id, state, made, bytes, whether the keys are in it, path, reason.
    """
    from cli.client.access import find_access
    from cli.client.backups import list_backups
    from cli.output import Output

    run(list_backups(find_access(server, token_file), Output(as_json=as_json, form=form)))


@app.command()
def restore(
    backup: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the backup.", show_default=False)
    ],
    *,
    data_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Data folder to make.", show_default=False)
    ],
    ledger: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="List of erasures, which are done again. Without it: erasures.jsonl beside it.",
            show_default=False,
        ),
    ] = None,
    master_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Key file that the backup left out.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make a data folder of a backup, while nothing runs on it.

    For a backup of PostgreSQL, DFIP_DATABASE_URL names an empty database.
    """
    from cli.client.backups import restore_backup
    from cli.output import Output
    from cli.talk import Talk

    restore_backup(
        backup,
        data_dir=data_dir,
        ledger=ledger,
        master_key=master_key,
        output=Output(as_json=as_json, form=form),
        talk=Talk(),
    )
