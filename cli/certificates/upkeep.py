"""Which certificates have to be made now, and how each stands: for people and for `dfip up`."""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cli.certificates.authority import (
    AUTHORITY,
    SERVICES,
    Standing,
    make_authority,
    sign,
    standings,
)

DAYS: Final = 365
SOON: Final = timedelta(days=30)
"""`dfip up --tls` makes those anew that end within this time."""
LATE: Final = timedelta(days=14)
"""`dfip doctor` warns of those that end within this time."""


def ending(found: Collection[Standing], within: timedelta, *, now: datetime) -> list[str]:
    """Return the names of what is missing or ends within the time."""
    return [s.name for s in found if s.expires_at is None or s.expires_at <= now + within]


def state_of(standing: Standing, *, now: datetime) -> str:
    """Return `good`, `ends soon`, `ended` or `missing`."""
    if standing.expires_at is None:
        return "missing"
    if standing.expires_at <= now:
        return "ended"
    return "ends soon" if standing.expires_at <= now + LATE else "good"


def days_left(standing: Standing, *, now: datetime) -> int | None:
    """Return how many whole days are left; negative once it has ended, None for a missing one."""
    return None if standing.expires_at is None else (standing.expires_at - now).days


def keep_up(folder: Path, *, now: datetime) -> None:
    """Make whatever is missing or ends soon, an authority included where there is no folder yet.

    Raises:
        CertificatesUnusable: The authority cannot sign and something has to be signed.
        OSError: The folder cannot be read or written.
    """
    if not (folder / AUTHORITY).exists() and not any((folder / s).exists() for s in SERVICES):
        make_authority(folder, now=now)
        wanted: Collection[str] = SERVICES
    else:
        wanted = ending(standings(folder), SOON, now=now)
    for service in SERVICES:
        if service in wanted:
            sign(folder, service, now=now, days=DAYS)
