"""Leases in the database: every step locks the lease's row, so that two never both succeed."""

from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from control_plane.database import Database, Transaction
from control_plane.leases.model import CAMERA_MANAGER, Lease, acquired, released, renewed
from control_plane.leases.tables import LeaseRow
from service_runtime.errors import FailedPrecondition, ResourceExhausted

_MOST: Final = 100


def lease_lost() -> FailedPrecondition:
    """Return the error for a holder that was overtaken."""
    return FailedPrecondition(
        "LEASE_LOST", "Another manager acts by now; stop acting, and ask for the lease again."
    )


class LeaseStore:
    """Takes, prolongs and ends leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, name: str, *, holder: str, lasts: timedelta) -> tuple[bool, Lease]:
        """Return whether ``holder`` has it now, and the lease as it stands.

        Raises:
            ResourceExhausted: ``LEASES_FULL``.
        """

        async def step(tx: Transaction) -> tuple[bool, Lease]:
            row = await _locked(tx, name)
            current = _lease_of(row)
            taken = acquired(current, holder=holder, now=tx.now, lasts=lasts)
            if taken is None:
                assert current is not None  # noqa: S101 - a free lease is always granted
                return False, current
            if row is None and await _count(tx) >= _MOST:
                raise ResourceExhausted(
                    "LEASES_FULL", f"There are {_MOST} leases; use the name of one of them."
                )
            await _write(tx, name, row, taken)
            return True, taken

        return await self._database.transact(step)

    async def renew(self, name: str, *, term: int, lasts: timedelta) -> Lease:
        """Prolong a lease.

        Raises:
            FailedPrecondition: ``LEASE_LOST``.
        """

        async def step(tx: Transaction) -> Lease:
            row = await _locked(tx, name)
            lease = renewed(_lease_of(row), term=term, now=tx.now, lasts=lasts)
            if lease is None:
                raise lease_lost()
            await _write(tx, name, row, lease)
            return lease

        return await self._database.transact(step)

    async def release(self, name: str, *, term: int) -> None:
        """End a lease; one of another term stays."""

        async def step(tx: Transaction) -> None:
            row = await _locked(tx, name)
            lease = released(_lease_of(row), term=term, now=tx.now)
            if lease is not None:
                await _write(tx, name, row, lease)

        await self._database.transact(step)


async def hold_term(tx: Transaction, term: int) -> None:
    """Check that ``term`` is the camera managers' term, and keep it so until the commit.

    Raises:
        FailedPrecondition: ``LEASE_LOST``: another manager has taken over.
    """
    in_force = await tx.session.scalar(
        select(LeaseRow.term).where(LeaseRow.name == CAMERA_MANAGER).with_for_update(read=True)
    )
    if (in_force or 0) != term:
        raise lease_lost()


async def _locked(tx: Transaction, name: str) -> LeaseRow | None:
    return await tx.session.get(LeaseRow, name, with_for_update=True)


async def _count(tx: Transaction) -> int:
    return await tx.session.scalar(select(func.count()).select_from(LeaseRow)) or 0


async def _write(tx: Transaction, name: str, row: LeaseRow | None, lease: Lease) -> None:
    if row is None:
        row = LeaseRow(name=name)
        tx.session.add(row)
    row.holder, row.term, row.expires_at = lease.holder, lease.term, lease.expires_at
    await tx.session.flush()


def _lease_of(row: LeaseRow | None) -> Lease | None:
    if row is None:
        return None
    return Lease(holder=row.holder, term=row.term, expires_at=row.expires_at)
