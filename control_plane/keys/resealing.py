"""Sealing anew what older keys sealed, little by little, while everybody reads and writes.

Each batch is a short transaction that locks its rows, leaves out those that somebody works on, and
changes nothing but the sealed bytes: no version, no event, no time. Several replicas may do it at
once; a crash leaves some rows new and some old, all of which open.
"""

from dataclasses import dataclass
from typing import Final

from control_plane.database import Database, Transaction
from control_plane.encryption import Vault, VaultError
from control_plane.keys.places import SEALED, Place
from service_runtime.structured_logging import get_logger

BATCH: Final = 100
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a walk over all values found."""

    resealed: int
    unreadable: int


async def reseal_all(database: Database, vault: Vault) -> Pass:
    """Walk over all values once, and seal anew what another key than the sealing one sealed."""
    resealed = unreadable = 0
    for place in SEALED:
        after = ""
        while True:
            done = await database.transact(_Step(vault=vault, place=place, after=after))
            resealed += done.resealed
            unreadable += done.unreadable
            if not done.last:
                break
            after = done.last
    if unreadable:
        _log.error("keys.values_unreadable", values=unreadable)
    return Pass(resealed=resealed, unreadable=unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A batch, and the key of its last row; empty where there was none."""

    resealed: int
    unreadable: int
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One batch of one column."""

    vault: Vault
    place: Place
    after: str

    async def __call__(self, tx: Transaction) -> _Done:
        place, unreadable = self.place, 0
        rows = await place.batch(
            tx.session, other_than=self.vault.sealing, after=self.after, limit=BATCH
        )
        fresh: list[tuple[str, bytes]] = []
        for row_id, value in rows:
            where = {"table": place.table, "column": place.column, "row_id": row_id}
            try:
                fresh.append((row_id, self.vault.seal(self.vault.open(value, **where), **where)))
            except VaultError:
                # its key stays, in case the bytes are mended from a backup
                unreadable += 1
                _log.error("keys.value_unreadable", **where)
        if fresh:
            await place.replace(tx.session, fresh)
        return _Done(resealed=len(fresh), unreadable=unreadable, last=rows[-1][0] if rows else "")
