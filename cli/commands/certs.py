"""`dfip certs …`: certificates for services that speak to each other over a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, OutputForm

if TYPE_CHECKING:
    from datetime import datetime

app = typer.Typer(
    no_args_is_help=True, help="Make certificates for services on several machines, and show them."
)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="DIR",
        help="Where they are. Without it: certs in the data folder.",
        show_default=False,
    ),
]
Days = Annotated[int, typer.Option(min=1, max=825, metavar="DAYS", help="How long they hold.")]
Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="A machine's name or address that stands in the certificates beside the service's "
        "own, for tools that look for it; may be given several times.",
        show_default=False,
    ),
]


@app.command()
def init(
    *,
    folder: Folder = None,
    days: Days = 365,
    host: Hosts = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make the site's authority, and a certificate for each service.

    In a pipe: certificate, state, days left, end, names.
    """
    from cli.certificates.authority import SERVICES, make_authority, sign
    from cli.certificates.showing import show
    from cli.output import Output

    with _folder(folder) as place:
        make_authority(place, now=_now())
        for service in SERVICES:
            sign(place, service, now=_now(), days=days, hosts=host or ())
        show(place, Output(as_json=as_json, form=form), now=_now())


@app.command()
def renew(
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE]...", help="Which; all of them without."),
    ] = None,
    *,
    folder: Folder = None,
    days: Days = 365,
    host: Hosts = None,
    within: Annotated[
        int | None,
        typer.Option(
            metavar="DAYS", help="Only those that end within so many days, or are missing.", min=0
        ),
    ] = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make new certificates; services that run take them over by themselves.

    Hosts stay as they were, unless some are given. In a pipe: as `dfip certs init`.
    """
    from datetime import timedelta

    from cli.certificates.authority import SERVICES, sign, standings
    from cli.certificates.showing import show
    from cli.certificates.upkeep import ending
    from cli.failures import CommandFailed, ExitCode
    from cli.output import Output

    wanted = set(services or SERVICES)
    if unknown := wanted - set(SERVICES):
        raise CommandFailed(
            f"There is no service {', '.join(sorted(unknown))}; take one of {', '.join(SERVICES)}.",
            code=ExitCode.USAGE,
        )
    with _folder(folder) as place:
        if within is not None:
            wanted &= set(ending(standings(place), timedelta(days=within), now=_now()))
        for service in SERVICES:
            if service in wanted:
                sign(place, service, now=_now(), days=days, hosts=host)
        show(place, Output(as_json=as_json, form=form), now=_now())


@app.command("show")
def show_all(*, folder: Folder = None, as_json: AsJson = False, form: OutputForm = None) -> None:
    """Show for whom each certificate is and how long it holds; fails when one has ended.

    In a pipe: certificate, state, days left, end, names.
    """
    from cli.certificates.showing import show
    from cli.failures import CommandFailed
    from cli.output import Output

    with _folder(folder) as place:
        found = show(place, Output(as_json=as_json, form=form), now=_now())
    if ended := [shown.name for shown in found if shown.state == "ended"]:
        raise CommandFailed(
            f"Certificates have ended: {', '.join(ended)}; make new ones with `dfip certs renew`."
        )


@contextmanager
def _folder(wished: Path | None) -> Iterator[Path]:
    """Give the folder, and turn what is wrong with it into a sentence."""
    from cli.certificates.authority import CertificatesUnusable
    from cli.failures import CommandFailed, ExitCode
    from cli.places import certificates_dir, default_data_dir

    place = wished or certificates_dir(default_data_dir())
    try:
        yield place
    except CertificatesUnusable as error:
        raise CommandFailed(str(error), code=ExitCode.CONFLICT) from None
    except OSError as error:
        raise CommandFailed(
            f"The folder {place} cannot be used ({error.strerror}); correct its rights, or name "
            "another one with --dir."
        ) from None


def _now() -> "datetime":
    from datetime import UTC, datetime

    return datetime.now(UTC).replace(microsecond=0)
