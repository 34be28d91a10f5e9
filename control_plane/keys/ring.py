"""The ring of data keys: in the database, wrapped by the master key, the same for all replicas.

Life of a key: ``published`` (every replica can read it), ``sealing`` (new values get it),
``retired`` (it only opens), and gone, once nothing is sealed with it. A replica that has not heard
of a change yet may seal with a retired key; ``check``, in the transaction that keeps the value,
locks the key's row and fails where it is gone, and ``destroy_unused`` locks the row before it
counts. So no value is ever kept without its key, however late a replica is.

A master key that does not fit shows here, before anything is sealed: each wrapped data key is its
own proof.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database, Transaction
from control_plane.encryption import (
    KEY_BYTES,
    KeyRing,
    Vault,
    VaultError,
    forget_keys_used,
    keys_used,
)
from control_plane.engines.port import KeyRingStale
from control_plane.keys.master import MasterKey, MasterKeyFile
from control_plane.keys.places import SEALED, Place, count_sealed, count_sealed_with
from control_plane.keys.tables import PUBLISHED, RETIRED, SEALING, DataKeyRow
from service_runtime.errors import FailedPrecondition
from service_runtime.structured_logging import get_logger

MOST_KEYS: Final = 16
_PROBES: Final = 5
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """What may be told of a data key."""

    id: int
    state: str
    master_id: str
    made_at: datetime


class DataKeys:
    """Keeps the vault's ring in step with the database."""

    def __init__(self, database: Database, vault: Vault, file: MasterKeyFile) -> None:
        self._database = database
        self._vault = vault
        self._file = file
        self._seen: tuple[DataKey, ...] = ()
        self._masters: dict[str, MasterKey] = {}
        self._unwrapped: dict[int, AESGCM] = {}

    @property
    def seen(self) -> tuple[DataKey, ...]:
        """The keys as they were read last, oldest first."""
        return self._seen

    async def open(self) -> None:
        """Read the ring, and make its first key in a database that has none.

        Raises:
            VaultError: The master key is missing or not this database's; says what to do.
            OSError: The file cannot be read or made.
        """
        async with self._database.write() as tx:
            # replicas that start together must not each make a first key
            await self._database.prepare_migration(tx)
            rows = await _rows(tx.session)
            if not self._file.exists():
                if rows or await count_sealed(tx.session):
                    raise VaultError(
                        f"{self._file.path} is missing, and the database is sealed with its key;"
                        " put the file back from where it is kept apart from the backups, or name"
                        " it with DFIP_MASTER_KEY_FILE. Without it, start with a new database."
                    )
                self._file.create()
            masters = self._file.read()
            self._masters = {key.id: key for key in masters}
            if not rows:
                await self._require_fitting(tx.session, masters)
                await self._insert(tx, SEALING)
                rows = await _rows(tx.session)
            for row in rows:
                if row.master_id not in self._masters:
                    raise VaultError(
                        f"{self._file.path} is not the key file of this database, which is sealed"
                        f" with master key {row.master_id}; put back the right file, or copy it"
                        " from the data directory of another replica of this database."
                    )
            self._take(rows)
            self._rewrap(rows)
        self._take(rows)

    async def refresh(self) -> None:
        """Read the ring again, as another replica may have changed it."""
        async with self._database.read() as session:
            rows = await _rows(session)
        if any(row.master_id not in self._masters for row in rows):
            self._masters = {key.id: key for key in self._file.read()}
        self._take(rows)

    async def check(self, tx: Transaction) -> None:
        """Hold every key that this transaction sealed with until its commit.

        Raises:
            KeyRingStale: One is gone; what was sealed with it must not be kept.
        """
        used = keys_used()
        if not used:
            return
        forget_keys_used()
        held = await tx.session.scalars(
            select(DataKeyRow.id)
            .where(DataKeyRow.id.in_(used))
            .order_by(DataKeyRow.id)
            .with_for_update(read=True, key_share=True)
        )
        if set(held) != used:
            raise KeyRingStale

    async def publish(self) -> int:
        """Make a new key that opens everywhere before it seals anywhere; return its id.

        Raises:
            FailedPrecondition: Another one waits to be used, or old ones are still in use.
        """

        async def make(tx: Transaction) -> int:
            rows = await _rows(tx.session, lock=True)
            if any(row.state == PUBLISHED for row in rows) or len(rows) >= MOST_KEYS:
                raise FailedPrecondition(
                    "KEY_ROTATION_RUNNING",
                    "The keys are being rotated already; GET /admin/keys shows how far it is.",
                )
            return await self._insert(tx, PUBLISHED)

        key_id = await self._database.transact(make)
        await self.refresh()
        return key_id

    async def activate(self, key_id: int) -> None:
        """Seal with a published key from now on; the one before only opens."""

        async def switch(tx: Transaction) -> None:
            rows = await _rows(tx.session, lock=True)
            if not any(row.id == key_id and row.state == PUBLISHED for row in rows):
                return  # another replica was first
            for row in rows:
                if row.state == SEALING:
                    row.state, row.retired_at = RETIRED, tx.now
                if row.id == key_id:
                    row.state = SEALING

        await self._database.transact(switch)
        await self.refresh()

    async def rewrap(self) -> None:
        """Wrap every data key with the last key of the file, which is read again."""
        self._masters = {key.id: key for key in self._file.read()}
        async with self._database.write() as tx:
            rows = await _rows(tx.session, lock=True)
            self._take(rows)
            self._rewrap(rows)
        await self.refresh()

    async def destroy_unused(self) -> int:
        """Remove the retired keys that nothing is sealed with; return how many."""
        gone = 0
        for key in self._seen:
            if key.state == RETIRED and await self._destroy(key.id):
                gone += 1
                _log.info("keys.data_key_destroyed", key=key.id)
        if gone:
            await self.refresh()
            # on SQLite the wrapped key would live on in the write-ahead log
            await self._database.scrub()
        return gone

    async def _destroy(self, key_id: int) -> bool:
        async def destroy(tx: Transaction) -> bool:
            row = await tx.session.get(DataKeyRow, key_id, with_for_update=True)
            if row is None or row.state != RETIRED or await count_sealed_with(tx.session, key_id):
                return False
            await tx.session.delete(row)
            return True

        return await self._database.transact(destroy)

    async def _insert(self, tx: Transaction, state: str) -> int:
        master = self._current
        row = DataKeyRow(state=state, master_id=master.id, wrapped=b"", made_at=tx.now)
        tx.session.add(row)
        await tx.session.flush()
        row.wrapped = master.wrap(secrets.token_bytes(KEY_BYTES), row.id)
        await tx.session.flush()
        return row.id

    async def _require_fitting(self, session: AsyncSession, masters: Sequence[MasterKey]) -> None:
        """Open some of the values from before there were data keys, where there are any.

        Raises:
            VaultError: They were sealed with other master keys.
        """
        if not await count_sealed(session):
            return
        vault = Vault()
        vault.use(KeyRing(sealing=1, keys={}, masters={key.number: key.values for key in masters}))
        for place in SEALED:
            for row_id, value in await place.batch(session, other_than=1, after="", limit=_PROBES):
                try:
                    _open(vault, place, row_id, value)
                except VaultError:
                    raise VaultError(
                        f"{self._file.path} does not open what the database holds; put back the"
                        " key file that belongs to it."
                    ) from None

    @property
    def _current(self) -> MasterKey:
        return list(self._masters.values())[-1]

    def _take(self, rows: Sequence[DataKeyRow]) -> None:
        """Unwrap what is new, and give the vault its ring."""
        fresh: dict[int, AESGCM] = {}
        for row in rows:
            known = self._unwrapped.get(row.id)
            master = self._masters.get(row.master_id)
            if known is None and master is None:
                # it opens once the file has reached this replica, too
                _log.error("keys.master_key_missing", key=row.id, master_key=row.master_id)
                continue
            if known is None and master is not None:
                known = AESGCM(master.unwrap(row.wrapped, row.id))
            if known is not None:
                fresh[row.id] = known
        sealing = next(row.id for row in rows if row.state == SEALING)
        if sealing not in fresh:
            return  # better an old key than none: it is there until nothing is sealed with it
        self._unwrapped = fresh
        self._seen = tuple(
            DataKey(id=row.id, state=row.state, master_id=row.master_id, made_at=row.made_at)
            for row in rows
        )
        masters = {key.number: key.values for key in self._masters.values()}
        self._vault.use(KeyRing(sealing=sealing, keys=fresh, masters=masters))

    def _rewrap(self, rows: Sequence[DataKeyRow]) -> None:
        current = self._current
        for row in rows:
            if row.master_id != current.id:
                key = self._masters[row.master_id].unwrap(row.wrapped, row.id)
                row.wrapped, row.master_id = current.wrap(key, row.id), current.id


def _open(vault: Vault, place: Place, row_id: str, value: bytes) -> bytes:
    return vault.open(value, table=place.table, column=place.column, row_id=row_id)


async def _rows(session: AsyncSession, *, lock: bool = False) -> Sequence[DataKeyRow]:
    query = select(DataKeyRow).order_by(DataKeyRow.id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(query)).all()
