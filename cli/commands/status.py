"""`dfip status`: services, workers and cameras at one glance."""

from cli.commands.running import run
from cli.options import AsJson, OutputForm, Server, TokenFile


def status(
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show how the services, the workers and the cameras are."""
    from cli.client.access import find_access
    from cli.client.status import show_status
    from cli.output import Output
    from cli.talk import Talk

    run(show_status(find_access(server, token_file), Output(as_json=as_json, form=form), Talk()))
