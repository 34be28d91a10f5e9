"""Keys without a control plane around them, for tests of keys and of what uses them."""

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select

from control_plane.cameras.tables import CameraRow
from control_plane.database import Database
from control_plane.encryption import KeyRing, Vault
from control_plane.keys.keeper import KeyKeeper
from control_plane.keys.master import MasterKeyFile
from control_plane.keys.ring import DataKeys
from control_plane.keys.signing import SigningKeys
from control_plane.tokens.bootstrap import TokenBootstrap
from control_plane.tokens.issuer import SigningKey, TokenIssuer
from control_plane.tokens.signing_file import SigningFile
from service_runtime.clock import Clock
from service_runtime.identifiers import new_id


def data_key() -> AESGCM:
    """Make a key that seals values."""
    return AESGCM(secrets.token_bytes(32))


def vault_with(
    *keys: AESGCM, sealing: int | None = None, masters: dict[int, AESGCM] | None = None
) -> Vault:
    """Return a vault whose keys are numbered from 1; the last one seals."""
    vault = Vault()
    ring = dict(enumerate(keys or (data_key(),), start=1))
    vault.use(KeyRing(sealing=sealing or len(ring), keys=ring, masters=masters or {}))
    return vault


def issuer_with(key: SigningKey, clock: Clock) -> TokenIssuer:
    """Return an issuer that signs with a key."""
    issuer = TokenIssuer(clock)
    issuer.use([key], signing=key.id)
    return issuer


def new_issuer(clock: Clock) -> TokenIssuer:
    """Return an issuer with a key of its own."""
    return issuer_with(SigningKey.of(Ed25519PrivateKey.generate()), clock)


class Replica:
    """The keys of one control plane, with no server around them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        folder: Path,
        *,
        shared: bool = False,
        master_key: Path | None = None,
    ) -> None:
        self.database = database
        self.file = MasterKeyFile(master_key or folder / "keys" / "master.key")
        self.vault = Vault()
        self.issuer = TokenIssuer(clock)
        self.data = DataKeys(database, self.vault, self.file)
        self.jwks_file = folder / "jwks.json"
        self.tokens_dir = folder / "tokens"
        self.signing = SigningKeys(database, self.vault, self.issuer, SigningFile(folder / "keys"))
        self.keeper = KeyKeeper(
            database=database,
            vault=self.vault,
            tokens=TokenBootstrap(
                self.issuer,
                clock,
                tokens_dir=self.tokens_dir,
                data_dir=folder,
                jwks_file=self.jwks_file,
            ),
            data=self.data,
            signing=self.signing,
            file=self.file,
            clock=clock,
            shared=shared,
            own_file=master_key is None,
        )

    @property
    def published(self) -> set[str]:
        """Ids of the keys in the JWKS file."""
        return {key["kid"] for key in json.loads(self.jwks_file.read_text())["keys"]}


class SealedCameras:
    """Cameras whose addresses are sealed, and what they were."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.addresses: dict[str, str] = {}

    def row(self, vault: Vault | None = None) -> CameraRow:
        """Make a camera's row."""
        camera_id = new_id()
        address = f"rtsp://user:{camera_id}@10.0.0.1/"
        sealed = (vault or self._replica.vault).seal(
            address.encode(), table="cameras", column="connection_sealed", row_id=camera_id
        )
        self.addresses[camera_id] = address
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return CameraRow(
            id=camera_id, name="camera", name_key="camera", connection_sealed=sealed,
            connection_scheme="rtsp", desired_state="stopped", location="", description="",
            extra={}, zone_config={}, model_settings={}, version=1, generation=1,
            created_at=now, updated_at=now,
        )  # fmt: skip

    async def add(self, count: int = 1) -> None:
        """Put cameras into the database."""
        async with self._replica.database.write() as tx:
            tx.session.add_all(self.row() for _ in range(count))

    async def opened(self, replica: Replica | None = None) -> dict[str, str]:
        """Return the addresses as the database has them."""
        reader = replica or self._replica
        async with reader.database.read() as session:
            rows = (await session.scalars(select(CameraRow))).all()
        return {
            row.id: reader.vault.open(
                row.connection_sealed, table="cameras", column="connection_sealed", row_id=row.id
            ).decode()
            for row in rows
        }
