"""`dfip status`: services, workers and cameras at one glance."""

from cli.commands.running import run
from cli.options import AsJson, OutputForm, Server, TokenFile, Watch


def status(
    *,
    watch: Watch = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Show how the services, the workers and the cameras are."""
    from cli.client.access import find_access
    from cli.client.status import show_status, watch_status
    from cli.output import Output
    from cli.talk import Talk
    from service_runtime.clock import SystemClock

    access, output = find_access(server, token_file), Output(as_json=as_json, form=form)
    if watch:
        run(watch_status(access, output, Talk(), SystemClock()))
    else:
        run(show_status(access, output, Talk()))
