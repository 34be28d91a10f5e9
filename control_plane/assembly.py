"""The only place that wires the control plane's parts together.

``start`` makes everything ready before it listens: keys, database, tokens. ``stop`` goes the other
way round: streams are ended first, so that watchers and workers connect again at once, then calls
that run get a moment, then the database is closed.
"""

import contextlib
import functools
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from control_plane.admin.servicer import AdminServicer
from control_plane.alerts.judge import AlertJudge
from control_plane.alerts.occupancy import OccupancyWatch
from control_plane.alerts.rules import RuleStore
from control_plane.alerts.servicer import AlertServicer
from control_plane.alerts.store import AlertStore
from control_plane.alerts.watch import AlertWatch
from control_plane.alerts.watch_lists import WatchListStore
from control_plane.audit.servicer import AuditServicer
from control_plane.audit.store import AuditStore
from control_plane.audit.trail import DatabaseTrail
from control_plane.backups.copying import PostgresCopier, SqliteCopier
from control_plane.backups.ledger import ErasureLedger
from control_plane.backups.postgres import PostgresTools
from control_plane.backups.shelf import BackupShelf
from control_plane.blobs.directory import BlobDirectory
from control_plane.blobs.removal import BlobRemover
from control_plane.cameras.registry import CameraRegistry
from control_plane.cameras.servicer import ControlPlaneServicer
from control_plane.cameras.watch import CameraWatch
from control_plane.data_dir import BACKUPS_FOLDER, MASTER_KEY_FILE, DataDir, DataDirInUse
from control_plane.database import Database
from control_plane.encryption import Vault, VaultError
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable, Engine
from control_plane.engines.postgres import PostgresEngine
from control_plane.engines.sqlite import SqliteEngine
from control_plane.events.feed import ChangeFeed
from control_plane.events.servicer import EventServicer
from control_plane.gateway.servicer import WorkerGatewayServicer
from control_plane.gateway.switchboard import Switchboard
from control_plane.keys.keeper import KeyKeeper
from control_plane.keys.master import MasterKeyFile
from control_plane.keys.ring import DataKeys
from control_plane.keys.signing import SigningKeys
from control_plane.leases.servicer import LeaseServicer
from control_plane.leases.store import LeaseStore
from control_plane.outages import outliving_outages
from control_plane.people.enrolment import Enrolment
from control_plane.people.erasure import Erasure
from control_plane.people.face_analysis import FaceAnalysis
from control_plane.people.face_watch import FaceWatch
from control_plane.people.merging import Merging
from control_plane.people.servicer import PersonServicer
from control_plane.people.store import PersonStore
from control_plane.retention import Retention
from control_plane.retention_policy.store import Days, RetentionPolicyStore
from control_plane.schema import migrate
from control_plane.settings import Settings
from control_plane.sightings.enrolment import SightingEnrolment
from control_plane.sightings.intake import SightingIntake
from control_plane.sightings.labels import SightingLabels
from control_plane.sightings.photo_search import PhotoSearch
from control_plane.sightings.servicer import SightingServicer
from control_plane.sightings.store import SightingStore
from control_plane.sightings.watch import SightingWatch
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.ingest import TelemetryIngest
from control_plane.telemetry.known_cameras import KnownCameras
from control_plane.telemetry.servicer import TelemetryServicer
from control_plane.telemetry.store import TelemetryStore
from control_plane.tokens.bootstrap import TokenBootstrap
from control_plane.tokens.issuer import TokenIssuer
from control_plane.tokens.publication import RevocationPublication
from control_plane.tokens.servicer import TokenServicer
from control_plane.tokens.signing_file import SigningFile, SigningKeyError
from control_plane.tokens.tickets import MediaTickets
from control_plane.webhooks.courier import Courier
from control_plane.webhooks.deliveries import DeliveryStore
from control_plane.webhooks.fan_out import FanOut
from control_plane.webhooks.resolver import SystemResolver
from control_plane.webhooks.sealing import WebhookSeals
from control_plane.webhooks.sender import Sender, trusting
from control_plane.webhooks.servicer import WebhookServicer
from control_plane.webhooks.store import WebhookStore
from control_plane.webhooks.url import receiver_policy
from dfip.camera_manager.v1 import manager_service_pb2
from dfip.control_plane.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    alert_service_pb2,
    alert_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    control_plane_service_pb2,
    control_plane_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    lease_service_pb2,
    lease_service_pb2_grpc,
    person_service_pb2,
    person_service_pb2_grpc,
    sighting_service_pb2,
    sighting_service_pb2_grpc,
    telemetry_service_pb2,
    telemetry_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
    worker_gateway_service_pb2,
    worker_gateway_service_pb2_grpc,
)
from dfip.identity_index.v1 import identity_index_service_pb2
from service_runtime.authentication import AUDIENCE, CONTROL_PLANE_AUDIENCE, TokenVerifier
from service_runtime.clients import FileToken, open_channel
from service_runtime.clock import Clock
from service_runtime.errors import Unavailable
from service_runtime.lifecycle import Lifecycle, StartError
from service_runtime.limits import PICTURE_MAX_MESSAGE_BYTES
from service_runtime.server import Binding, Server

ROOM = "control_plane"
OWN_TOKEN_FILE = "control_plane.token"  # noqa: S105 - the name of a file

# the edge has one address for reflection; it names what the other services answer for, too
_REFLECTED_ELSEWHERE = tuple(
    service.full_name
    for module in (manager_service_pb2, identity_index_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)
# whose RPCs may take tickets
SHOWING = tuple(
    service
    for module in (event_service_pb2, sighting_service_pb2, manager_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)


class ControlPlane:
    """A control plane in this process."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._data = DataDir(settings.data_dir)
        self._vault = Vault()
        self._issuer = TokenIssuer(clock)
        self._tokens = TokenBootstrap(
            self._issuer,
            clock,
            tokens_dir=settings.tokens_dir,
            data_dir=settings.data_dir,
            jwks_file=settings.jwks_file,
        )
        self.database = Database(self._engine(), clock)
        self._signing_keys = SigningKeys(
            self.database, self._vault, self._issuer, SigningFile(self._data.keys)
        )
        self._keys = self._key_keeper()
        self.feed = ChangeFeed(self.database, clock)
        self._switchboard = Switchboard(self.database, self.feed)
        self._known_cameras = KnownCameras(self.database, self.feed)
        self._revocations = RevocationPublication(self.database, self.feed, settings.jwks_file)
        self._occupancy = OccupancyWatch(self.database, self.feed)
        self._telemetry_line = GroupCommit(self.database, clock, occupancy=self._occupancy)
        self._judge = AlertJudge(self.database, clock)
        self._trail = DatabaseTrail(self.database, clock)
        self._blobs = BlobDirectory(self._data.blobs)
        self._remover = BlobRemover(self.database, self._blobs, clock)
        self._receivers = receiver_policy(
            networks=settings.webhook_networks, http=settings.webhook_http
        )
        self._resolver = SystemResolver()
        self._webhooks = WebhookStore(self.database, WebhookSeals(self._vault))
        self._fan_out = FanOut(self.database, clock, self._webhooks.changed)
        self._index = open_channel(
            settings.index_target,
            token=FileToken(settings.tokens_dir / OWN_TOKEN_FILE),
            max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
        )
        self._policy = RetentionPolicyStore(self.database, Days.of(settings))
        self.retention = Retention(self.database, self._remover, clock, settings, self._policy)
        self._backups = self._backup_shelf()
        self._ledger = ErasureLedger(self.database, self._backup_dir, clock)
        self._server = Server(
            room=ROOM,
            listen=settings.listen,
            bindings=self._bindings(),
            verifier=TokenVerifier(
                settings.jwks_file,
                clock,
                audiences=(AUDIENCE, CONTROL_PLANE_AUDIENCE),
                heeds_replaced=False,
                provider=settings.identity_provider(),
            ),
            clock=clock,
            reflection=settings.reflection,
            reflected=_REFLECTED_ELSEWHERE,
            trail=self._trail,
            max_message_bytes=PICTURE_MAX_MESSAGE_BYTES,
        )

    @property
    def address(self) -> str:
        """Target for clients; known once started."""
        return self._server.address

    @property
    def issuer(self) -> TokenIssuer:
        """What mints tokens."""
        return self._issuer

    @property
    def vault(self) -> Vault:
        """What seals values."""
        return self._vault

    @property
    def keys(self) -> KeyKeeper:
        """What rotates keys."""
        return self._keys

    async def flush_audit(self) -> None:
        """Write down the refused calls that were only counted so far."""
        await self._trail.flush()

    async def start(self, lifecycle: Lifecycle) -> None:
        """Make everything ready, then serve.

        Raises:
            StartError: A folder, a key or the database cannot be used.
            ListenError: The address cannot be used.
        """
        lifecycle.stack.push_async_callback(self._index.close)
        try:
            self._data.open()
            lifecycle.stack.callback(self._data.close)
            await self.database.open()
            lifecycle.stack.push_async_callback(self.database.close)
            await migrate(self.database)
            await self._keys.open()
            await self._revocations.publish()
        except DatabaseUnavailable as error:
            raise StartError(
                "cannot connect to the database of DFIP_DATABASE_URL; check that the server runs,"
                " and the host, user, password and database in the address"
            ) from error
        except OSError as error:
            raise StartError(
                f"cannot use {error.filename or self._data.path}: {error.strerror};"
                " check its rights and the space on the disk"
            ) from error
        except (DataDirInUse, VaultError, SigningKeyError) as error:
            raise StartError(str(error)) from error
        except CommandError as error:
            raise StartError(
                f"{self._database_name} was written by another version of dfip; use that version,"
                " or another database"
            ) from error
        except (DBAPIError, sqlite3.Error) as error:
            raise StartError(
                f"{self._database_name} cannot be used as the database; check its rights and the"
                " disk, or restore it from a backup"
            ) from error
        lifecycle.stack.callback(self._resolver.close)
        courier = self._courier()
        after = await self._switchboard.start()
        cameras_after = await self._known_cameras.start()
        rules_after = await self._occupancy.start()
        await self._server.start()
        lifecycle.stack.push_async_callback(self.stop)
        for name, work in (
            ("database-listener", self.database.follow_others),
            ("gateway-switchboard", functools.partial(self._switchboard.run, after)),
            ("known-cameras", functools.partial(self._known_cameras.run, cameras_after)),
            ("occupancy-rules", functools.partial(self._occupancy.run, rules_after)),
            ("alert-judge", self._judge.run),
            ("blob-remover", self._remover.run),
            ("retention", self.retention.run),
            ("keys", self._keys.run),
            ("backups", self._backups.run),
            ("erasure-ledger", self._ledger.run),
            ("audit-refusals", self._trail.run),
            ("revocations", self._revocations.run),
            ("webhook-fan-out", self._fan_out.run),
            ("webhook-courier", courier.run),
        ):
            lifecycle.spawn(name, outliving_outages(name, work, self._clock))
        lifecycle.spawn("telemetry-commit", self._telemetry_line.run())
        lifecycle.spawn("token-refresh", self._tokens.run())
        await self._server.set_serving(serving=True)

    async def stop(self) -> None:
        """End streams, so that clients connect again at once, then calls."""
        await self._server.set_serving(serving=False)
        self.feed.close()
        self._switchboard.close(
            Unavailable("SERVICE_STOPPING", "The service restarts; connect again.")
        )
        await self._server.stop(grace_s=2)
        with contextlib.suppress(DatabaseUnavailable, DatabaseBusy):
            await self._trail.flush()

    @property
    def _database_name(self) -> str:
        """What to call the database before people: without its address, which has a password."""
        if self._settings.database_url is None:
            return str(self._data.database)
        return "the database of DFIP_DATABASE_URL"

    def _engine(self) -> Engine:
        if self._settings.database_url is None:
            return SqliteEngine(self._data.database)
        return PostgresEngine(self._settings.database_url, self._clock)

    @property
    def _master_key_file(self) -> Path:
        return self._settings.master_key_file or self._data.keys / MASTER_KEY_FILE

    @property
    def _backup_dir(self) -> Path:
        return self._settings.backup_dir or self._settings.data_dir / BACKUPS_FOLDER

    def _backup_shelf(self) -> BackupShelf:
        settings, copier = self._settings, SqliteCopier(self._data.database)
        return BackupShelf(
            folder=self._backup_dir,
            copier=copier
            if settings.database_url is None
            else PostgresCopier(
                self.database,
                PostgresTools(settings.database_url, settings.postgres_bin_dir, settings.data_dir),
            ),
            blobs=self._blobs,
            master_key_file=self._master_key_file,
            master_key_id=lambda: self._keys.master_id,
            clock=self._clock,
            keep=settings.backup_keep,
        )

    def _courier(self) -> Courier:
        try:
            tls = trusting(self._settings.webhook_ca_file)
        except OSError as error:
            raise StartError(
                "the file of DFIP_WEBHOOK_CA_FILE cannot be used; it must hold certificates as PEM"
            ) from error
        return Courier(
            database=self.database,
            seals=WebhookSeals(self._vault),
            sender=Sender(self._receivers, self._resolver, self._clock, tls),
            changed=self._webhooks.changed,
            clock=self._clock,
        )

    def _key_keeper(self) -> KeyKeeper:
        file = MasterKeyFile(self._master_key_file)
        return KeyKeeper(
            database=self.database,
            vault=self._vault,
            tokens=self._tokens,
            data=DataKeys(self.database, self._vault, file),
            signing=self._signing_keys,
            file=file,
            clock=self._clock,
            shared=self._settings.database_url is not None,
            own_file=self._settings.master_key_file is None,
        )

    def _bindings(self) -> Sequence[Binding]:
        registry = CameraRegistry(self.database, self._vault, self._issuer)
        people = PersonStore(self.database, self._vault)
        sightings = SightingStore(self.database)
        analysis = FaceAnalysis(self._index)
        enrolment = Enrolment(people, analysis, self._blobs)
        telemetry = TelemetryIngest(self._known_cameras, self._telemetry_line, self._clock)
        alerts = AlertStore(self.database)
        return (
            Binding.of(
                alert_service_pb2,
                alert_service_pb2_grpc,
                AlertServicer(
                    rules=RuleStore(self.database),
                    watch_lists=WatchListStore(self.database),
                    alerts=alerts,
                    watch=AlertWatch(self.database, self.feed, alerts),
                    occupancy=self._occupancy,
                ),
            ),
            Binding.of(
                control_plane_service_pb2,
                control_plane_service_pb2_grpc,
                ControlPlaneServicer(
                    database=self.database,
                    registry=registry,
                    watch=CameraWatch(self.database, self.feed, self._clock),
                    clock=self._clock,
                    media_root=self._settings.media_root.absolute(),
                    site_pack=self._settings.pack,
                ),
            ),
            Binding.of(
                worker_gateway_service_pb2,
                worker_gateway_service_pb2_grpc,
                WorkerGatewayServicer(
                    database=self.database,
                    registry=registry,
                    intake=SightingIntake(self.database, self._blobs, self._vault),
                    telemetry=telemetry,
                    switchboard=self._switchboard,
                    clock=self._clock,
                    site_pack=self._settings.pack,
                ),
            ),
            Binding.of(
                event_service_pb2,
                event_service_pb2_grpc,
                EventServicer(self.database, self.feed),
            ),
            Binding.of(
                person_service_pb2,
                person_service_pb2_grpc,
                PersonServicer(
                    store=people,
                    enrolment=enrolment,
                    from_sightings=SightingEnrolment(
                        self.database, self._vault, self._blobs, enrolment
                    ),
                    merging=Merging(self.database, self._vault, self._remover),
                    erasure=Erasure(self.database, self._remover),
                    watch=FaceWatch(self.database, self.feed, people),
                ),
            ),
            Binding.of(
                sighting_service_pb2,
                sighting_service_pb2_grpc,
                SightingServicer(
                    store=sightings,
                    labels=SightingLabels(self.database),
                    photo_search=PhotoSearch(
                        database=self.database,
                        vault=self._vault,
                        analysis=analysis,
                        persons=people,
                        sightings=sightings,
                    ),
                    watch=SightingWatch(self.database, self.feed, sightings),
                    blobs=self._blobs,
                ),
            ),
            Binding.of(
                telemetry_service_pb2,
                telemetry_service_pb2_grpc,
                TelemetryServicer(
                    ingest=telemetry, store=TelemetryStore(self.database), clock=self._clock
                ),
            ),
            Binding.of(
                audit_service_pb2,
                audit_service_pb2_grpc,
                AuditServicer(AuditStore(self.database)),
            ),
            Binding.of(
                lease_service_pb2,
                lease_service_pb2_grpc,
                LeaseServicer(LeaseStore(self.database), self._clock),
            ),
            Binding.of(
                token_service_pb2,
                token_service_pb2_grpc,
                TokenServicer(
                    issuer=self._issuer,
                    database=self.database,
                    publication=self._revocations,
                    bootstrap=self._tokens,
                    clock=self._clock,
                    signing=self._signing_keys,
                    tickets=MediaTickets(self.database, self._issuer, SHOWING),
                ),
            ),
            Binding.of(
                admin_service_pb2,
                admin_service_pb2_grpc,
                AdminServicer(
                    keys=self._keys,
                    policy=self._policy,
                    retention=self.retention,
                    backups=self._backups,
                ),
            ),
            Binding.of(
                webhook_service_pb2,
                webhook_service_pb2_grpc,
                WebhookServicer(
                    store=self._webhooks,
                    deliveries=DeliveryStore(self.database, self._webhooks.changed),
                    policy=self._receivers,
                ),
            ),
        )
