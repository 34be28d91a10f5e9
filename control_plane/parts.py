"""What the services and the tasks of a control plane share, made once of its settings.

Nothing is opened here and nothing runs: ``bindings.py`` makes the services of these parts, and
``assembly.py`` starts and stops everything.
"""

from pathlib import Path

from control_plane.alerts.judge import AlertJudge
from control_plane.alerts.occupancy import OccupancyWatch
from control_plane.audit.trail import DatabaseTrail
from control_plane.backups.copying import PostgresCopier, SqliteCopier
from control_plane.backups.ledger import ErasureLedger
from control_plane.backups.postgres import PostgresTools
from control_plane.backups.shelf import BackupShelf
from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.removal import BlobRemover
from control_plane.data_dir import BACKUPS_FOLDER, MASTER_KEY_FILE, DataDir
from control_plane.database import Database
from control_plane.encryption import Vault
from control_plane.engines.port import Engine
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from control_plane.events.feed import ChangeFeed
from control_plane.gateway.switchboard import Switchboard
from control_plane.keys.keeper import KeyKeeper
from control_plane.keys.master import MasterKeyFile
from control_plane.keys.ring import DataKeys
from control_plane.keys.signing import SigningKeys
from control_plane.retention import Retention
from control_plane.retention_policy.store import Days, RetentionPolicyStore
from control_plane.settings import Settings
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.known_cameras import KnownCameras
from control_plane.tokens.bootstrap import TokenBootstrap
from control_plane.tokens.issuer import TokenIssuer
from control_plane.tokens.publication import RevocationPublication
from control_plane.tokens.signing_file import SigningFile
from control_plane.webhooks.courier import Courier
from control_plane.webhooks.fan_out import FanOut
from control_plane.webhooks.resolver import SystemResolver
from control_plane.webhooks.sealing import WebhookSeals
from control_plane.webhooks.sender import Sender, trusting
from control_plane.webhooks.store import WebhookStore
from control_plane.webhooks.url import receiver_policy
from service_runtime.clients import FileToken, open_channel
from service_runtime.clock import Clock
from service_runtime.lifecycle import StartError
from service_runtime.limits import PICTURE_MAX_MESSAGE_BYTES

OWN_TOKEN_FILE = "control_plane.token"  # noqa: S105 - the name of a file


class Parts:
    """The parts of one control plane."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.data = DataDir(settings.data_dir)
        self.vault = Vault()
        self.issuer = TokenIssuer(clock)
        self.tokens = TokenBootstrap(
            self.issuer,
            clock,
            tokens_dir=settings.tokens_dir,
            data_dir=settings.data_dir,
            jwks_file=settings.jwks_file,
        )
        self.database = Database(self._engine(), clock)
        self.signing_keys = SigningKeys(
            self.database, self.vault, self.issuer, SigningFile(self.data.keys)
        )
        self.keys = self._key_keeper()
        self.feed = ChangeFeed(self.database, clock)
        self.switchboard = Switchboard(self.database, self.feed)
        self.known_cameras = KnownCameras(self.database, self.feed)
        self.revocations = RevocationPublication(self.database, self.feed, settings.jwks_file)
        self.occupancy = OccupancyWatch(self.database, self.feed)
        self.telemetry_line = GroupCommit(self.database, clock, occupancy=self.occupancy)
        self.judge = AlertJudge(self.database, clock)
        self.trail = DatabaseTrail(self.database, clock)
        self.blobs = BlobDirectory(self.data.blobs)
        self.remover = BlobRemover(self.database, self.blobs, clock)
        self.receivers = receiver_policy(
            networks=settings.webhook_networks, http=settings.webhook_http
        )
        self.resolver = SystemResolver()
        self.webhooks = WebhookStore(self.database, WebhookSeals(self.vault))
        self.fan_out = FanOut(self.database, clock, self.webhooks.changed)
        self.index = open_channel(
            settings.index_target,
            token=FileToken(settings.tokens_dir / OWN_TOKEN_FILE),
            max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
        )
        self.policy = RetentionPolicyStore(self.database, Days.of(settings))
        self.retention = Retention(self.database, self.remover, clock, settings, self.policy)
        self.backups = self._backup_shelf()
        self.ledger = ErasureLedger(self.database, self._backup_dir, clock)

    def _engine(self) -> Engine:
        if self._settings.database_url is None:
            return SqliteEngine(self.data.database)
        return PostgresEngine(self._settings.database_url, self._clock)

    @property
    def _master_key_file(self) -> Path:
        return self._settings.master_key_file or self.data.keys / MASTER_KEY_FILE

    @property
    def _backup_dir(self) -> Path:
        return self._settings.backup_dir or self._settings.data_dir / BACKUPS_FOLDER

    def _backup_shelf(self) -> BackupShelf:
        settings, copier = self._settings, SqliteCopier(self.data.database)
        return BackupShelf(
            folder=self._backup_dir,
            copier=copier
            if settings.database_url is None
            else PostgresCopier(
                self.database,
                PostgresTools(settings.database_url, settings.postgres_bin_dir, settings.data_dir),
            ),
            blobs=self.blobs,
            master_key_file=self._master_key_file,
            master_key_id=lambda: self.keys.master_id,
            clock=self._clock,
            keep=settings.backup_keep,
        )

    def _key_keeper(self) -> KeyKeeper:
        file = MasterKeyFile(self._master_key_file)
        return KeyKeeper(
            database=self.database,
            vault=self.vault,
            tokens=self.tokens,
            data=DataKeys(self.database, self.vault, file),
            signing=self.signing_keys,
            file=file,
            clock=self._clock,
            shared=self._settings.database_url is not None,
            own_file=self._settings.master_key_file is None,
        )

    def courier(self) -> Courier:
        """Return what delivers to webhooks.

        Raises:
            StartError: The file of certificates cannot be used.
        """
        try:
            tls = trusting(self._settings.webhook_ca_file)
        except OSError as error:
            raise StartError(
                "the file of DFIP_WEBHOOK_CA_FILE cannot be used; it must hold certificates as PEM"
            ) from error
        return Courier(
            database=self.database,
            seals=WebhookSeals(self.vault),
            sender=Sender(self.receivers, self.resolver, self._clock, tls),
            changed=self.webhooks.changed,
            clock=self._clock,
        )
