"""The telemetry topic as a process of its own: ``python -m control_plane --only telemetry``.

It takes and answers telemetry as every control plane does, on the same PostgreSQL database, and
does nothing else: no keys (it checks tokens with the public ones), no pictures, no migration, no
retention. As many of them as wanted may run beside the control planes; the database keeps them from
counting anything twice. The edge sends ``TelemetryService`` here when it is told where
(``deploy.envoy.EdgeSettings.services``); the gateway of the workers stays with the control plane.
"""

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from control_plane.alerts.occupancy import OccupancyWatch
from control_plane.audit.trail import DatabaseTrail
from control_plane.database import Database
from control_plane.engines.port import DatabaseBusy, DatabaseUnavailable
from control_plane.engines.postgres import PostgresEngine
from control_plane.events.feed import ChangeFeed
from control_plane.outages import outliving_outages
from control_plane.schema import is_migrated
from control_plane.telemetry.group_commit import GroupCommit
from control_plane.telemetry.ingest import TelemetryIngest
from control_plane.telemetry.known_cameras import KnownCameras
from control_plane.telemetry.servicer import TelemetryServicer
from control_plane.telemetry.store import TelemetryStore
from dfip.control_plane.v1 import telemetry_service_pb2, telemetry_service_pb2_grpc
from service_runtime.authentication import AUDIENCE, CONTROL_PLANE_AUDIENCE, TokenVerifier
from service_runtime.clock import Clock
from service_runtime.identity_provider import IdentityProviderSettings
from service_runtime.lifecycle import Lifecycle, StartError
from service_runtime.secret import Secret
from service_runtime.server import Binding, Server
from service_runtime.settings import SettingsError
from service_runtime.transport import TransportSettings

TOPIC = "telemetry"
# the room whose contract it serves
_ROOM = "control_plane"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings(IdentityProviderSettings, TransportSettings):
    """Settings of a telemetry service.

    Attributes:
        listen: ``unix:/path`` or ``host:port``.
        jwks_file: Keys to check tokens with; the control plane writes them.
        database_url: Address of the control plane's PostgreSQL database.
    """

    listen: str
    jwks_file: Path
    database_url: Secret | None = None


class TelemetryAlone:
    """A telemetry service in this process.

    Raises:
        SettingsError: There is no PostgreSQL database to share.
    """

    def __init__(self, settings: TelemetrySettings, clock: Clock) -> None:
        if settings.database_url is None:
            # writers of one file would wait for each other, and none would hear of the others
            raise SettingsError(
                "telemetry runs as a process of its own on PostgreSQL alone: set DFIP_DATABASE_URL,"
                " or leave telemetry to the control plane, which does it by itself"
            )
        self._clock = clock
        self._database = Database(PostgresEngine(settings.database_url, clock), clock)
        self._feed = ChangeFeed(self._database, clock)
        self._known = KnownCameras(self._database, self._feed)
        self._occupancy = OccupancyWatch(self._database, self._feed)
        self._line = GroupCommit(self._database, clock, occupancy=self._occupancy)
        self._trail = DatabaseTrail(self._database, clock)
        servicer = TelemetryServicer(
            ingest=TelemetryIngest(self._known, self._line, clock),
            store=TelemetryStore(self._database),
            clock=clock,
        )
        self._server = Server(
            room=_ROOM,
            transport=settings.transport(),
            peers=("edge",),
            listen=settings.listen,
            bindings=[Binding.of(telemetry_service_pb2, telemetry_service_pb2_grpc, servicer)],
            verifier=TokenVerifier(
                settings.jwks_file,
                clock,
                audiences=(AUDIENCE, CONTROL_PLANE_AUDIENCE),
                provider=settings.identity_provider(),
            ),
            clock=clock,
            trail=self._trail,
        )

    async def start(self, lifecycle: Lifecycle) -> None:
        """Look whether everything is there, then serve.

        Raises:
            StartError: The database is away, or not as this version needs it.
            ListenError: The address cannot be used.
        """
        await self._database.open()
        lifecycle.stack.push_async_callback(self._database.close)
        try:
            migrated = await is_migrated(self._database)
        except (DatabaseUnavailable, DBAPIError) as error:
            raise StartError(
                "cannot read the database of DFIP_DATABASE_URL; check that the server runs, and the"
                " host, user, password and database in the address"
            ) from error
        if not migrated:
            raise StartError(
                "the database of DFIP_DATABASE_URL is not as this version of dfip makes it; start"
                " the control plane of this version first"
            )
        after = await self._known.start()
        rules_after = await self._occupancy.start()
        await self._server.start()
        lifecycle.stack.push_async_callback(self._stop)
        for name, work in (
            ("database-listener", self._database.follow_others),
            ("known-cameras", functools.partial(self._known.run, after)),
            ("occupancy-rules", functools.partial(self._occupancy.run, rules_after)),
            ("audit-refusals", self._trail.run),
        ):
            lifecycle.spawn(name, outliving_outages(name, work, self._clock))
        lifecycle.spawn("telemetry-commit", self._line.run())
        await self._server.set_serving(serving=True)

    async def _stop(self) -> None:
        await self._server.set_serving(serving=False)
        self._feed.close()
        await self._server.stop(grace_s=2)
        with contextlib.suppress(DatabaseUnavailable, DatabaseBusy):
            await self._trail.flush()
