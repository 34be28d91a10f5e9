"""What `dfip certs` prints: a line a certificate, with the names in it and the days it has left."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cli.certificates.authority import Standing, standings
from cli.certificates.upkeep import days_left, state_of
from cli.output import Column, Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One certificate as it is printed; `state` as `upkeep.state_of` says it."""

    name: str
    state: str
    days_left: int | None
    expires_at: str
    names: tuple[str, ...]


COLUMNS: tuple[Column[Shown], ...] = (
    Column(title="certificate", value=lambda s: s.name),
    Column(title="state", value=lambda s: s.state),
    Column(title="days left", value=lambda s: "" if s.days_left is None else str(s.days_left)),
    Column(title="ends", value=lambda s: s.expires_at, shown=lambda s: s.expires_at[:10]),
    Column(title="for", value=lambda s: ", ".join(s.names), aside=True),
)


def show(folder: Path, output: Output, *, now: datetime) -> list[Shown]:
    """Print how the certificates of a folder stand, and return it.

    Raises:
        CertificatesUnusable: There are none.
    """
    found = [_shown(standing, now) for standing in standings(folder)]
    output.listing(found, COLUMNS)
    return found


def _shown(standing: Standing, now: datetime) -> Shown:
    ends = standing.expires_at
    return Shown(
        name=standing.name,
        state=state_of(standing, now=now),
        days_left=days_left(standing, now=now),
        expires_at=ends.strftime("%Y-%m-%dT%H:%M:%SZ") if ends else "",
        names=standing.names,
    )
