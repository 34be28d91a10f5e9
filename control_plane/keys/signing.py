"""The keys that sign tokens: sealed in the database, so that all replicas sign with the same.

Life of a key: ``published`` (in the JWKS files, so that verifiers know it before its first token),
``signing``, ``retired`` (it still verifies) until its last token has ended, then gone. Most tokens
live for 30 days at most; who makes one that lives longer says so first with ``promise``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.database import Database, Transaction
from control_plane.encryption import Vault
from control_plane.keys.tables import PUBLISHED, RETIRED, SIGNING, SigningKeyRow
from control_plane.tokens.issuer import SigningKey, TokenIssuer
from control_plane.tokens.signing_file import SigningFile
from service_runtime.errors import FailedPrecondition
from service_runtime.structured_logging import get_logger

USUAL_LIFETIME: Final = timedelta(days=30)
_LEEWAY: Final = timedelta(minutes=1)
_MOST_KEYS: Final = 16
_log = get_logger(__name__)


class SigningKeys:
    """Keeps the issuer's keys in step with the database."""

    def __init__(
        self, database: Database, vault: Vault, issuer: TokenIssuer, file: SigningFile
    ) -> None:
        self._database = database
        self._vault = vault
        self._issuer = issuer
        self._file = file
        self._seen: tuple[SigningKeyRow, ...] = ()

    @property
    def seen(self) -> tuple[SigningKeyRow, ...]:
        """The keys as they were read last, oldest first."""
        return self._seen

    async def open(self) -> None:
        """Read the keys; the first start takes the key of an earlier release, or makes one.

        Raises:
            SigningKeyError: The file of an earlier release holds no key.
            OSError: It cannot be read or removed.
        """
        async with self._database.write() as tx:
            await self._database.prepare_migration(tx)
            if not await _rows(tx.session):
                earlier = self._file.read()
                self._insert(tx, earlier or Ed25519PrivateKey.generate(), SIGNING)
        # sealed in the database by now; a plain copy would outlive every rotation
        self._file.remove()
        await self.refresh()

    async def refresh(self) -> bool:
        """Read the keys again; tell whether another set of them verifies or signs now."""
        async with self._database.read() as session:
            rows = await _rows(session)
        before = [(row.id, row.state) for row in self._seen]
        self._issuer.use(
            [self._opened(row) for row in rows],
            signing=next(row.id for row in rows if row.state == SIGNING),
        )
        self._seen = tuple(rows)
        return before != [(row.id, row.state) for row in rows]

    async def publish(self) -> str:
        """Make a new key that verifiers get to know before it signs; return its id.

        Raises:
            FailedPrecondition: Another one waits to be used, or too many are still needed.
        """

        async def make(tx: Transaction) -> str:
            rows = await _rows(tx.session, lock=True)
            if any(row.state == PUBLISHED for row in rows) or len(rows) >= _MOST_KEYS:
                raise FailedPrecondition(
                    "KEY_ROTATION_RUNNING",
                    "The signing keys are being rotated already, or tokens of too many older ones"
                    " are in use; see GET /admin/keys, or end those tokens with `revoke`.",
                )
            return self._insert(tx, Ed25519PrivateKey.generate(), PUBLISHED)

        return await self._database.transact(make)

    async def activate(self, key_id: str) -> None:
        """Sign with a published key from now on; the one before verifies what it signed."""

        async def switch(tx: Transaction) -> None:
            rows = await _rows(tx.session, lock=True)
            if not any(row.id == key_id and row.state == PUBLISHED for row in rows):
                return  # another replica was first
            for row in rows:
                if row.state == SIGNING:
                    row.state = RETIRED
                    row.ends_at = max(
                        tx.now + USUAL_LIFETIME + _LEEWAY, row.promised_until or tx.now
                    )
                if row.id == key_id:
                    row.state = SIGNING

        await self._database.transact(switch)

    async def revoke(self) -> str:
        """Sign with a new key at once, and end every token of the others; return its id."""

        async def replace(tx: Transaction) -> str:
            await _rows(tx.session, lock=True)
            await tx.session.execute(delete(SigningKeyRow))
            return self._insert(tx, Ed25519PrivateKey.generate(), SIGNING)

        key_id = await self._database.transact(replace)
        await self._database.scrub()
        return key_id

    async def forget_ended(self) -> None:
        """Remove retired keys whose last token has ended."""
        now = self._issuer.now()
        if not any(row.ends_at is not None and row.ends_at <= now for row in self._seen):
            return
        async with self._database.write() as tx:
            ended = (SigningKeyRow.state == RETIRED) & (SigningKeyRow.ends_at <= now)
            await tx.session.execute(delete(SigningKeyRow).where(ended))
        _log.info("keys.signing_key_ended")

    async def promise(self, key_id: str, until: datetime) -> None:
        """Have a key verify until then; for tokens that live longer than 30 days."""

        async def keep(tx: Transaction) -> None:
            row = await tx.session.get(SigningKeyRow, key_id, with_for_update=True)
            if row is not None:  # else its tokens were revoked
                row.promised_until = max(until + _LEEWAY, row.promised_until or until)
                if row.ends_at is not None:
                    row.ends_at = max(row.ends_at, row.promised_until)

        if until > self._issuer.now() + USUAL_LIFETIME:
            await self._database.transact(keep)

    def _insert(self, tx: Transaction, key: Ed25519PrivateKey, state: str) -> str:
        made = SigningKey.of(key)
        sealed = self._vault.seal(
            key.private_bytes_raw(), table="signing_keys", column="sealed", row_id=made.id
        )
        tx.session.add(SigningKeyRow(id=made.id, state=state, sealed=sealed, made_at=tx.now))
        return made.id

    def _opened(self, row: SigningKeyRow) -> SigningKey:
        raw = self._vault.open(row.sealed, table="signing_keys", column="sealed", row_id=row.id)
        return SigningKey.of(Ed25519PrivateKey.from_private_bytes(raw))


async def _rows(session: AsyncSession, *, lock: bool = False) -> Sequence[SigningKeyRow]:
    query = select(SigningKeyRow).order_by(SigningKeyRow.made_at, SigningKeyRow.id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).all()
