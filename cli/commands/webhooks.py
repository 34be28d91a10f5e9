"""`dfip webhooks …`: has events posted to receivers, and shows how that goes."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.running import confirmed, run
from cli.completion import complete_camera, complete_webhook
from cli.failures import CommandFailed, ExitCode
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile, Yes

app = typer.Typer(
    no_args_is_help=True, help="Have events posted to receivers, and see how that goes."
)

_LONGEST_LINE = 4096

Webhook = Annotated[
    str,
    typer.Argument(
        metavar="ID|NAME",
        help="The webhook.",
        show_default=False,
        autocompletion=complete_webhook,
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE",
        help="File that holds the secret, whsec_…. Without it one is made.",
        show_default=False,
    ),
]


class State(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)
    ],
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="https://…, or - to read it from standard input, where no process list shows a "
            "token in it.",
            show_default=False,
        ),
    ],
    *,
    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE",
            help="Type of events, such as alert.raised, camera.* or '*'; may be repeated. Without "
            "it: alert.raised.",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|NAME",
            help="Only events of this camera; may be repeated.",
            show_default=False,
            autocompletion=complete_camera,
        ),
    ] = None,
    secret_file: SecretFile = None,
    disabled: Annotated[
        bool, typer.Option("--disabled", metavar=FLAG, help="Post nothing yet.")
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Register a webhook, and print it with its secret, which is told this once."""
    from cli.client.access import find_access
    from cli.client.webhooks import create_webhook
    from cli.output import Output
    from cli.talk import Talk

    address = sys.stdin.readline(_LONGEST_LINE).strip() if url == "-" else url
    if not address:
        raise CommandFailed(
            "There is no URL on standard input; write it there or in place of -.",
            code=ExitCode.USAGE,
        )
    run(
        create_webhook(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            name=name,
            url=address,
            event_types=event or [],
            cameras=camera or [],
            enabled=not disabled,
            secret=_secret(secret_file),
        )
    )


@app.command("list")
def list_(
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the webhooks.

    In a pipe: id, name, enabled, why not, events, url, cameras, dropped.
    """
    from cli.client.access import find_access
    from cli.client.webhooks import list_webhooks
    from cli.output import Output

    run(list_webhooks(find_access(server, token_file), Output(as_json=as_json, form=form)))


@app.command()
def show(
    webhook: Webhook,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show one webhook."""
    from cli.client.access import find_access
    from cli.client.webhooks import show_webhook
    from cli.output import Output

    access = find_access(server, token_file)
    run(show_webhook(access, Output(as_json=as_json, form=form), webhook=webhook))


@app.command()
def enable(
    webhook: Webhook,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Post events from now on, after a receiver answered 410 for instance."""
    from cli.client.access import find_access
    from cli.client.webhooks import set_enabled
    from cli.output import Output

    access = find_access(server, token_file)
    run(set_enabled(access, Output(as_json=as_json, form=form), webhook=webhook, enabled=True))


@app.command()
def disable(
    webhook: Webhook,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Post nothing for now."""
    from cli.client.access import find_access
    from cli.client.webhooks import set_enabled
    from cli.output import Output

    access = find_access(server, token_file)
    run(set_enabled(access, Output(as_json=as_json, form=form), webhook=webhook, enabled=False))


@app.command()
def delete(
    webhook: Webhook,
    *,
    yes: Yes = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Remove a webhook and its deliveries."""
    from cli.client.access import find_access
    from cli.client.webhooks import delete_webhook
    from cli.output import Output
    from cli.talk import Talk

    access = find_access(server, token_file)
    confirmed(f"Remove the webhook {webhook} and its deliveries?", yes=yes)
    run(delete_webhook(access, Output(as_json=as_json, form=form), Talk(), webhook=webhook))


@app.command("test")
def try_(
    webhook: Webhook,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Post a test, and say whether it arrived.

    In a pipe: id, event, state, attempts, status, reason, queued, next attempt, sequence.
    """
    from cli.client.access import find_access
    from cli.client.webhooks import try_webhook
    from cli.output import Output

    access = find_access(server, token_file)
    run(try_webhook(access, Output(as_json=as_json, form=form), webhook=webhook))


@app.command()
def deliveries(
    webhook: Webhook,
    *,
    state: Annotated[
        State | None, typer.Option(help="Only those that are so far.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List what was posted and what waits, newest first.

    In a pipe: id, event, state, attempts, status, reason, queued, next attempt, sequence.
    """
    from cli.client.access import find_access
    from cli.client.webhooks import list_deliveries
    from cli.output import Output

    run(
        list_deliveries(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            webhook=webhook,
            state=state.value if state is not None else "",
            limit=limit,
        )
    )


@app.command()
def replay(
    webhook: Webhook,
    delivery: Annotated[
        str, typer.Argument(metavar="DELIVERY", help="Id of the delivery.", show_default=False)
    ],
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Post something again that arrived before or was given up."""
    from cli.client.access import find_access
    from cli.client.webhooks import replay_delivery
    from cli.output import Output

    access, output = find_access(server, token_file), Output(as_json=as_json, form=form)
    run(replay_delivery(access, output, webhook=webhook, delivery=delivery))


@app.command("rotate-secret")
def rotate_secret(
    webhook: Webhook,
    *,
    secret_file: SecretFile = None,
    revoke_old: Annotated[
        bool,
        typer.Option(
            "--revoke-old",
            metavar=FLAG,
            help="The secrets so far stop signing at once, because others know them.",
        ),
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Take a new secret, told this once; the old one signs too for a day."""
    from cli.client.access import find_access
    from cli.client.webhooks import rotate_secret as rotate
    from cli.output import Output
    from cli.talk import Talk

    run(
        rotate(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            Talk(),
            webhook=webhook,
            secret=_secret(secret_file),
            revoke_old=revoke_old,
        )
    )


def _secret(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        with file.expanduser().open(encoding="ascii") as opened:
            secret = opened.read(_LONGEST_LINE).strip()
    except (OSError, ValueError):
        secret = ""
    if not secret:
        raise CommandFailed(
            f"{file} holds no secret that can be read; write whsec_… into it.", code=ExitCode.USAGE
        )
    return secret
