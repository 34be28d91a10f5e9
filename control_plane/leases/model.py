"""The rule of leases: one holder at a time, each holding a term with a number of its own.

Terms only grow. A holder trusts its own monotonic clock for how long it may act; whoever it
overslept is found by the term, which its calls carry and ``control_plane.leases.store`` checks in
the transaction that they write in.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

CAMERA_MANAGER: Final = "camera-manager"
# replicas' clocks differ by less; a lease is another's only when everybody agrees that it is over
CLOCKS_DIFFER: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(seconds=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A right until a moment, unless it is renewed."""

    holder: str
    term: int
    expires_at: datetime


def acquired(lease: Lease | None, *, holder: str, now: datetime, lasts: timedelta) -> Lease | None:
    """Return the lease in a new term of ``holder``; None while another has it."""
    if lease is not None and lease.holder != holder and _is_valid(lease, now):
        return None
    term = 1 if lease is None else lease.term + 1
    return Lease(holder=holder, term=term, expires_at=now + lasts)


def renewed(lease: Lease | None, *, term: int, now: datetime, lasts: timedelta) -> Lease | None:
    """Return the lease prolonged; None where its term is over.

    One that has expired is renewed as long as nobody else took it: nobody else acted.
    """
    if lease is None or lease.term != term:
        return None
    return replace(lease, expires_at=now + lasts)


def released(lease: Lease | None, *, term: int, now: datetime) -> Lease | None:
    """Return the lease ended and free for anybody; None where its term is over."""
    if lease is None or lease.term != term:
        return None
    return replace(lease, expires_at=now - CLOCKS_DIFFER)


def _is_valid(lease: Lease, now: datetime) -> bool:
    """Tell whether the lease may still be somebody's; one too far ahead is a clock set back."""
    ahead = lease.expires_at - now
    return -CLOCKS_DIFFER < ahead <= LONGEST + CLOCKS_DIFFER
