"""The task that carries rotations through: publish, wait, switch, seal anew, destroy.

``rotate`` only begins one. Where several replicas share a database, a key is used some seconds
after it was published, when the others have read it; each of them, not only the one that was asked,
goes on from what the database says, so a rotation survives any of them. A retired key that still
has values is never forgotten: the next look finds it again.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from control_plane.database import Database
from control_plane.encryption import Vault, VaultError
from control_plane.keys.master import MasterKeyFile
from control_plane.keys.places import count_sealed, count_sealed_with
from control_plane.keys.resealing import reseal_all
from control_plane.keys.ring import DataKey, DataKeys
from control_plane.keys.signing import SigningKeys
from control_plane.keys.tables import PUBLISHED, RETIRED, SEALING, SigningKeyRow
from control_plane.tokens.bootstrap import TokenBootstrap
from service_runtime.clock import Clock, wait_at_most
from service_runtime.errors import FailedPrecondition
from service_runtime.structured_logging import get_logger

# replicas look this often, and a published key waits for longer
SHARED_POLL_S: Final = 2.0
ALONE_POLL_S: Final = 60.0
SETTLE_S: Final = 10.0
_UNREADABLE_AGAIN_S: Final = 3600.0
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """Which keys there are, and how much is sealed with which.

    Attributes:
        master_id: The master key that wraps.
        data_keys: Oldest first, with the number of values that each has sealed.
        signing_keys: Oldest first.
        values: Sealed values.
        older_values: Those that another key than the sealing one has sealed.
    """

    master_id: str
    data_keys: tuple[tuple[DataKey, int], ...]
    signing_keys: tuple[SigningKeyRow, ...]
    values: int
    older_values: int


class KeyKeeper:
    """Keeps all keys of a control plane; ``run`` is its root task.

    Args:
        database: Where they stand.
        vault: Seals with the data keys.
        tokens: Writes the JWKS and the machines' tokens when a signing key changes.
        data: The data keys.
        signing: The signing keys.
        file: The master key's file.
        clock: Paces the looks.
        shared: Whether other processes may use this database.
        own_file: Whether this process may write to the master key's file.
    """

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        tokens: TokenBootstrap,
        data: DataKeys,
        signing: SigningKeys,
        file: MasterKeyFile,
        clock: Clock,
        shared: bool,
        own_file: bool,
    ) -> None:
        self._database = database
        self._vault = vault
        self._tokens = tokens
        self._data = data
        self._signing = signing
        self._file = file
        self._clock = clock
        self._shared = shared
        self._own_file = own_file
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._first_seen: dict[int | str, float] = {}
        self._all_of_sealing_key = False
        self._next_pass_at = 0.0

    async def open(self) -> None:
        """Read the keys and write the token files; sealing and minting work from here on.

        Raises:
            VaultError: The master key is missing or not this database's.
            SigningKeyError: The signing key of an earlier release cannot be read.
            OSError: A file cannot be used.
        """
        await self._data.open()
        self._database.guard_keys(self._data.check, self._data.refresh)
        self._vault.on_unknown_key = self._wake.set
        await self._signing.open()
        await self._tokens.write()

    async def run(self) -> None:
        """Look every so often, and whenever there is something to do; ``open`` has just looked."""
        while True:
            await self._wait()
            self._wake.clear()
            try:
                await self.step()
            except (VaultError, OSError) as error:
                _log.error("keys.step_failed", error=type(error).__name__)

    async def step(self) -> None:
        """Do what is due now."""
        async with self._turn:
            await self._data.refresh()
            for key in self._data.seen:
                if key.state == PUBLISHED and self._has_settled(key.id, self._data_settle_s):
                    await self._data.activate(key.id)
                    _log.info("keys.data_key_activated", key=key.id)
            await self._follow_signing()
            for row in self._signing.seen:
                if row.state == PUBLISHED and self._has_settled(row.id, SETTLE_S):
                    await self._signing.activate(row.id)
                    _log.info("keys.signing_key_activated", key=row.id)
            await self._signing.forget_ended()
            await self._follow_signing()
            await self._reseal()

    async def rotate(self, *, encryption: bool, signing: bool, revoke: bool) -> None:
        """Begin a rotation; ``run`` carries it through.

        Raises:
            FailedPrecondition: ``KEY_ROTATION_RUNNING``.
        """
        async with self._turn:
            if encryption:
                key_id = await self._data.publish()
                _log.info("keys.data_key_published", key=key_id)
                if not self._data_settle_s:
                    await self._data.activate(key_id)
            if signing:
                made = await (self._signing.revoke() if revoke else self._signing.publish())
                _log.info("keys.signing_key_published", key=made, revoked=revoke)
                await self._follow_signing()
        self._all_of_sealing_key = False
        self._next_pass_at = 0.0
        self._wake.set()

    async def rotate_master(self) -> None:
        """Wrap the data keys with the last key of the file; make one where we may.

        Raises:
            FailedPrecondition: ``MASTER_KEY_UNCHANGED``: somebody else keeps the file.
            VaultError: The file cannot be used.
            OSError: It cannot be read or written.
        """
        async with self._turn:
            newest = self._file.read()[-1].id
            if all(key.master_id == newest for key in self._data.seen):
                if self._shared or not self._own_file:
                    raise FailedPrecondition(
                        "MASTER_KEY_UNCHANGED",
                        "The last line of the key file is in use already; add a line"
                        " NUMBER:BASE64 of 32 random bytes to it at every replica, then repeat.",
                    )
                self._file.add()
            await self._data.rewrap()
            _log.info("keys.rewrapped", keys=len(self._data.seen))

    async def status(self) -> KeyStatus:
        """Return which keys there are, and how much is sealed with which."""
        await self._data.refresh()
        await self._follow_signing()
        async with self._database.read() as session:
            values = await count_sealed(session)
            keys = [(key, await count_sealed_with(session, key.id)) for key in self._data.seen]
        (sealing,) = ((key, count) for key, count in keys if key.state == SEALING)
        return KeyStatus(
            master_id=sealing[0].master_id,
            data_keys=tuple(keys),
            signing_keys=self._signing.seen,
            values=values,
            older_values=values - sealing[1],
        )

    @property
    def master_id(self) -> str:
        """Which master key wraps, as a digest of it."""
        return next(key.master_id for key in self._data.seen if key.state == SEALING)

    @property
    def _data_settle_s(self) -> float:
        return SETTLE_S if self._shared else 0.0

    def _has_settled(self, key: int | str, wait_s: float) -> bool:
        now = self._clock.monotonic()
        return now - self._first_seen.setdefault(key, now) >= wait_s

    async def _follow_signing(self) -> None:
        if await self._signing.refresh():
            # verifiers first: the files have the key before anything is signed with it
            await self._tokens.write()

    async def _reseal(self) -> None:
        retired = any(key.state == RETIRED for key in self._data.seen)
        due = self._clock.monotonic() >= self._next_pass_at
        if not due or not (retired or not self._all_of_sealing_key):
            return
        done = await reseal_all(self._database, self._vault)
        if done.resealed:
            _log.info("keys.resealed", values=done.resealed)
        await self._data.destroy_unused()
        self._all_of_sealing_key = not done.unreadable
        if done.unreadable:
            self._next_pass_at = self._clock.monotonic() + _UNREADABLE_AGAIN_S

    async def _wait(self) -> None:
        pending = [key.state for key in self._data.seen] + [row.state for row in self._signing.seen]
        waits_s = SHARED_POLL_S if self._shared or PUBLISHED in pending else ALONE_POLL_S
        await wait_at_most(self._clock, self._wake, waits_s)
